# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps demo`` tells the story on real make, and leaves nothing behind."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from kdeps.demo import miniature
from kdeps.demo.story import run
from kdeps.system.errors import KdepsError

# A test run that was started in the background may hand SIGINT down ignored.
START = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); from kdeps.demo.story import run; sys.exit(run())"


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the demo puts its folder, to see what it leaves there."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The story as a UTF-8 file gets it, told once; nothing is left behind."""
    folder = tmp_path_factory.mktemp("told")
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(folder))
        assert run(out=out) == 0
    assert list(folder.iterdir()) == []
    out.seek(0)
    return out.read()


def commands(text: str) -> dict[str, list[str]]:
    """Each command shown, with all that was printed for it, one list entry per run."""
    found: dict[str, list[str]] = {}
    for part in re.split(r"^  \$ ", text, flags=re.M)[1:]:
        command, _, rest = part.partition("\n")
        found.setdefault(command, []).append(rest)
    return found


def test_the_story_is_stale_code_found_and_cured(told: str) -> None:
    """make is content while the module is old; kdeps names the edited file; after its cure all is fresh."""
    shown = commands(told)
    module = "M=drivers/gpu/nova-core"
    silent = shown[f'make {module}; echo "exit status $?"'][0]
    assert silent.startswith("  exit status 0\n")

    old, still_old, new = shown["grep RESET_TIMEOUT_MS: drivers/gpu/nova-core/nova-core.ko"]
    assert "u32 = 100;" in old
    assert "u32 = 100;" in still_old
    assert "u32 = 500;" in new

    stale, fresh = shown[f'kdeps check {module}; echo "exit status $?"']
    assert "stale: " in stale
    assert "rust/kernel/io.rs" in stale
    assert "exit status 1\n" in stale
    assert "    make modules_prepare &&\n" in stale, "the cure that step 5 follows"
    assert "fresh: " in fresh
    assert "exit status 0\n" in fresh

    assert shown["make modules_prepare"] == ["    RUSTC L rust/kernel.o\n\n"]


def test_a_file_gets_plain_narrow_text(told: str) -> None:
    """No escape codes, no trailing blanks, and nothing of the demo's own wider than eighty columns."""
    assert "\x1b" not in told
    assert [line for line in told.splitlines() if line != line.rstrip()] == []
    own = re.sub(r"(?ms)^  \$ kdeps .*?^  exit status", "", told)
    assert [line for line in own.splitlines() if len(line) > 80] == []


def test_colour_only_adds_escape_codes() -> None:
    out = io.StringIO()
    run(colour=True, out=out)
    text = out.getvalue()
    assert "\x1b[1m1. " in text
    plain = re.sub(r"\x1b\[[\d;]*m", "", text)
    assert "\x1b" not in plain
    assert "$ make M=drivers/gpu/nova-core\n" in plain


def test_kept_the_tree_can_be_used(tmp_path: Path) -> None:
    """--keep: the folder stays, and the lines at the end are all it takes to go on by hand. A stream that cannot
    have UTF-8 gets every line, in characters it has.
    """
    with open(tmp_path / "out", "w", encoding="ascii") as out:
        run(keep=tmp_path / "kept", out=out)
    text = (tmp_path / "out").read_text("ascii")
    assert "rust/kernel/io.rs" in text
    last = text.rstrip().splitlines()[-2:]
    assert last == [
        f"  cd {tmp_path}/kept/linux",
        f"  export PATH={tmp_path}/kept/toolchain/bin:$PATH",
    ]
    script = "\n".join([*last, "make M=drivers/gpu/nova-core"])
    subprocess.run(["sh", "-ec", script], check=True, capture_output=True)


def test_a_folder_in_use_is_not_touched(tmp_path: Path) -> None:
    """--keep with a folder that holds something is refused."""
    (tmp_path / "file").write_text("mine")
    with pytest.raises(KdepsError, match="not empty"):
        run(keep=tmp_path, out=io.StringIO())
    with pytest.raises(KdepsError, match="not a folder"):
        run(keep=tmp_path / "file", out=io.StringIO())
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    """--keep where no user may write, root neither, and below a file: what is wrong, what to do, status 2."""
    (tmp_path / "file").write_text("mine")
    for folder in ("/proc/kept", f"{tmp_path}/file/kept"):
        done = subprocess.run(
            [sys.executable, "-m", "kdeps", "demo", "--keep", folder],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert re.fullmatch(
            rf"kdeps: error: {re.escape(folder)}: the demo cannot be built there: [^:\n]+; name another folder with --keep\n",
            done.stderr,
        )


def test_without_make_one_line_says_so(
    temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No GNU make on PATH: an error a person can fix, and nothing is told."""
    monkeypatch.setenv("PATH", str(tmp_path))
    miniature.gnu_make.cache_clear()
    out = io.StringIO()
    with pytest.raises(KdepsError, match="no GNU make") as caught:
        run(out=out)
    miniature.gnu_make.cache_clear()
    assert "\n" not in str(caught.value)
    assert out.getvalue() == ""
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("after", ["$ make\n", "$ make modules_prepare"])
def test_an_interrupt_ends_make_and_removes_the_folder(temporary: Path, after: str) -> None:
    """Ctrl-C at any time: no folder, no make left."""
    process = subprocess.Popen(
        [sys.executable, "-c", START],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(Path(miniature.__file__).parents[2])},
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if after in line:
            break
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    process.stdout.read()
    process.stdout.close()
    assert process.wait() != 0
    assert list(temporary.iterdir()) == []


def test_a_closed_pipe_removes_the_folder(temporary: Path) -> None:
    """kdeps demo | head"""
    sh = shutil.which("sh")
    assert sh is not None
    subprocess.run(
        [sh, "-c", '"$0" -c "$1" 2>/dev/null | head -3', sys.executable, START],
        env={**os.environ, "PYTHONPATH": str(Path(miniature.__file__).parents[2])},
        check=True,
        capture_output=True,
    )
    deadline = time.monotonic() + 10
    while list(temporary.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list(temporary.iterdir()) == []
