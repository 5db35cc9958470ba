// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Fails the build where it is used.

pub fn build_error() {}
