// SPDX-License-Identifier: GPL-2.0-only OR MIT
//! A driver in which nothing is left to prove, and that wants one function of C.
#![no_std]

extern "C" {
    fn printk_it(value: u32);
}

#[no_mangle]
pub fn probe(value: u32) {
    unsafe { printk_it(value) }
}
