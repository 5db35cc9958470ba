// SPDX-License-Identifier: GPL-2.0
//! A module that oopses.
use kernel::prelude::*;

module! {
    type: Demo,
    name: "oops_demo",
    authors: ["kdeps"],
    description: "oops",
    license: "GPL",
}

struct Demo;

struct Reader<'a> {
    values: &'a [u32],
}

impl Reader<'_> {
    #[inline(never)]
    fn get(&self, at: usize) -> u32 {
        self.check(at) + self.values[at]
    }

    #[inline]
    fn check(&self, at: usize) -> u32 {
        kernel::warn_on!(at > 2);
        at as u32
    }
}

#[inline(never)]
fn sum(values: &[u32], end: usize) -> u32 {
    let reader = Reader { values };
    let mut total = 0u32;
    for at in 0..end {
        total = total.wrapping_add(reader.get(core::hint::black_box(at)));
    }
    total
}

impl kernel::Module for Demo {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let total = sum(&[1, 2, 3], core::hint::black_box(4));
        pr_info!("{}\n", total);
        Ok(Demo)
    }
}
