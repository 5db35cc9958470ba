# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Ask GNU make what it makes of a record or of a dependency list.

A parser that reads what make reads has one judge: make. Nothing here knows what
kdeps would answer.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from kdeps.demo.miniature import gnu_make
from kdeps.system.errors import KdepsError

try:
    MAKE: str | None = gnu_make()[0]
except KdepsError:
    MAKE = None

REASON = "needs GNU make 3.82 or newer on PATH"

# The macro that decides is Kbuild's: $(cmd-check) of scripts/Kbuild.include. It takes the
# recorded command for a *pattern*, so that a `%` in it stands for anything. Under tools/
# commands are compared word by word, both ways: $(arg-check) of tools/build/Build.include.
_HEAD = b"""\
MAKEFLAGS += -rR
empty :=
space := $(empty) $(empty)
pound := \\#
one-word = $(subst $(space),_-_SPACE_-_,$(strip $1))
recorded = $(or $(savedcmd_$@),$(cmd_$@))
cmd-check = $(filter-out $(call one-word,$(recorded)),$(call one-word,$(now_$@)))
arg-check = $(filter-out $(now_$@),$(recorded))$(filter-out $(recorded),$(now_$@))
say = $(info @read $@)$(info $(strip $(recorded)))$(info $(strip $(now_$@)))\
$(info $(if $(or $(if $(tools),$(arg-check)),$(if $(tools),,$(cmd-check))),differs))$(info $(filter-out FORCE,$^))
.PHONY: all FORCE
.DEFAULT: ;
all:
"""


class Reading(NamedTuple):
    """What make knows of one target after it has read a record."""

    stopped: str
    """Why make stopped; empty: it accepted the file, and all else holds."""
    command: str
    """The recorded command, expanded and stripped."""
    command_differs: bool
    """Whether Kbuild would run the rule again, were the command today the whole one."""
    prerequisites: tuple[str, ...]
    """Each once; not ``FORCE``."""


class Case(NamedTuple):
    """One file to be read, and what belongs to it."""

    target: str
    data: bytes
    """The file."""
    whole: bytes
    """The line of the command as it ought to be."""


def read_records(folder: Path, cases: Iterable[Case]) -> dict[str, Reading]:
    """Have one make read many records, each of another target; return what it read by target.

    Where make stops, it stops for all: every reading then says so, with the file's name (``TARGET`` with ``/`` as
    ``_``, and ``.cmd``) in front.
    """
    known = list(cases)
    tools = b"/tools/" in known[0].whole.partition(b" :=")[0]
    lines = [_HEAD, b"tools := 1\n" if tools else b""]
    names = b" ".join(case.target.encode() for case in known)
    for case in known:
        name = case.target.replace("/", "_") + ".cmd"
        (folder / name).write_bytes(case.data)
        lines += [b"now_", case.whole.partition(b"cmd_")[2], b"\n", b"include ", name.encode(), b"\n"]
    lines += [b"all: ", names, b"\n", names, b": FORCE\n\t$(say)\nFORCE:\n"]
    (folder / "Makefile").write_bytes(b"".join(lines))
    assert MAKE is not None
    done = subprocess.run(
        [MAKE, "-C", str(folder), "-s", "--no-print-directory", "all"],
        env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        message = done.stderr.decode("utf-8", "surrogateescape").strip()
        return {case.target: Reading(message, "", False, ()) for case in known}
    said = done.stdout.decode("utf-8", "surrogateescape").split("\n")
    found: dict[str, Reading] = {}
    blocks = [at for at, line in enumerate(said) if line.startswith("@read ")]
    for at in blocks:
        recorded, _, differs, prerequisites = said[at + 1 : at + 5]
        listed = tuple(prerequisites.split(" ")) if prerequisites else ()
        found[said[at].removeprefix("@read ")] = Reading("", recorded, bool(differs), listed)
    return found
