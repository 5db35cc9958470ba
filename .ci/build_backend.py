# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The build backend: setuptools, after click-man has written the manual pages.

The wheel installs them below ``share/man/man1``. An editable install has none.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F403

TOP = Path(__file__).resolve().parent.parent
PAGES = TOP / "build/man"


def build_wheel(
    wheel_directory: str, config_settings: Any = None, metadata_directory: str | None = None
) -> str:
    """Write the manual pages, then build the wheel as setuptools does."""
    write_pages(PAGES)
    return build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    """click-man imports every command, so it needs what the commands import."""
    listed = re.search(
        r"^dependencies = (\[.*?\])", (TOP / "pyproject.toml").read_text(), re.MULTILINE | re.DOTALL
    )
    dependencies = ast.literal_eval(listed[1]) if listed else []
    return [*build_meta.get_requires_for_build_wheel(config_settings), "click-man>=0.6", *dependencies]


def write_pages(folder: Path) -> None:
    """Write one page for kdeps and one for each command."""
    sys.path.insert(0, str(TOP))
    from click_man.core import write_man_pages

    from kdeps import __version__
    from kdeps.cli.dispatch import all_commands

    folder.mkdir(parents=True, exist_ok=True)
    write_man_pages("kdeps", all_commands(), version=__version__, target_dir=str(folder))
