# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Oopses of a real kernel in QEMU: does ``kdeps decode`` know from which of two builds each of them is?

Each module of a set is built twice, with one edit in between. A guest loads all of the first build, another guest all of
the second, and each module oopses or warns. Then each of the two logs is decoded against each of the two builds.

The referee is the log itself: where both guests print the same frames and the same code, no reader could tell the
builds apart; everywhere else kdeps has to say which one it is. With build ids in the frames it always has to. File and
line are never given for another build, and for the right one they are those of the call in the source. The tree has no
debug information, so that kdeps has to compile the modules again for them.

    python -m tests.lab oopses --lab DIR --seed 1 --count 8

Needs the lab's ``small`` tree, and ``qemu-system-x86`` and ``busybox-static`` outside of the lab.
"""
