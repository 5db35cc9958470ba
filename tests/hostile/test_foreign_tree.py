# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A tree from somebody else: its records may name anything. Nothing runs, nothing hangs, nothing outside is read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.miniature import MODULE, Miniature
from tests.support.program import run_text
from tests.support.schemas import read_json

NAMES = {
    "passwd": "/etc/passwd",
    "above": "{tree}/../../../../../../../../etc/hostname",
    "fifo": "{tree}/rust/fifo.rs",
    "device": "/dev/zero",
    "device in the tree": "{tree}/rust/zero.rs",
    "huge": "{tree}/rust/huge.rs",
    "loop": "{tree}/rust/loop.rs",
    "metacharacters": "{tree}/rust/;touch${{IFS}}pwned;`touch\\tpwned`.rs",
}


def plant(tree: Miniature, name: str) -> None:
    """Have the record of the kernel crate name a file of one of these kinds, and keep its time."""
    rust = tree.path("rust")
    if name == "fifo":
        os.mkfifo(rust / "fifo.rs")
    elif name == "device in the tree":
        (rust / "zero.rs").symlink_to("/dev/zero")
    elif name == "huge":
        with open(rust / "huge.rs", "wb") as file:
            file.truncate(10 << 30)
    elif name == "loop":
        (rust / "loop.rs").symlink_to("loop.rs")
    elif name == "metacharacters":
        Path(NAMES[name].format(tree=tree.srctree)).write_text("")
    record = tree.objtree / "rust/.kernel.o.cmd"
    times = record.stat()
    lines = record.read_text().splitlines(keepends=True)
    at = next(at for at, line in enumerate(lines) if line.endswith("rust/kernel/io.rs \\\n"))
    lines.insert(at, f"  {NAMES[name].format(tree=tree.srctree)} \\\n")
    lines[0] = lines[0].replace("\n", "; touch pwned; $(shell touch pwned); `touch pwned`\n", 1)
    record.write_text("".join(lines))
    os.utime(record, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.parametrize("name", NAMES)
def test_a_record_that_names_anything(tree: Miniature, tmp_path: Path, name: str) -> None:
    """Recorded and judged in seconds; the tree unchanged; no digest of what lies outside."""
    plant(tree, name)
    ledger = tmp_path / "ledger"
    before = {path: os.lstat(path).st_mtime_ns for path in tree.srctree.rglob("*")}
    for words in (["--record", str(ledger)], ["--against", str(ledger)]):
        done = run_text(
            ("ci", "--format=json", *words, *tree.tree_args, f"M={MODULE}"),
            cwd=tree.srctree,
            env=tree.environment(),
        )
        assert done.returncode in (0, 1, 2), done.stderr
        assert "Traceback" not in done.stderr
        report = read_json(done.stdout)
        if name in ("fifo", "huge"):
            # What cannot be read by content is never fresh.
            assert done.returncode != 0
            assert any(name in p["path"] for issue in report["issues"] for p in issue["paths"])
    text = ledger.read_text()
    assert '"/etc' not in text
    assert '"/dev' not in text
    assert 'etc/hostname":' not in text
    assert not list(tree.root.rglob("pwned"))
    assert {path: os.lstat(path).st_mtime_ns for path in tree.srctree.rglob("*")} == before
