// SPDX-License-Identifier: GPL-2.0-only OR MIT
//! A driver with an abstraction below it, and three accesses that the optimiser cannot prove.
#![no_std]

#[path = "rust/io.rs"]
mod io;

use io::Mmio;

/// A literal beyond the window.
#[no_mangle]
pub fn probe(bar: &Mmio<0x1000>) {
    bar.write32(1, 0x10);
    bar.write32(7, 0x2000);
}

/// Two in one function: LLVM merges the calls.
#[no_mangle]
pub fn twice(bar: &Mmio<0x1000>, which: bool) {
    if which {
        bar.write32(1, 0x3000);
    } else {
        bar.write32(2, 0x4000);
    }
}

/// A value that is not constant, with a text of its own, in a closure.
#[no_mangle]
pub fn dynamic(table: &[u32; 8], at: usize) -> u32 {
    let read = |at: usize| {
        io::build_assert!(at < 8, "the table has 8 entries");
        table[at]
    };
    read(at)
}

/// Nothing is inlined here.
#[no_mangle]
pub fn plain(at: usize) -> usize {
    io::build_assert!(at != 3, "never 3");
    at
}
