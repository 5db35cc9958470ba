# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""kdeps finds out whether the kernel can start a program, and starts nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from kdeps.system.executable import find_interpreter, interpreter_of, why_not_started
from tests.support.elf_objects import foreign_program

PROGRAMS: dict[str, tuple[bytes, str]] = {
    "a script": (b"#! /bin/sh\n", ""),
    "a script of no shell": (b"#!/nowhere/sh -e\n", "wants /nowhere/sh, which is not there"),
    "for another machine": (foreign_program(), "was built for another machine"),
    "empty": (b"", "is damaged, or nobody may run it"),
    "zeros": (bytes(100), "is damaged, or nobody may run it"),
}


@pytest.mark.parametrize("case", PROGRAMS)
def test_it_is_told_what_the_kernel_does(case: str, tmp_path: Path) -> None:
    data, why = PROGRAMS[case]
    program = tmp_path / "program"
    program.write_bytes(data)
    program.chmod(0o755)
    assert why_not_started(str(program)) == why
    if data:  # a shell takes an empty one for a script that does nothing
        try:
            started = subprocess.run([program], check=False).returncode == 0
        except OSError:
            started = False
        assert started == (why == "")
    program.chmod(0o644)
    assert why_not_started(str(program))


def test_the_programs_of_this_machine_can_be_started() -> None:
    """Their loader is the one that the header names."""
    true = shutil.which("true") or ""
    assert why_not_started(true) == ""
    assert os.path.exists(interpreter_of(true))
    assert why_not_started("/nowhere/at/all") == ""


def test_a_loader_of_another_system_is_found() -> None:
    """As in a container with another C library."""
    head = b"\x7fELF\x02\x01\x01" + bytes(57) + b"\x03\0\0\0/lib/ld-musl-x86_64.so.1\0"
    assert find_interpreter(head.replace(b"\x03\0\0\0", b"\x03\0\0\0\0")) == "/lib/ld-musl-x86_64.so.1"
