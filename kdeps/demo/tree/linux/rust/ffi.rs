// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! C types.

pub type c_int = i32;
