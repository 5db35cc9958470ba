# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What the wheel contains beside the package."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kdeps.cli.options import COMMANDS
from tests.conftest import CHECKOUT


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # click-man uses an old function of click
def test_every_command_gets_a_manual_page(tmp_path: Path) -> None:
    """The build backend writes one page for kdeps and one for each command."""
    spec = importlib.util.spec_from_file_location("build_backend", CHECKOUT / ".ci/build_backend.py")
    assert spec is not None
    assert spec.loader is not None
    backend = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(backend)
    backend.write_pages(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "kdeps.1",
        *(f"kdeps-{name}.1" for name in COMMANDS),
    }
    page = (tmp_path / "kdeps-check.1").read_text()
    assert "Would this build use stale kernel artifacts?" in page
    assert "\\-\\-exact" in page


def test_the_command_imports_nothing_but_kdeps() -> None:
    """What the script draws in, every check waits for."""
    script = str(CHECKOUT / "kdeps/cli/script/kdeps")
    environ = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    command = [sys.executable, "-S", "-X", "importtime", script, "check", "M=/nonexistent", "-q"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    imports = [line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "|" in line]
    assert "kdeps.cli.main" in imports
    assert not {"re", "enum", "typing"} & set(imports[: imports.index("kdeps.cli.main")])
    assert 'script-files = ["kdeps/cli/script/kdeps"]' in (CHECKOUT / "pyproject.toml").read_text()
