// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Rust code as a value.

use proc_macro2::TokenStream;

pub fn quote() {}
