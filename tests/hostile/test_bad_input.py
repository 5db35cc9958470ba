# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Damaged trees and absurd arguments, through the real program.

Of every case: no traceback, never "fresh" where something is damaged that the
module uses, one line that names the file, and a tree that is as it was before.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.bad_input import KERNEL, TIMEOUT_S, M, check, cure, rewrite, unchanged
from tests.support.miniature import MODULE, Miniature

# -- a damaged record of a crate -----------------------------------------------


def bind_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        cwd = os.getcwd()
        os.chdir(path.parent)  # the whole path may be too long for an address
        try:
            end.bind(path.name)
        finally:
            os.chdir(cwd)


def cut(path: Path, where: Callable[[bytes], int]) -> None:
    rewrite(path, lambda data: data[: where(data)])


def replaced(how: Callable[[Path], object]) -> Callable[[Path], object]:
    def replace(path: Path) -> None:
        path.unlink()
        how(path)

    return replace


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: rewrite(path, lambda _: b""),
    "nul-bytes": lambda path: rewrite(path, lambda data: b"\0" * len(data)),
    "nul-bytes-behind": lambda path: rewrite(path, lambda data: data[:200] + b"\0" * 4096),
    "cut-in-the-prefix": lambda path: cut(path, lambda _: 5),
    "cut-in-the-target": lambda path: cut(path, lambda _: 12),
    "cut-before-the-outputs": lambda path: cut(path, lambda data: data.index(b"--emit")),
    "cut-in-an-output": lambda path: cut(path, lambda data: data.index(b"libkernel.rmeta") + 3),
    "cut-behind-the-command": lambda path: cut(path, lambda data: data.index(b"\n") + 1),
    "cut-in-the-source": lambda path: cut(path, lambda data: data.index(b"\nsource_") + 25),
    "cut-before-the-list": lambda path: cut(path, lambda data: data.index(b"\ndeps_") + 1),
    "cut-between-two-lines": lambda path: cut(path, lambda data: data.index(b" \\\n", len(data) // 2) + 3),
    "cut-in-a-wildcard": lambda path: cut(path, lambda data: data.index(b"$(wildcard") + 15),
    "cut-in-the-rule": lambda path: cut(path, lambda data: data.index(b"\nrust/kernel.o:") + 8),
    "binary": lambda path: rewrite(path, lambda _: bytes(range(256)) * 20),
    "an-object": lambda path: rewrite(path, lambda _: b"\x7fELF\2\1\1" + b"\0" * 500),
    "another-programs": lambda path: rewrite(path, lambda _: b"<<<<<<< HEAD\nsavedcmd_a := b\n=======\n"),
    "100-megabytes": lambda path: os.truncate(path, 100 << 20),
    "40-megabytes-of-text": lambda path: rewrite(path, lambda data: data + b"#" * (40 << 20)),
    "gone": lambda path: path.unlink(),
    "fifo": replaced(os.mkfifo),
    "socket": replaced(bind_socket),
    "directory": replaced(os.mkdir),
    "dangling-link": replaced(lambda path: path.symlink_to("/nonexistent/record")),
    "link-to-itself": replaced(lambda path: path.symlink_to(path.name)),
    "link-to-a-device": replaced(lambda path: path.symlink_to("/dev/zero")),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_crate_with_a_damaged_record_is_stale(tree: Miniature, damage: str) -> None:
    """Whatever happened to its record, a crate the module uses is never taken for fresh."""
    record = tree.objtree / KERNEL
    DAMAGES[damage](record)
    with unchanged(tree):
        done = check(tree, M)
    assert done.returncode == 1, done.stdout
    assert "crate `kernel`" in done.stdout
    assert ".kernel.o.cmd" in done.stdout or damage in ("gone", "dangling-link")


KINDS = (
    "empty",
    "cut-before-the-outputs",
    "cut-between-two-lines",
    "cut-in-a-wildcard",
    "binary",
    "100-megabytes",
    "fifo",
    "dangling-link",
)
"""One damage of each kind, for what takes longer."""


@pytest.mark.parametrize("damage", KINDS)
def test_what_the_help_says_cures_it(tree: Miniature, damage: str) -> None:
    """The commands shown, pasted into a shell, end in a fresh tree."""
    DAMAGES[damage](tree.objtree / KERNEL)
    pasted = subprocess.run(
        ["sh", "-ec", "\n".join(cure(check(tree, M)))],
        cwd=tree.srctree,
        env=tree.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    assert pasted.returncode == 0, (pasted.args, pasted.stderr)
    done = check(tree, M)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("damage", KINDS)
def test_a_modules_own_damaged_record_is_pending_or_told(tree: Miniature, damage: str) -> None:
    """Fresh with a damaged record of the module's own means: make M= rebuilds that target by itself."""
    record = tree.module / ".nova_core.o.cmd"
    DAMAGES[damage](record)
    with unchanged(tree):
        done = check(tree, M)
    if done.returncode == 0:
        assert "of its own to rebuild" in done.stdout
        assert "nova_core.o" in tree.rebuilds(M)
    else:
        assert ".nova_core.o.cmd" in done.stdout or "nova_core.o" in done.stdout


# -- what one may not read or write ----------------------------------------------


def test_a_record_that_may_not_be_read_is_named(tree: Miniature) -> None:
    """Without permission to read a record its crate is not fresh, and the line says why."""
    record = tree.objtree / KERNEL
    record.chmod(0)
    with unchanged(tree):
        done = check(tree, M, unprivileged=True)
    assert done.returncode in (1, 2)
    assert ".kernel.o.cmd: Permission denied" in done.stdout


@pytest.mark.parametrize("folder", ["rust", "scripts", "include/config", "rust/bindings"])
def test_a_folder_that_may_not_be_read_is_named(tree: Miniature, folder: str) -> None:
    """A folder that cannot be read makes the answer unknown: it is not fresh, and nothing in it is gone."""
    path = tree.objtree / folder
    path.chmod(0)
    try:
        done = check(tree, M, unprivileged=True)
    finally:
        path.chmod(0o755)
    assert done.returncode == 2, done.stdout
    assert "is gone" not in done.stdout
    assert "rm -f" not in done.stdout
    assert folder in done.stdout + done.stderr
    assert "Permission denied" in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["auto.conf", "auto.conf.cmd"])
def test_a_configuration_that_may_not_be_read_or_is_empty_is_named(tree: Miniature, name: str) -> None:
    """What the configuration is decides much; nothing is judged without it."""
    path = tree.objtree / "include/config" / name
    path.chmod(0)
    done = check(tree, M, unprivileged=True)
    path.chmod(0o644)
    assert (done.returncode, done.stderr) == (2, f"kdeps: error: {path}: Permission denied\n")
    if name == "auto.conf":
        path.write_bytes(b"")
        done = check(tree, M)
        expected = f"kdeps: error: {path}: empty; delete it and run `make modules_prepare`\n"
        assert (done.returncode, done.stderr) == (2, expected)


def test_a_module_folder_that_may_not_be_read_is_named(tree: Miniature) -> None:
    """The same for the module's own folder."""
    tree.module.chmod(0)
    try:
        done = check(tree, M, unprivileged=True)
    finally:
        tree.module.chmod(0o755)
    assert done.returncode in (1, 2), done.stdout
    assert MODULE in done.stdout + done.stderr


@pytest.mark.parametrize("words", [(), ("--format=json",)])
def test_a_tree_that_may_not_be_written_is_read_all_the_same(tree: Miniature, words: tuple[str, ...]) -> None:
    """Read-only trees, and a read-only cache: the same answer as ever."""
    tree.touch("rust/kernel/io.rs")
    writable = verdict_of(check(tree, *words, M).stdout)
    folders = [Path(folder) for folder, _, _ in os.walk(tree.root)]
    cache = tree.root / "cache"
    cache.mkdir()
    for folder in (*folders, cache):
        folder.chmod(0o555)
    try:
        with unchanged(tree):
            done = check(tree, *words, M, env={"XDG_CACHE_HOME": str(cache)}, unprivileged=True)
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert done.returncode == 1
    assert verdict_of(done.stdout) == writable


def verdict_of(output: str) -> object:
    """What a verdict says, without the times in it."""
    if output.startswith("{"):
        document = json.loads(output)
        del document["stats"]
        return document
    return re.sub(r"changed [\d.]+ \w+ ago", "changed", output)
