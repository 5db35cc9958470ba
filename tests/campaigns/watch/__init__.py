# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A watch on a real kernel tree says what a fresh ``kdeps check`` says, whatever happens to the tree.

Usage, as root, with a lab that ``tests/lab/make-lab.sh`` has made::

    python3 -m tests.lab watch --lab DIR [--layout NAME] [--seed N] [--sequences N] [--storms NAME,…|all]
                           [--latency N] [--soak SECONDS] [--coverage] [--in-place] [--only SEED:INDEX]

Each *sequence* is a few seeded deeds: the mutations of ``tests.lab.mutate``, saves as
editors do them, git at work in the source tree, make itself (a stand-in for the
compilers keeps it quick), folders moved, deleted and linked to. After each deed
the watch must come to the verdict of a fresh check, within seconds, by
events alone; and while it came there it must have published nothing that was
neither the verdict before nor the one after.

``--coverage`` looks over the shoulder of a survey of every module of every layout: whatever it
stats, lists or opens must be among the names that would be watched.

Trees are covered by an overlay and left as they were; ``--in-place`` works on the lab's
own disk instead, undoes what it does, and is for a lab that nobody else uses.
"""
