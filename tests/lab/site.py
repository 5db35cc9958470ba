# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Python packages that Debian does not have, for a run inside the lab."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def ninja_site() -> Iterator[Path]:
    """A folder with ninja_syntax, which is one file."""
    import ninja_syntax  # type: ignore[import-untyped]  # it has no types

    with tempfile.TemporaryDirectory(prefix="kdeps-site-") as folder:
        shutil.copy(ninja_syntax.__file__, folder)
        yield Path(folder)
