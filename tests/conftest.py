# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What many tests need: a built miniature tree, kdeps as a process, and guards."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.elf_objects import put_programs
from tests.support.miniature import Miniature, Snapshot, create
from tests.support.program import run_text

# A shell starts a background job (and some CI agents start everything) with SIGINT
# ignored, and children inherit that: Ctrl-C could then not be tested.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # as under nohup

CHECKOUT = Path(__file__).parent.parent

# Containers often forbid bytecode, and then each process compiles every module that it imports.
if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix = str(CHECKOUT / ".pytest_cache/bytecode")
    sys.dont_write_bytecode = False

RunKdeps = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    """A miniature built once, with a separate object tree. Never changed: take ``tree``."""
    root = tmp_path_factory.mktemp("pristine")
    miniature = create(root, objtree=root / "build")
    miniature.build()
    return miniature


@pytest.fixture(scope="session")
def snapshot(pristine: Miniature) -> Snapshot:
    return Snapshot(pristine)


@pytest.fixture(scope="session")
def in_source(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """Another one, built in the source tree."""
    miniature = create(tmp_path_factory.mktemp("in-source"))
    miniature.build()
    return Snapshot(miniature)


@pytest.fixture(scope="session")
def with_programs(snapshot: Snapshot, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """Another one, whose tools are programs: what a compiler's file looks like tells its version."""
    miniature = snapshot.put(tmp_path_factory.mktemp("programs"))
    put_programs(miniature.toolchain / "bin")
    miniature.build()
    return Snapshot(miniature)


@pytest.fixture
def tree(snapshot: Snapshot, tmp_path: Path) -> Miniature:
    """A built miniature of one's own."""
    return snapshot.put(tmp_path / "tree")


@pytest.fixture
def kdeps() -> RunKdeps:
    """Run kdeps as a process on a miniature: ``kdeps(tree, "check", "M=…")``.

    ``O=`` is added behind the options of kdeps, as ``Miniature.make`` adds it.
    """

    def run(
        miniature: Miniature,
        command: str,
        *words: str,
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
        stdin: str = "",
    ) -> subprocess.CompletedProcess[str]:
        options = [w for w in words if w.startswith("--")]
        rest = [w for w in words if not w.startswith("--")]
        where = miniature.tree_args if cwd is None else ()
        return run_text(
            (command, *options, *where, *rest),
            cwd=cwd or miniature.srctree, env=miniature.environment(env), stdin=stdin,
        )  # fmt: skip

    return run


def paste_help(tree: Miniature, said: str, cwd: Path | None = None) -> list[str]:
    """Run the commands that stand under "help", as somebody pastes them into another shell; return them."""
    lines = [line.strip() for line in said.splitlines() if line.startswith("    ")]
    subprocess.run(
        ["sh", "-ec", "\n".join(lines)],
        cwd=cwd or tree.srctree,
        env=tree.environment(),
        check=True,
        capture_output=True,
    )
    return lines


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the cache of the person who runs it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    for name in ("KBUILD_OUTPUT", "KBUILD_EXTMOD", "LLVM", "ARCH", "MAKEFLAGS", "NO_COLOR", "KDEPS_ON_STALE"):
        monkeypatch.delenv(name, raising=False)


def drop_privileges() -> None:
    """Take from root what lets it read and write whatever the permissions say."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        if libc.prctl(24, capability, 0, 0, 0):  # PR_CAPBSET_DROP; exec then leaves them out
            raise OSError(ctypes.get_errno(), "prctl")
