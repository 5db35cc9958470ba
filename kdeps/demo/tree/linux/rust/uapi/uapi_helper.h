/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The headers that Rust code sees through the crate uapi. */
#include <uapi/linux/ioctl.h>
