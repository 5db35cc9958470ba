# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps make`` in a miniature tree, with a cache of its own and a log of every make started."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT
from tests.support.miniature import MODULE, Miniature
from tests.support.program import run_text

M = f"M={MODULE}"
NEW = "new_code_of_the_test"
ROOT = os.geteuid() == 0
KDEPS = (sys.executable, "-m", "kdeps", "make")


class Wrapped:
    """``kdeps make`` in one miniature, with a cache of its own and a log of every make started."""

    def __init__(self, tree: Miniature, tmp_path: Path) -> None:
        self.tree = tree
        self.log = tmp_path / "makes"
        self.log.touch()  # a make that is only asked may write into what is beside the tree, and make nothing there
        self.bin = tmp_path / "bin"
        self.bin.mkdir()
        make = self.bin / "make"
        make.write_text(f'#!/bin/sh\necho "$PPID make $*" >> {self.log}\nexec {shutil.which("make")} "$@"\n')
        make.chmod(0o755)
        self.cache = tmp_path / "cache"

    def environment(self, env: dict[str, str] | None = None) -> dict[str, str]:
        found = self.tree.environment(
            {"PYTHONPATH": str(CHECKOUT), "XDG_CACHE_HOME": str(self.cache), **(env or {})}
        )
        found.pop("PYTEST_CURRENT_TEST", None)  # another value in every phase of a test
        return {**found, "PATH": f"{self.bin}:{found['PATH']}"}

    def command(self, *words: str) -> list[str]:
        options = [word for word in words if word.startswith("--on-stale")]
        rest = [word for word in words if word not in options]
        return [*KDEPS, *options, *self.tree.tree_args, *rest]

    def call(self, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run ``kdeps make`` with these words alone."""
        return run_text(("make", *words), cwd=cwd, env=self.environment())

    def run(
        self, *words: str, env: dict[str, str] | None = None, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run it with the words that name the tree, too."""
        command = self.command(*words)[len(KDEPS) - 1 :]
        return run_text(command, cwd=cwd or self.tree.srctree, env=self.environment(env))

    def start(self, *words: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*words), cwd=self.tree.srctree, env=self.environment(env), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def start_slow(self, seconds: float) -> subprocess.Popen[str]:
        """Build, edit the core, and start a refresh that is compiling the crate ``kernel`` on return."""
        slow_rustc(self.tree)
        self.run(M)
        self.add_code()
        started = self.start(M, env={"SLOW": str(seconds)})
        wait_for(self.compiles, "rustc was never started")
        return started

    def compiles(self) -> bool:
        """Whether the crate ``kernel`` is being compiled."""
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = entry.read_bytes()
            except OSError:
                continue
            if b"kernel" in words.split(b"\0") and bytes(self.tree.toolchain) in words:
                return True
        return False

    def add_code(self) -> None:
        """Edit a source of the crate ``kernel``; `module` contains `NEW` once it is built again."""
        self.tree.append("rust/kernel/io.rs", f"pub fn {NEW}() {{}}\n")

    def makes(self) -> list[str]:
        """The goals and variables of each make that was started, since the last time this was asked."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.write_text("")
        return [line.partition(" make ")[2] for line in lines]

    def module(self) -> str:
        return (self.tree.module / "nova-core.ko").read_text()

    def assert_fresh(self, *words: str) -> None:
        """Kbuild itself has nothing to do, neither in the kernel nor in the module."""
        assert self.tree.kernel_answer("modules_prepare", *words) == []
        assert self.tree.kernel_answer(M, *words) == []


@pytest.fixture
def make(tree: Miniature, tmp_path: Path) -> Wrapped:
    return Wrapped(tree, tmp_path)


@pytest.fixture
def confirmed(make: Wrapped) -> Wrapped:
    """A fresh tree whose commands Kbuild has confirmed."""
    assert make.run(M).returncode == 0
    make.makes()
    return make


def slow_rustc(tree: Miniature) -> None:
    """Let rustc take its time over the crate ``kernel`` when told to."""
    tree.replace(
        tree.toolchain / "bin/rustc",
        "\nclass Options:",
        '\nif os.environ.get("SLOW") and "kernel" in sys.argv:\n    import time\n    time.sleep(float(os.environ["SLOW"]))\n\n\nclass Options:',
    )


def wait_for(condition: Callable[[], bool], what: str) -> None:
    limit = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < limit, what
        time.sleep(0.02)
