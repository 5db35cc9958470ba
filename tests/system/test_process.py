# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""How processes are ended."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from kdeps.system.process import end_process
from tests.support.watching import wait


def test_a_compiler_that_will_not_end_is_killed_with_its_make(tmp_path: Path) -> None:
    """It ignores the request, and make has gone before it."""
    script = f"(trap '' TERM; echo > {tmp_path}/compiling; while :; do sleep 0.1; done) & wait"
    process = subprocess.Popen(["sh", "-c", script], start_new_session=True)
    wait((tmp_path / "compiling").exists)
    end_process(process, 1.0)
    assert process.returncode == -signal.SIGTERM
    wait(lambda: not _has_group(process.pid))  # the kernel may take a moment


def _has_group(number: int) -> bool:
    try:
        os.killpg(number, 0)
    except ProcessLookupError:
        return False
    return True
