# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The name of a crate, and the names of the files that rustc makes from it."""

from __future__ import annotations

import os


def crate_name(outputs: tuple[str, ...]) -> str:
    """The crate that the outputs of a step belong to; empty for anything else."""
    for output in outputs:
        stem, dot, suffix = os.path.basename(output).rpartition(".")
        if dot and suffix in ("rmeta", "so", "rlib") and stem.startswith("lib"):
            return stem[3:]
    return ""
