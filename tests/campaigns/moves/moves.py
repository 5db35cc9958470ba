# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The moves: what somebody does between two builds that leaves every file as it was."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

TRACKED = ("rust", "include/linux", "drivers/pci/Kconfig", "scripts/Makefile.lib", "drivers/gpu/nova-core")
EDITED = {
    "rust/kernel/io.rs": "\n/// Of the other branch.\npub const OTHER_BRANCH: u32 = 7;\n",
    "include/linux/pci.h": "\n/* of the other branch */\n",
    "drivers/pci/Kconfig": "\n# of the other branch\n",
    "scripts/Makefile.lib": "\n# of the other branch\n",
}


class Repository(NamedTuple):
    """A part of a source tree under git; its own folder is outside, because Kbuild asks git for the release."""

    work: str
    folder: str

    def git(self, *words: str) -> str:
        return subprocess.run(
            ["git", f"--git-dir={self.folder}", f"--work-tree={self.work}", *words],
            cwd=self.work,
            env={
                **os.environ,
                "GIT_AUTHOR_NAME": "a",
                "GIT_AUTHOR_EMAIL": "a@b",
                "GIT_COMMITTER_NAME": "a",
                "GIT_COMMITTER_EMAIL": "a@b",
            },
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def create(self) -> None:
        """Commit the tree as it is, and make the other branch without touching the files here."""
        self.git("init", "-q", "-b", "main")
        sources = [name for name in TRACKED if os.path.exists(f"{self.work}/{name}")]
        names = self.git("ls-files", "--others", "--", *sources).split("\n")
        kept = [
            n
            for n in names
            if not n.endswith(".mod.c")
            and n.endswith((".rs", ".c", ".h", "Makefile", "Kconfig", ".lib", "parameters"))
        ]
        Path(f"{self.folder}/names").write_text("\n".join(kept))
        self.git("add", "-f", f"--pathspec-from-file={self.folder}/names")
        self.git("commit", "-qm", "as it is")
        self.git("branch", "other")
        for name, text in EDITED.items():
            blob = Path(self.work, name).read_text() + text
            done = subprocess.run(
                ["git", f"--git-dir={self.folder}", "hash-object", "-w", "--stdin"],
                input=blob, capture_output=True, text=True, check=True,
            )  # fmt: skip
            self.git("update-index", "--cacheinfo", f"100644,{done.stdout.strip()},{name}")
        tree = self.git("write-tree").strip()
        commit = self.git("commit-tree", tree, "-p", "main", "-m", "other").strip()
        self.git("update-ref", "refs/heads/other", commit)
        self.git("read-tree", "main")
        self.git("update-index", "-q", "--refresh")


def round_trip(repository: Repository) -> None:
    repository.git("checkout", "-q", "other")
    repository.git("checkout", "-q", "main")


def stash_and_drop(repository: Repository) -> None:
    _append(repository, "rust/kernel/io.rs", "// in the stash\n")
    _append(repository, "include/linux/pci.h", "/* in the stash */\n")
    repository.git("stash", "-q")
    repository.git("stash", "drop", "-q")


def cherry_pick_and_reset(repository: Repository) -> None:
    repository.git("cherry-pick", "other")
    repository.git("reset", "-q", "--hard", "HEAD~1")


def rebase_there_and_back(repository: Repository) -> None:
    _append(repository, "rust/kernel/device.rs", "// on a topic\n")
    repository.git("checkout", "-q", "-b", "topic")
    repository.git("commit", "-qam", "topic")
    repository.git("rebase", "-q", "other")
    repository.git("checkout", "-q", "main")
    repository.git("branch", "-qD", "topic")


def undo_by_mv(repository: Repository) -> None:
    path = f"{repository.work}/rust/kernel/io.rs"
    Path(path + ".orig").write_bytes(Path(path).read_bytes())
    _append(repository, "rust/kernel/io.rs", "// a try\n")
    os.replace(path + ".orig", path)


def touch_header(repository: Repository) -> None:
    os.utime(f"{repository.work}/include/linux/device.h")


def rewrite_headers(repository: Repository) -> None:
    for name in ("mm.h", "pci.h", "fs.h"):
        path = Path(repository.work, "include/linux", name)
        path.write_bytes(path.read_bytes())


def touch_crates(repository: Repository) -> None:
    for path in Path(repository.work, "rust").rglob("*.rs"):
        os.utime(path)


def touch_kconfig(repository: Repository) -> None:
    os.utime(f"{repository.work}/init/Kconfig")
    os.utime(f"{repository.work}/rust/Makefile")


def _append(repository: Repository, name: str, text: str) -> None:
    with open(f"{repository.work}/{name}", "a", encoding="utf-8") as file:
        file.write(text)


MOVES: tuple[Callable[[Repository], None], ...] = (
    round_trip,
    stash_and_drop,
    cherry_pick_and_reset,
    rebase_there_and_back,
    undo_by_mv,
    touch_header,
    rewrite_headers,
    touch_crates,
    touch_kconfig,
)
