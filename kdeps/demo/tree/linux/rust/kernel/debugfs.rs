// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Files for debugging.

pub struct Dir;
