// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Devices.

pub struct Device(bindings::device);
