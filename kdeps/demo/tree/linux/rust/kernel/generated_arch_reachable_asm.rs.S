/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <linux/types.h>

// Cut here.
pub const ARCH_REACHABLE_ASM: &str = "reachable";
