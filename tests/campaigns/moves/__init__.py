# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Moves that change nothing: after settling, real make compiles nothing (a campaign on a real tree).

A part of the lab's source tree is put under git, with a second branch that edits a crate, a C
header, a Kconfig file and a Makefile. Each move leaves the contents as they were built, and
the times not: a change of branch and back, stash and pop, a commit that is taken back, an edit
that is undone by mv, files rewritten with the same bytes. Then `kdeps settle` runs, then real
make, which must compile nothing and leave every output as it is.

    sudo .venv/bin/python -m tests.lab moves --lab DIR --seed 1 --count 20

With --both the second branch is built as well, by `kdeps make` and by make alone in another
overlay, and every output compared. Then `kdeps make` comes back to each branch, and to a module
after `make clean`: nothing is compiled again, and every file is as it was.

With --cached N, N states in a row are built as in CI, each from the cache of the one before with times
destroyed (`kdeps ci --restore`), and compared with the same states where times are true; of --spoilt N
caches one is wrong: an output edited, a record cut off, a build cancelled, another compiler.
"""
