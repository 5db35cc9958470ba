// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The macro `module!` and its like.

// fixdep finds `CONFIG_RUSTC_VERSION_TEXT` here, so another compiler builds this again.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse;

mod module;
