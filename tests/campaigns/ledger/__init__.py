# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The ledger on real trees: what it says of seeded happenings is what hashing everything says.

python -m tests.lab ledger --lab DIR [--seed N] [--count N] [--only LAYOUT/MODULE:INDEX]

Of every layout and module of the lab a ledger is taken once. Each case then gets a throw-away view of the lab, in which
up to four things happen to files: sources, headers, artifacts, configuration, single symbols, or all stamps of a tree lose their
nanoseconds. The ledger's judgement is held against the truth: every file hashed by another hash, whatever its stamps say.
"""
