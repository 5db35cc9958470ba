#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Fetch the JavaScript libraries of the page of ``kdeps graph`` from npm, at pinned versions.

Usage:
    .ci/vendor-page.py            fetch with npm, check, and write kdeps/report/graph/page/vendor/
    .ci/vendor-page.py --check    only compare what is committed with the pinned hashes

To take a newer version, change its line below; the first run prints the hashes it found.
"""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple

VENDOR = Path(__file__).resolve().parent.parent / "kdeps/report/graph/page/vendor"


class Package(NamedTuple):
    """One package of npm's, and the files we take of it."""

    name: str
    version: str
    integrity: str
    """sha512 of the package, as npm writes it into a lock file."""
    files: dict[str, tuple[str, str]]
    """File in the package → our name for it, and the sha256 of its content."""


PACKAGES = (
    Package(
        "cytoscape",
        "3.34.4",
        "sha512-msY99tMY8iWTg+sIPGfSqDcPNOt4xcj+v/K/7qUFaCUxxlqnMkUYLBjRUzn9W5CU/R2hrmtJa5+UtovrEM2ctg==",
        {
            "dist/cytoscape.min.js": (
                "cytoscape.min.js",
                "081591ab735b2b6a3b31a3c60f8f3a3e2fee8c92939e0c7820ad1208571b6cd8",
            ),
            "LICENSE": (
                "cytoscape.LICENSE.txt",
                "eb319c6e6f233607f71e8e2f450391751883cfc0eeb3ca7ef574c13d1d9c2203",
            ),
        },
    ),
    Package(
        "@dagrejs/dagre",
        "3.1.3",
        "sha512-X4aUTwOReZvthaZWOVHqlJ52/ZdhZFEM4+Lh/uR4XooUSLE6p71bcy7MPGzYnNUcNh+nj+i/qJQpCMIdQnSmrg==",
        {
            "dist/dagre.min.js": (
                "dagre.min.js",
                "54a503e346f93ca0bb10abe7999587e037262935687aca45eb4e4b0f64bbb578",
            ),
            "LICENSE": (
                "dagre.LICENSE.txt",
                "6a349742a6cb219d5a2fc8d0844f6d89a6efc62e20c664450d884fc7ff2d6015",
            ),
        },
    ),
)


def main() -> int:
    """Fetch or check; the exit status is 1 where something differs."""
    wrong = (
        check() if "--check" in sys.argv[1:] else [line for package in PACKAGES for line in fetch(package)]
    )
    for line in wrong:
        print(f"vendor_page: error: {line}", file=sys.stderr)
    return 1 if wrong else 0


def check() -> list[str]:
    """Compare the committed files with their hashes."""
    return [
        f"{VENDOR / ours}: sha256 is {found}, not {wanted}"
        for package in PACKAGES
        for ours, wanted in package.files.values()
        if (found := _sha256((VENDOR / ours).read_bytes())) != wanted
    ]


def fetch(package: Package) -> list[str]:
    """Fetch one package and write its files if they are what they should be."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", f"{package.name}@{package.version}"]
        packed = Path(
            folder,
            subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.split()[
                -1
            ],
        )
        integrity = "sha512-" + base64.b64encode(hashlib.sha512(packed.read_bytes()).digest()).decode()
        if integrity != package.integrity:
            return [f"{package.name}: integrity is {integrity}, not {package.integrity}"]
        wrong = []
        with tarfile.open(packed) as archive:
            for theirs, (ours, wanted) in package.files.items():
                member = archive.extractfile(f"package/{theirs}")
                data = member.read() if member else b""
                if _sha256(data) != wanted:
                    wrong.append(f"{package.name}/{theirs}: sha256 is {_sha256(data)}, not {wanted}")
                    continue
                VENDOR.mkdir(parents=True, exist_ok=True)
                (VENDOR / ours).write_bytes(data)
        return wrong


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
