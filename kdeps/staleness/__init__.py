# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The verdict: which rules are stale, and why.

It must not depend on who asks for the verdict, or how it is printed.
Start reading at ``check.check_build`` (make's words in, verdict out) and ``judge`` (pure).
"""
