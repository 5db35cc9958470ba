# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A miniature with a small kernel in it, for ``kdeps ci --scope=tree``."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from kdeps.kbuild.records import RecordReader
from kdeps.kbuild.rule import Rule
from kdeps.kbuild.tree import find_tree
from kdeps.staleness.whole_tree import read_records
from tests.conftest import CHECKOUT, RunKdeps
from tests.support.miniature import Miniature
from tests.support.schemas import read_json


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache directory of this test's own."""
    folder = tmp_path / "own-cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


@pytest.fixture
def whole(tree: Miniature) -> Miniature:
    """A miniature with a small kernel in it: two folders of objects, their archives, vmlinux and its image.

    The records are written by hand, in the words of a real 7.2: the miniature's make knows
    no vmlinux. Kbuild itself is the referee of tests/campaigns/whole, on real kernels.
    """
    for folder in ("alpha", "beta"):
        for name in ("one", "two"):
            source = tree.edit(tree.srctree / f"{folder}/{name}.c", "int x;\n")
            command = f"clang -Wp,-MMD,{folder}/.{name}.o.d -D__KERNEL__ -c -o {folder}/{name}.o {source}"
            record(tree, f"{folder}/{name}.o", command, source)
        record(tree, f"{folder}/built-in.a", archive(f"{folder}/built-in.a", folder, "one.o", "two.o"))
    record(tree, "built-in.a", archive("built-in.a", "", "alpha/built-in.a", "beta/built-in.a"))
    record(tree, "vmlinux", "ld -o vmlinux built-in.a")
    record(tree, "arch/x86/boot/vmlinux.bin", "llvm-objcopy -O binary vmlinux arch/x86/boot/vmlinux.bin")
    return tree


def archive(name: str, folder: str, *members: str) -> str:
    prefix = f"{folder}/" if folder else ""
    return f'rm -f {name};  printf "{prefix}%s " {" ".join(members)} | xargs llvm-ar cDPrST {name}'


def record(tree: Miniature, name: str, command: str, *listed: Path) -> Path:
    target = tree.edit(tree.objtree / name, "made")
    text = f"savedcmd_{name} := {command}\n"
    if listed:
        files = "".join(f"  {path} \\\n" for path in listed[1:])
        text += f"\nsource_{name} := {listed[0]}\n\ndeps_{name} := \\\n{files}\n{name}: $(deps_{name})\n\n$(deps_{name}):\n"
    target.with_name(f".{target.name}.cmd").write_text(text)
    return target


def rules_of(tree: Miniature) -> dict[str, Rule]:
    found = find_tree((*tree.tree_args,), str(tree.srctree), dict(os.environ))
    reader = RecordReader(found, whole=True)
    read_records(reader, {})
    return {rule.name: rule for rule in reader.rules.values()}


def ask(kdeps: RunKdeps, tree: Miniature, *words: str) -> dict[str, Any]:
    done = kdeps(tree, "ci", "--scope=tree", "--format=json", *words)
    report = read_json(done.stdout)
    assert done.returncode == {"fresh": 0, "stale": 1, "unknown": 2}[report["verdict"]], done.stderr
    part: dict[str, Any] = report["modules"][0]
    return part


def environment(tree: Miniature) -> dict[str, str]:
    return tree.environment({"PYTHONPATH": str(CHECKOUT)})


def settle(kdeps: RunKdeps, tree: Miniature) -> None:
    """Let the index be written of records that are old enough to be remembered."""
    time.sleep(1.1)
    assert ask(kdeps, tree)["verdict"] == "fresh"
