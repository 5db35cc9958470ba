# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The Python packages that kdeps needs, for a run inside the lab, whose own may be others or none."""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGES = ("click", "elftools", "networkx", "ninja_syntax", "watchdog")
"""Python all through, so that any version of Python can read a copy."""


@contextmanager
def dependency_site(site: Path | None = None) -> Iterator[Path]:
    """Give the folder ``site``, or a temporary one with copies of this Python's packages."""
    if site is not None:
        yield site
        return
    with tempfile.TemporaryDirectory(prefix="kdeps-site-") as folder:
        for name in PACKAGES:
            spec = importlib.util.find_spec(name)
            if spec is None or spec.origin is None:
                raise SystemExit(f"lab: error: no Python package {name} here; pip install -e .[dev]")
            if spec.submodule_search_locations:
                ignored = shutil.ignore_patterns("__pycache__", "tests")
                shutil.copytree(Path(spec.origin).parent, Path(folder, name), ignore=ignored)
            else:
                shutil.copy(spec.origin, folder)
        yield Path(folder)
