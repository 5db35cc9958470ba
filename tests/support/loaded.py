# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A machine in a folder, and what `kdeps loaded` says of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from kdeps.running.build import read_build
from kdeps.running.facts_text import parse_facts
from kdeps.running.judge import judge_machine
from kdeps.running.module_file import read_module
from kdeps.running.script import render_script
from kdeps.staleness.check import check_build
from tests.conftest import RunKdeps
from tests.lab.qemu import pack_cpio
from tests.support.machine import FOLDER, Machine
from tests.support.miniature import Miniature


def build_id_of(path: Path) -> str:
    found = read_module(str(path)).build_id
    assert found is not None
    return found


class Asked:
    """One answer of kdeps loaded."""

    def __init__(self, document: dict[str, Any], status: int) -> None:
        self.document = document
        self.status = status
        self.kinds = {link["stage"]: link["kind"] for link in document["modules"][0]["links"]}
        self.help = document["modules"][0]["help"]


def busybox_only(folder: Path) -> str:
    """A folder with busybox's programs, and the two that it lacks for packed files."""
    found = folder / "busybox"
    if not found.exists():
        found.mkdir()
        subprocess.run([str(shutil.which("busybox")), "--install", "-s", str(found)], check=True)
        for tool in ("zstd", "lz4"):
            if place := shutil.which(tool):
                (found / tool).symlink_to(place)
    return str(found)


SHELLS = [words for words in (("sh",), ("busybox", "sh")) if shutil.which(words[0])]


def ask(kdeps: RunKdeps, tree: Miniature, machine: Machine, *, by_script: bool = True) -> Asked:
    """Ask about a machine, and let every shell's collected facts give the same answer.

    Not so by script where it knows less, because it compares no code and no damaged files.
    """
    done = kdeps(tree, "loaded", f"--sysroot={machine.root}", "--format=json", f"M={FOLDER}")
    assert done.stderr == ""
    answer = Asked(json.loads(done.stdout), done.returncode)
    for shell in SHELLS if by_script else []:
        collected = judge_collected(tree, collect(machine, shell))
        assert (shell, collected) == (shell, (answer.document["verdict"], answer.kinds))
    return answer


def collect(machine: Machine, shell: tuple[str, ...], names: tuple[str, ...] = ("nova_core",)) -> bytes:
    """Run the script on a machine in a folder; busybox has no other program than its own."""
    path = {"PATH": busybox_only(machine.root.parent)} if shell[0] == "busybox" else {}
    done = subprocess.run(
        [str(shutil.which(shell[0])), *shell[1:], "-s"],
        input=render_script(names, "7.2.13").encode(), capture_output=True, check=True,
        env={**os.environ, "KDEPS_ROOT": str(machine.root), **path},
    )  # fmt: skip
    assert done.stderr == b""
    return done.stdout


def judge_collected(tree: Miniature, facts: bytes) -> tuple[str, dict[str, str]]:
    """Judge facts that a script printed."""
    result = check_build((*tree.tree_args, f"M={FOLDER}"), str(tree.srctree), dict(tree.environment()))
    answer = judge_machine(read_build(result), parse_facts(facts, "facts"))[0]
    return answer.status.value, {link.stage.value: link.kind.value for link in answer.links}


def packed(data: bytes, tool: str, tmp_path: Path) -> bytes:
    """Compress as modules_install does."""
    if shutil.which(tool) is None:
        pytest.skip(f"needs {tool}")
    plain = tmp_path / "plain"
    plain.write_bytes(data)
    return subprocess.run([tool, "-c", str(plain)], check=True, capture_output=True).stdout


MICROCODE = {"kernel/x86/microcode/GenuineIntel.bin": b"\1" * 700}
COMPRESSORS = {
    "plain": (),
    "gz": ("gzip",),
    "xz": ("xz", "--check=crc32"),
    "zst": ("zstd", "-q"),
    "lz4": ("lz4", "-l"),
}


def initramfs(kind: str, files: dict[str, bytes], *, early: bool = True) -> bytes:
    """An archive as distributions make it: an early one in front, padded, then the compressed one."""
    main = pack_cpio(files)
    if COMPRESSORS[kind]:
        if shutil.which(COMPRESSORS[kind][0]) is None:
            pytest.skip(f"needs {COMPRESSORS[kind][0]}")
        main = subprocess.run(COMPRESSORS[kind], input=main, capture_output=True, check=True).stdout
    front = pack_cpio(MICROCODE) if early else b""
    return front + bytes(-len(front) % 512) + main
