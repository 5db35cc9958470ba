#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# Purpose: the edit and build loop for a driver inside the kernel tree, in which an
# edit of the core (rust/kernel/pci.rs, a C header, the configuration) is never missed.
#
# Usage, in the source tree, with what you would give make:
#
#	sh loop.sh LLVM=1 O=../build M=drivers/gpu/nova-core -j8
#
# Output, after an edit of rust/kernel/pci.rs:
#
#	kdeps: stale: crate `kernel` is older than rust/kernel/pci.rs, changed 3.1 s ago
#	kdeps: refreshing: make LLVM=1 O=../build -j8 modules_prepare
#	  RUSTC L rust/kernel.o
#	  EXPORTS rust/exports_kernel_generated.h
#	kdeps: refreshed in 4.9 s
#	  RUSTC [M] nova_core.o
#	  LD [M]  nova-core.ko
#	Enter builds again, Ctrl-D ends.

while :; do
	kdeps make "$@" || echo "not built; see above"
	echo "Enter builds again, Ctrl-D ends."
	read -r _ || exit 0
done
