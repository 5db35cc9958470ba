// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The macro `module!` and its like.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse;

mod module;
