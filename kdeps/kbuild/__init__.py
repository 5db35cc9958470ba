# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What Kbuild did and would do: trees, rules, the graph, what only Makefiles contain.

Nothing here compares time stamps or decides what is stale.
Start reading at ``rules.read_rules``, which turns the records of a tree into rules.
"""
