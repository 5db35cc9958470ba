# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""kdeps loaded on a real kernel: a module of this machine in a guest, old and new, in every place.

Debian's cloud kernel boots in QEMU with a busybox initramfs, and a module that was built twice against its headers is
loaded, installed and packed there in every combination. The guest runs the script of ``kdeps loaded --script`` after
each step, and kdeps judges on this machine what it printed. Then the lab's ``small`` kernel boots with a Rust module
that was built twice inside the lab, and the same steps are judged there.

Needs root (for apt), the lab's ``small`` tree, and Debian's qemu-system-x86, busybox-static, gcc, make, xz-utils, cpio and binutils.
"""
