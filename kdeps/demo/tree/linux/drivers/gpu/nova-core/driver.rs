// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Binds the driver to its device.

pub struct NovaCore;

#[cfg(CONFIG_DEBUG_FS)]
pub struct Debug(kernel::debugfs::Dir);
