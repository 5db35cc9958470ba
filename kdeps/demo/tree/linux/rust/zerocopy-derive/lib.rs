// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Derives for zerocopy.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse;

pub fn derive_from_bytes() {}
