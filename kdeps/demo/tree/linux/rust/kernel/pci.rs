// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The PCI bus.

pub struct Device(bindings::pci_dev);

pub fn probe() {}
