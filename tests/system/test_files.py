# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Files that kdeps writes because somebody named them: whole or not at all, and in nobody's place."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from kdeps.system.errors import KdepsError
from kdeps.system.files import write_file
from tests.conftest import CHECKOUT, RunKdeps, drop_privileges
from tests.support.miniature import MODULE, Miniature


def test_a_file_is_new_and_not_written_over(tmp_path: Path) -> None:
    """Who has the old one open reads it to its end; nothing else is left in the folder."""
    path = tmp_path / "x"
    path.write_bytes(b"old")
    with path.open("rb") as reader:
        write_file(str(path), b"new")
        assert reader.read() == b"old"
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["x"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """What it leads to is written, wherever that is, and whether or not it is there yet."""
    (tmp_path / "far").mkdir()
    link = tmp_path / "link"
    link.symlink_to("far/x")
    for data in (b"one", b"two"):
        write_file(str(link), data)
        assert link.is_symlink()
        assert (tmp_path / "far/x").read_bytes() == data
    assert os.listdir(tmp_path / "far") == ["x"]


@pytest.mark.parametrize("name", ["none/x", ".", ""])
def test_what_cannot_be_written_is_said_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A folder, a folder that is not there, no name at all."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KdepsError):
        write_file(name, b"x")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("command", [("graph", "--format=dot"), ("ninja",), ("ci", "--format=json")])
def test_a_pipe_stays_a_pipe(
    tree: Miniature, kdeps: RunKdeps, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """``--output=`` may name what is no file, such as a shell's ``>(…)``."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(fifo.read_bytes()), daemon=True)
    reader.start()
    prefix = "json=" if command[0] == "ci" else ""
    done = kdeps(tree, *command, f"--output={prefix}{fifo}", f"M={MODULE}")
    reader.join(timeout=60)
    assert done.returncode == 0, done.stderr
    assert fifo.is_fifo()
    assert read[0]


def test_standard_output_by_name(tree: Miniature, tmp_path: Path) -> None:
    """``--output=/dev/stdout`` writes where standard output leads, and not over its name."""
    words = [sys.executable, "-m", "kdeps", "graph", "--format=dot", "--output=/proc/self/fd/1"]
    with (tmp_path / "x").open("wb") as file:
        done = subprocess.run(
            [*words, *tree.tree_args, f"M={MODULE}"],
            cwd=tree.srctree, env=tree.environment({"PYTHONPATH": str(CHECKOUT)}), stdout=file, check=False,
        )  # fmt: skip
    assert done.returncode == 0
    assert (tmp_path / "x").read_bytes().startswith(b"digraph")


WRITE = "import sys; from kdeps.system.files import write_file; write_file(sys.argv[1], b'new')"


def test_a_mounted_file_is_written_in_place(tmp_path: Path) -> None:
    """A container's ``-v $PWD/report.json:/report.json`` cannot be replaced, and can be written."""
    outside, report = tmp_path / "outside", tmp_path / "report"
    outside.write_bytes(b"old and longer")
    report.touch()
    script = f'mount --bind {outside} {report} || exit 77; exec "$@"'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", sys.executable, "-c", WRITE, str(report)],
        cwd=CHECKOUT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode in (1, 77) and "kdeps" not in done.stderr:
        pytest.skip("nothing can be mounted here")
    assert done.returncode == 0, done.stderr
    assert outside.read_bytes() == b"new"
    assert sorted(os.listdir(tmp_path)) == ["outside", "report"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")
def test_a_file_in_a_folder_that_may_not_be_written_is_written_in_place(tmp_path: Path) -> None:
    """As ``echo hi > report`` would."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    report = folder / "report"
    report.write_bytes(b"old and longer")
    report.chmod(0o666)
    os.chown(folder, 65534, 65534)
    done = subprocess.run(
        [sys.executable, "-c", WRITE, str(report)],
        cwd=CHECKOUT, preexec_fn=drop_privileges, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert report.read_bytes() == b"new"
    assert os.listdir(folder) == ["report"]
