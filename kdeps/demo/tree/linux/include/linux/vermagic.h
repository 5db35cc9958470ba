/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <generated/utsrelease.h>

#define VERMAGIC_STRING UTS_RELEASE " mod_unload"
