// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Access to device memory.

pub mod mem;

/// Milliseconds to wait for a device to come out of reset.
pub const RESET_TIMEOUT_MS: u32 = 100;

pub fn read32() {}
