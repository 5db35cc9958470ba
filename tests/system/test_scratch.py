# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A scratch folder is gone at the end, also where a signal ends the program."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kdeps.system.scratch import scratch_folder

_WAITS = """
import sys, time
from kdeps.system.scratch import scratch_folder
with scratch_folder("outer-") as outer, scratch_folder("inner-") as inner:
    try:
        print(flush=True)
        time.sleep(60)
    finally:
        print("ended", flush=True)
"""


def test_it_is_gone_after_the_body_and_after_an_error() -> None:
    with scratch_folder("kdeps-") as folder:
        Path(folder, "file").write_text("x")
    assert not Path(folder).exists()
    with pytest.raises(ValueError, match="of the body"), scratch_folder("kdeps-") as folder:
        raise ValueError("of the body")
    assert not Path(folder).exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_the_body_then_removes_the_folders_then_ends_the_program(
    number: signal.Signals, tmp_path: Path
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _WAITS],
        env={"TMPDIR": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert len(list(tmp_path.iterdir())) == 2
        process.send_signal(number)
        assert process.stdout.read() == "ended\n"
    assert process.returncode == -number
    assert list(tmp_path.iterdir()) == []
