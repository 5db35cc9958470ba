/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The headers that Rust code sees through the crate bindings. */
#include <linux/module.h>
#include <linux/pci.h>

const int RUST_CONST_HELPER_GFP_KERNEL = 3264;
