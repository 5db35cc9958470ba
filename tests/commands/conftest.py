# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A machine and a module of two builds, for the tests of `kdeps loaded`; the fixtures of `kdeps make` and of a watch."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.machine import Machine, build_module, put_module
from tests.support.make_wrapper import confirmed, make
from tests.support.miniature import Miniature
from tests.support.watching import env, start_watch

__all__ = ["confirmed", "env", "make", "start_watch"]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "machine")


@pytest.fixture
def built(tree: Miniature, tmp_path: Path) -> Path:
    """The tree's module, as a real one."""
    return put_module(tree, build_module(tmp_path / "new", 2))


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """An older build of the module."""
    data = build_module(tmp_path / "old", 1)
    path = tmp_path / "old.ko"
    path.write_bytes(data)
    return path
