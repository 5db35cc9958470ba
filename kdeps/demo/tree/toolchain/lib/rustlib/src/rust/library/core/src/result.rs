// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Results.

pub enum Result<T, E> {
    Ok(T),
    Err(E),
}
