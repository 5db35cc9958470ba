/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* How a module is laid out. */
#include <linux/module_layout.h>

SECTIONS {
	.text : { *(.text) }
#ifdef CONFIG_DEBUG_FS
	.debug_fs : { *(.debug_fs) }
#endif
}
