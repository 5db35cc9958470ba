// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Initialisation in place.
#![doc = include_str!("../README.md")]

use macros::module;
use pin_init_internal::pin_data;

pub trait PinInit {}
