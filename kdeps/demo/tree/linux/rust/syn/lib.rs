// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Parses Rust code.

use proc_macro2::TokenStream;
use quote::quote;

pub fn parse() {}
