// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Memory a device has mapped.

pub struct IoMem;
