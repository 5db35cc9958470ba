// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Intrinsics the compiler expects; core is all this needs.

pub fn rust_compiler_builtins_panic() {}
