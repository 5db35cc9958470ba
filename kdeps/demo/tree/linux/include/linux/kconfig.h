/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Included in front of every C file. */
#include <generated/autoconf.h>
