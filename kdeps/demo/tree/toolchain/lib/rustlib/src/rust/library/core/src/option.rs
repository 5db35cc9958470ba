// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Optional values.
#![doc = include_str!("option.md")]

pub enum Option<T> {
    None,
    Some(T),
}
