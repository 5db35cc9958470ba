# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Bytes to values: ``.cmd`` and ``.d`` files, shell commands, configurations, make's words.

Nothing here opens a file or depends on one that exists.
Start reading at ``cmdfile``, the format of Kbuild's records.
"""
