// SPDX-License-Identifier: GPL-2.0
/* A module that warns, then oopses. Built twice: with GROWN, one function is longer. */
#include <linux/bitops.h>
#include <linux/init.h>
#include <linux/module.h>

static volatile unsigned long count;

static noinline unsigned long fail(unsigned long x)
{
	WARN_ON(x != ~0UL);
	*(volatile int *)(x & 60) = 1;
	return x + count;
}

static noinline unsigned long step(unsigned long x)
{
#ifdef GROWN
	x = rol64(x * 12345, 7) ^ count++;
#endif
	return rol64(fail(x ^ 17) * 11, 3);
}

static int __init demo_init(void)
{
	return step(count + 7) == 3 ? -EINVAL : 0;
}
module_init(demo_init);
MODULE_DESCRIPTION("oops");
MODULE_LICENSE("GPL");
