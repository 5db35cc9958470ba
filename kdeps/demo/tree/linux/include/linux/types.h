/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifdef CONFIG_64BIT
#define BITS_PER_LONG 64
#else
#define BITS_PER_LONG 32
#endif
