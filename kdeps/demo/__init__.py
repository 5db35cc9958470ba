# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A miniature kernel tree, and the story told on it.

``tree/`` holds the files: ``linux/`` (makefiles, scripts and sources of a kernel
a thousandth of the size), ``toolchain/`` (stand-ins for rustc, bindgen, clang
and binutils) and ``hello/`` (a module from outside the kernel tree).
``miniature`` puts them into a folder and drives make there; ``story`` shows on
it what kdeps is for.
"""
