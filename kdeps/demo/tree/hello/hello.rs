// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A module from outside the kernel tree.

use kernel::time;

module! {
    name: "hello",
}
