# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The lab's trees as ``tests/lab/make-lab.sh`` recorded them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

LAYOUT_DIR = Path("/var/lib/kdeps-lab/layouts")
"""Inside the lab. One JSON file per layout."""
WHOLE_DIR = Path("/var/lib/kdeps-lab/trees")
"""One JSON file per whole kernel: a layout without modules of its own."""


@dataclass(frozen=True, slots=True)
class Module:
    """One module folder that was built with ``M=`` and is fresh."""

    name: str
    languages: tuple[str, ...]
    """``rust``, ``c`` or both."""
    folder: str
    """Where its sources lie."""
    output: str
    """Where its objects lie; the folder itself without ``MO=``."""
    make: tuple[str, ...]
    """What make gets besides the layout's own arguments."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A source tree, an object tree and the modules built against them."""

    name: str
    about: str
    cwd: str
    """The folder make is called in."""
    srctree: str
    objtree: str
    prepare: bool
    """Whether ``modules_prepare`` can run (not in a linux-headers package)."""
    make: tuple[str, ...]
    modules: tuple[Module, ...]


def read_layouts(folder: Path = LAYOUT_DIR) -> dict[str, Layout]:
    """Return the layouts that are built, by name."""
    return {layout.name: layout for layout in map(_read_layout, sorted(folder.glob("*.json")))}


def _read_layout(path: Path) -> Layout:
    data = json.loads(path.read_text())
    modules = tuple(
        Module(
            name=m["name"],
            languages=tuple(m["languages"]),
            folder=m["folder"],
            output=m["output"],
            make=tuple(m["make"]),
        )
        for m in data.get("modules", ())
    )
    return Layout(
        name=data["name"],
        about=data.get("about", ""),
        cwd=data["cwd"],
        srctree=data["srctree"],
        objtree=data["objtree"],
        prepare=data.get("prepare", True),
        make=tuple(data["make"]),
        modules=modules,
    )
