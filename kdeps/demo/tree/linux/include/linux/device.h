/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <linux/types.h>

#define DEVICE_NAME_LEN 32
int device_register(struct device *dev);
void device_unregister(struct device *dev);
