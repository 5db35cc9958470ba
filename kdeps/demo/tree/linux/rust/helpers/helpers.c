// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/device.h>
#include "device.c"
#include "pci.c"
