# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The ``.d`` files that broken-off steps leave behind name what those steps read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from kdeps.kbuild.rules import read_rules
from kdeps.kbuild.tree import find_tree
from tests.conftest import RunKdeps
from tests.support.miniature import MODULE, Miniature

M = f"M={MODULE}"


def depfile(tree: Miniature, target: str, *sources: str) -> Path:
    """Write what a compiler writes while it makes a target."""
    folder, _, name = target.rpartition("/")
    path = tree.objtree / folder / f".{name}.d"
    names = " ".join(str(tree.path(source)) for source in sources)
    path.write_text(f"{target}: {names}\n\n" + "".join(f"{name}:\n" for name in names.split()))
    return path


def reasons_of(kdeps: RunKdeps, tree: Miniature, target: str) -> list[Any]:
    done = kdeps(tree, "check", "--format=json", M)
    return next(state["reasons"] for state in json.loads(done.stdout)["stale"] if state["target"] == target)


def test_a_file_that_only_the_broken_off_step_has_read(tree: Miniature, kdeps: RunKdeps) -> None:
    """A new file of the crate whose compile failed: `affected` knows the crate, and `why` the chain."""
    tree.edit("rust/kernel/extra.rs", "// new\n")
    assert "kernel" not in kdeps(tree, "affected", "rust/kernel/extra.rs", M).stdout.splitlines()[-1]
    depfile(tree, "rust/kernel.o", "rust/kernel/lib.rs", "rust/kernel/extra.rs")
    report = json.loads(kdeps(tree, "affected", "--format=json", "rust/kernel/extra.rs", M).stdout)
    assert "kernel" in [crate["crate"] for crate in report["crates"]]
    done = kdeps(tree, "why", "libkernel.rmeta", "rust/kernel/extra.rs", M)
    assert done.returncode == 0
    assert "extra.rs directly" in done.stdout


def test_a_step_whose_record_is_gone_is_judged_by_it(tree: Miniature, kdeps: RunKdeps) -> None:
    """Kbuild forgets helpers.o with its record; the `.d` still names what it was made from."""
    source = "rust/helpers/helpers.c"
    (tree.objtree / "rust/helpers/.helpers.o.cmd").unlink()
    depfile(tree, "rust/helpers/helpers.o", source)
    kinds = [reason["kind"] for reason in reasons_of(kdeps, tree, "rust/helpers/helpers.o")]
    assert kinds == ["missing-record"]
    tree.touch(source)
    reasons = reasons_of(kdeps, tree, "rust/helpers/helpers.o")
    assert ("newer-prerequisite", False, str(tree.path(source))) in [
        (reason["kind"], reason["kbuild"], reason.get("path")) for reason in reasons
    ]


def test_the_configuration_header_is_no_input(tree: Miniature) -> None:
    """Every change of the configuration touches autoconf.h; fixdep lists the symbols instead."""
    header = tree.objtree / "include/generated/autoconf.h"
    path = depfile(tree, "rust/kernel.o", "rust/kernel/lib.rs")
    path.write_text(f"rust/kernel.o: {header} {tree.path('rust/kernel/lib.rs')}\n")
    rules = read_rules(find_tree((*tree.tree_args, M), str(tree.srctree), tree.environment()))
    (kernel,) = (rule for rule in rules.rules if rule.name == "rust/kernel.o")
    assert str(header) not in (*kernel.uncompared_inputs, *kernel.prerequisites)


@pytest.mark.parametrize("data", [b"", b"\0" * 4096, b"rust/kernel.o: a\\", b"\xff\xfe: \\\n" * 1000])
def test_a_damaged_one_adds_nothing_false(tree: Miniature, kdeps: RunKdeps, data: bytes) -> None:
    """Cut off, binary or empty: no traceback, and the step is stale as before."""
    path = tree.objtree / "rust/.kernel.o.d"
    path.write_bytes(data)
    done = kdeps(tree, "check", "--format=json", M)
    assert done.returncode == 1
    assert done.stderr == ""
    assert "interrupted" in done.stdout


def test_a_fifo_in_its_place_keeps_nothing_waiting(tree: Miniature, kdeps: RunKdeps) -> None:
    """It is opened without waiting for a writer."""
    os.mkfifo(tree.objtree / "rust/.kernel.o.d")
    assert kdeps(tree, "check", M).returncode == 1
