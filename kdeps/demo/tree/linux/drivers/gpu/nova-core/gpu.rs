// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Brings the card up.

pub fn reset() {
    kernel::io::wait_ready(kernel::io::RESET_TIMEOUT_MS);
}
