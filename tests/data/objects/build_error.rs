// SPDX-License-Identifier: GPL-2.0-only OR MIT
//! The kernel's crate of that name, as rust/build_error.rs has it.
#![no_std]

#[inline(never)]
#[cold]
#[export_name = "rust_build_error"]
#[track_caller]
pub const fn build_error(msg: &'static str) -> ! {
    panic!("{}", msg);
}
