# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Where what is remembered lies."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from kdeps.cache import cache_directory, store
from kdeps.demo.miniature import MODULE, Miniature

from .conftest import RunKdeps


def test_the_cache_lies_where_xdg_says_and_else_at_home(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    assert cache_directory({"XDG_CACHE_HOME": "/x", **home}) == "/x/kdeps"
    assert cache_directory({"XDG_CACHE_HOME": "relative", **home}) == f"{tmp_path}/.cache/kdeps"
    assert cache_directory(home) == f"{tmp_path}/.cache/kdeps"
    assert cache_directory({}) == f"{pwd.getpwuid(os.getuid()).pw_dir}/.cache/kdeps"


def test_nobodys_home_is_not_made(tree: Miniature, kdeps: RunKdeps, tmp_path: Path) -> None:
    """Root could make ``/nonexistent``, the home of users that have none."""
    home = tmp_path / "nonexistent"
    store(os.path.join(cache_directory({"HOME": str(home)}), "x"), b"x")
    env = {"HOME": str(home), "XDG_CACHE_HOME": ""}
    for command in ("check", "ci", "make"):
        assert kdeps(tree, command, f"M={MODULE}", env=env).returncode == 0
    assert "there is no home" in kdeps(tree, "doctor", f"M={MODULE}", env=env).stdout
    assert not home.exists()
