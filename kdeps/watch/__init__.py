# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The verdict, kept current.

Events only wake it; the verdict always comes from the disk, by the same
``check_build`` as ``kdeps check``::

    events, polling ─┐
    writers ─────────┼▶ debounce ─▶ module ─▶ publish: terminal, status files, socket, hooks
    clock ───────────┘     ▲          │
                           │          ├▶ interest: which folders matter, from now on
                           └──────────┴▶ refresher

Start reading in ``loop``, which ties them together. ``interest`` finds which names in which folders a
check has read; ``events`` announces when one of them changes; ``writers`` finds what is still writing;
``debounce`` decides when to check; ``module`` checks; ``publish`` publishes; ``refresher`` and ``hooks`` act.
None of them decides what is stale.
"""
