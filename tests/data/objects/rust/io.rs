// SPDX-License-Identifier: GPL-2.0-only OR MIT
//! What rust/kernel/io.rs does.

macro_rules! build_assert {
    ($cond:expr $(,)?) => {{
        if !$cond {
            build_error::build_error(concat!("assertion failed: ", stringify!($cond)));
        }
    }};
    ($cond:expr, $msg:expr) => {{
        if !$cond {
            build_error::build_error($msg);
        }
    }};
}
pub(crate) use build_assert;

pub struct Mmio<const SIZE: usize>(*mut u32);

impl<const SIZE: usize> Mmio<SIZE> {
    #[inline(always)]
    pub fn write32(&self, value: u32, offset: usize) {
        build_assert!(offset + 4 <= SIZE);
        unsafe { self.0.byte_add(offset).write_volatile(value) }
    }
}
