# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""One command inside the lab."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import __doc__ as usage
from .enter import run_in_lab


def main() -> int:
    """Parse, enter, and end as the command ended."""
    parser = argparse.ArgumentParser(
        prog="python3 -m tests.lab", description=usage, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lab", type=Path, default=Path("/var/tmp/kdeps-lab"))
    parser.add_argument("--site", type=Path, help="folder with other Python packages than the lab's own")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    parts = ("kdeps", "tests", "examples", "Makefile.snippet", "README.md", "pyproject.toml")
    return run_in_lab(options.lab, options.command, parts=parts, site=options.site)


if __name__ == "__main__":
    sys.exit(main())
