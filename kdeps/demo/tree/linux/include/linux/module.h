/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <linux/types.h>

#define MODULE_NAME_LEN 56
int try_module_get(struct module *module);
void module_put(struct module *module);
