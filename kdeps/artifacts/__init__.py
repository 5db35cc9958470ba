# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What compiled files contain about themselves: compilers, symbols, flags, notes.

Only plain files below the trees are opened. Nothing here compares them with a ledger.
Start reading at ``inspect``, which runs every inspection of one build.
"""
