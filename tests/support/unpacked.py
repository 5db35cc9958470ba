# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""An object tree from a cache beside a fresh checkout: times that mean nothing, and caches that lie."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.support.miniature import MODULE, Miniature

Poison = Callable[[Miniature, random.Random], None]

BUILT = (
    ".o",
    ".so",
    ".rmeta",
    ".rlib",
    ".ko",
    ".cmd",
    ".mod",
    ".mod.c",
    ".s",
    "modules.order",
    "Module.symvers",
)
"""What a build leaves in the folder of a module."""
SOURCES = (
    "rust/kernel/io.rs", "rust/kernel/lib.rs", "rust/macros/lib.rs", "rust/helpers/pci.c", "rust/bindings/bindings_helper.h",
    "include/linux/pci.h", "include/linux/types.h", f"{MODULE}/gpu.rs", f"{MODULE}/nova_core.rs", "rust/kernel/Kconfig",
)  # fmt: skip


def outputs(tree: Miniature) -> dict[str, bytes]:
    """All that was built, but what only says when or where it was configured."""
    found = {}
    for top in (tree.objtree, tree.module):
        for path in sorted(top.rglob("*")):
            own = top == tree.objtree or path.name.endswith(BUILT)
            if own and path.is_file() and not path.is_symlink() and "include/config" not in str(path):
                found[str(path)] = path.read_bytes()
    return found


def destroy_times(tree: Miniature, rng: random.Random) -> None:
    """Give every file a time of the last quarter of an hour; all outputs later ones, in every second tree."""
    blessed = rng.random() < 0.5
    now_ns = time.time_ns() - 10**9
    for top in (tree.srctree, tree.objtree):
        for path in top.rglob("*"):
            if path.is_file() and not path.is_symlink():
                made = tree.objtree in path.parents or path.name.endswith(BUILT)
                moment = now_ns - (
                    rng.randrange(10**11) if made and blessed else 10**11 + rng.randrange(9 * 10**11)
                )
                os.utime(path, ns=(moment, moment))


def make_all(tree: Miniature) -> None:
    """Build as the output of ``--restore`` says."""
    tree.make("modules_prepare")
    tree.make(f"M={MODULE}")


def build_clean(tree: Miniature) -> None:
    """Build the same sources and configuration from nothing."""
    config = (tree.objtree / ".config").read_bytes()
    for name in outputs(tree):
        os.unlink(name)
    for path in (tree.objtree / "include").rglob("*"):
        if path.is_file():
            path.unlink()
    (tree.objtree / ".config").write_bytes(config)
    make_all(tree)


# -- what may be wrong with a cache ----------------------------------------------------


def _chosen(tree: Miniature, rng: random.Random, *ends: str) -> Path:
    return Path(rng.choice([name for name in outputs(tree) if name.endswith(ends)]))


def nothing(tree: Miniature, rng: random.Random) -> None:
    """An honest cache."""


def edited_output(tree: Miniature, rng: random.Random) -> None:
    path = _chosen(tree, rng, ".o", ".rmeta", ".so", ".h", ".rs", ".ko", ".mod.c", ".s")
    data = bytearray(path.read_bytes() or b"x")
    data[rng.randrange(len(data))] ^= 1
    path.write_bytes(data)


def lost_output(tree: Miniature, rng: random.Random) -> None:
    _chosen(tree, rng, ".o", ".rmeta", ".so", ".h", ".rs").unlink()


def cut_record(tree: Miniature, rng: random.Random) -> None:
    path = _chosen(tree, rng, ".cmd")
    data = path.read_bytes()
    path.write_bytes(data[: rng.randrange(len(data))])


def lost_record(tree: Miniature, rng: random.Random) -> None:
    _chosen(tree, rng, ".cmd").unlink()


def record_without_a_line(tree: Miniature, rng: random.Random) -> None:
    path = _chosen(tree, rng, ".cmd")
    lines = path.read_bytes().splitlines(keepends=True)
    del lines[rng.randrange(len(lines))]
    path.write_bytes(b"".join(lines))


def cancelled_build(tree: Miniature, rng: random.Random) -> None:
    """The sources were edited, a build was killed, and the edit is not in this checkout."""
    name = rng.choice(SOURCES)
    text = tree.path(name).read_text()
    tree.append(name, "\n/* of another branch */\n")
    stop = rng.choice(("kernel:metadata", "bindings:metadata", "nova_core:metadata", "macros:metadata"))
    for goal in ("modules_prepare", f"M={MODULE}"):
        if tree.make(goal, env={"MINIATURE_STOP_AFTER": stop}, check=False).returncode:
            break
    tree.path(name).write_text(text)


def built_by_another_compiler(tree: Miniature, rng: random.Random) -> None:
    """Of the same name and version, with other output; it is gone again."""
    path = tree.toolchain / "bin" / rng.choice(("rustc", "clang"))
    text = path.read_text()
    assert 'f"object of ' in text
    path.write_text(text.replace('f"object of ', 'f"other object of '))
    name = rng.choice(SOURCES)
    source = tree.path(name).read_text()
    tree.append(name, "\n/* compiled by another one */\n")
    make_all(tree)
    tree.path(name).write_text(source)
    path.write_text(text)


def edited_synced_configuration(tree: Miniature, rng: random.Random) -> None:
    name = rng.choice(
        ("config/auto.conf", "generated/rustc_cfg", "generated/autoconf.h", "config/auto.conf.cmd")
    )
    path = tree.objtree / "include" / name
    lines = path.read_text().splitlines(keepends=True)
    del lines[rng.randrange(len(lines))]
    path.write_text("".join(lines))


POISONS: tuple[Poison, ...] = (
    nothing, edited_output, lost_output, lost_record, cut_record, record_without_a_line, cancelled_build,
    built_by_another_compiler, edited_synced_configuration,
)  # fmt: skip


def run_restore(tree: Miniature, ledger: Path, kdeps: Callable[..., subprocess.CompletedProcess[str]]) -> str:
    done = kdeps(tree, "ci", f"--restore={ledger}", f"M={MODULE}")
    assert done.returncode == 0, done.stderr
    return done.stdout
