// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Tokens, outside of the compiler too.

// fixdep finds `CONFIG_RUSTC_VERSION_TEXT` here, so another compiler builds this again.

pub struct TokenStream;
