# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A refresh by ninja gives the bytes that make gives, and leaves Kbuild nothing to do.

Usage, as root, with a lab that ``tests/lab/make-lab.sh`` has made::

    python3 -m tests.lab replay --lab DIR [--layout NAME] [--with ninja|samurai] [--only EDIT]…

Each edit is made twice, in an overlay of its own: once ``kdeps make --with=ninja``
follows, once ``make modules_prepare && make M=…``, with the real compilers. Compared are
the sha256 of every object, crate, library and generated file, the records, and what
Kbuild would still do; the times of both are printed as a ratio.
"""
