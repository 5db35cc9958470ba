# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The steps of a refresh as a ``build.ninja``.

make compares times. Touch a header that bindgen reads and Kbuild makes the bindings
again, byte for byte the same, and then every crate behind them. Ninja can be told that
an output did not change (``restat``), and the wave stops there. What ninja runs is what
Kbuild recorded: the same command, in the same folder, with the same environment, and
its dependency list goes through Kbuild's own ``fixdep`` into the same record.

Three modules:

* ``replay``: which steps can be taken from the record, and which only make can take
* ``manifest``: writes them down (the one module that imports ninja_syntax)
* ``timestamps``: afterwards gives outputs that are proven up to date a time that Kbuild accepts

and ``step.sh``, which goes around every command.
"""
