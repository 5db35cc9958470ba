// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A driver for a graphics card, in miniature.

mod driver;
mod gpu;

use kernel::pci;

module! {
    type: driver::NovaCore,
    name: "nova-core",
}
