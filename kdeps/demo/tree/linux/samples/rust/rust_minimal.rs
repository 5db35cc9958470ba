// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The smallest module.

use kernel::time;

module! {
    name: "rust_minimal",
}
