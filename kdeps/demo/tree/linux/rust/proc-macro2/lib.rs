// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Tokens, outside of the compiler too.

pub struct TokenStream;
