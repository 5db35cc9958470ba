# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What is drawn inside of what."""

from __future__ import annotations

import os
from pathlib import Path

from kdeps.report.graph.group import NodeKind, group_build
from kdeps.staleness.check import check_build
from tests.support.miniature import MODULE, Miniature

MAKEFILE = """\
obj-m := two.o drm.o
two-y := core/core.o core/shim.o
drm-y := drm/drm.o
$(obj)/drm/drm.o: $(obj)/core/core.o
"""


def _read_also(record: Path, name: str) -> None:
    """Write a prerequisite into a record, as a compiler would have listed it."""
    text = record.read_text(encoding="utf-8")
    head, found, rest = text.partition(" := \\\n")
    assert found, text
    record.write_text(f"{head}{found}  {name} \\\n{rest}", encoding="utf-8")


def _inside(tree: Miniature) -> dict[str, str]:
    """Which group each step of the module is drawn in."""
    picture = group_build(check_build((*tree.tree_args, f"M={MODULE}"), str(tree.srctree), dict(os.environ)))
    return {
        os.path.relpath(node.path, tree.module): picture.nodes[node.parent].label
        for node in picture.nodes
        if node.kind is NodeKind.RULE and node.path.startswith(f"{tree.module}/")
    }


def _two_modules(tree: Miniature) -> None:
    for name in ("core/core", "core/shim", "drm/drm"):
        tree.edit(f"{MODULE}/{name}.rs", "use kernel::prelude;\n")
    tree.edit(f"{MODULE}/Makefile", MAKEFILE)
    tree.make(f"M={MODULE}")


def test_an_object_is_drawn_in_the_module_that_links_it(tree: Miniature) -> None:
    """One module compiled against another's crate, as nova-drm is from 7.3 on, does not take the crate over."""
    _two_modules(tree)
    _read_also(tree.module / "drm/.drm.o.cmd", "core/core.o")
    inside = _inside(tree)
    assert inside["core/core.o"] == inside["core/shim.o"] == inside["two.o"] == "two.ko"
    assert inside["drm/drm.o"] == inside["drm.o"] == "drm.ko"


def test_a_cycle_among_the_objects_of_a_module_ends(tree: Miniature) -> None:
    """Records that need each other's target are drawn somewhere."""
    _two_modules(tree)
    for name in ("two", "drm"):
        (tree.module / f".{name}.o.cmd").unlink()
    _read_also(tree.module / "core/.core.o.cmd", "core/shim.o")
    _read_also(tree.module / "core/.shim.o.cmd", "core/core.o")
    assert "core/core.o" in _inside(tree)
