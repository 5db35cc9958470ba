# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Floor 0: bytes to values.

What a ``.cmd`` file, a ``.d`` file, a recorded shell command and a kernel
configuration *say*. Nothing here opens a file or knows that one exists.
"""
