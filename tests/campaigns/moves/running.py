# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Running make and kdeps in the lab, and what it cost."""

from __future__ import annotations

import re
import resource
import subprocess
import sys

from tests.lab.layout import Layout

_STEP = re.compile(r"^  [A-Z]{2,}[A-Z0-9]* .*|^  SYNC .*", re.MULTILINE)
_QUIET = ("CALL", "DESCEND", "INSTALL", "CHK", "MODPOST")


def list_steps(output: str) -> list[str]:
    """List the steps that make says it ran."""
    return [line.strip() for line in _STEP.findall(output) if line.split()[0] not in _QUIET]


def kdeps(layout: Layout, command: str, *options: str) -> str:
    """Run a command of kdeps on the first module of a layout; return what it said."""
    words = [sys.executable, "-m", "kdeps", command, *options, *layout.make, *layout.modules[0].make]
    return call(words, layout.cwd)


def make(layout: Layout) -> str:
    """Build the crates, then the first module; return what make said."""
    prepared = call(["make", "-j2", *layout.make, "modules_prepare"], layout.cwd)
    return prepared + call(["make", "-j2", *layout.make, *layout.modules[0].make], layout.cwd)


def call(command: list[str], folder: str) -> str:
    """Run a command that must succeed; return what it said."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(command)} exited {done.returncode}: {(done.stdout + done.stderr)[-1500:]}"
        )
    return done.stdout + done.stderr


def cpu_s() -> float:
    """The processor time of all children so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
