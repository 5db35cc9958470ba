// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A module from outside the kernel tree that says hello.

use kernel::prelude::*;

module! {
    type: Hello,
    name: "hello",
    authors: ["kdeps"],
    description: "Says hello",
    license: "GPL",
}

struct Hello;

impl kernel::Module for Hello {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("hello\n");
        Ok(Self)
    }
}
