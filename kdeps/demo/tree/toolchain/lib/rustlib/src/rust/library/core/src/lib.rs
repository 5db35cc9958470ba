// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The core library of the miniature.

pub mod option;
pub mod result;

pub fn panicking_panic() {}
