# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""File and line of machine code, from the DWARF of a ``vmlinux`` or ``.ko``, by binutils' ``addr2line``.

A module is not linked to addresses, so that a place in it is a section and an offset. Only GNU's tool takes both.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from typing import NamedTuple

from kdeps.running.oops import Frame
from kdeps.running.oops_origin import JudgedOops
from kdeps.running.symbol_sizes import Place, SymbolSizes

_TIMEOUT_S = 120
_MAX_CALLS = 64
_POSITION = re.compile(r"(.+):(\d+)(?: \(discriminator \d+\))?$")


class Call(NamedTuple):
    """One level of the functions that were inlined at a place."""

    function: str
    """As the symbol table would have it, mangled."""
    path: str
    line: int


class LocatedFrame(NamedTuple):
    """A frame of an oops and the source lines that it stands for."""

    frame: Frame
    path: str
    """The ``vmlinux`` or ``.ko`` that it is in."""
    calls: tuple[Call, ...]
    """The innermost function first; empty if the file has no debug information for it."""
    edited: frozenset[str] = frozenset()
    """Paths of sources that are newer than the file: their lines may have moved."""


FindAgain = Callable[[SymbolSizes, Frame, Place], tuple[Call, ...]]
"""Finds the lines of a frame in a module that has no debug information."""


def locate_frames(judged: JudgedOops, find_again: FindAgain | None = None) -> tuple[LocatedFrame, ...]:
    """Find the source lines of an oops that is from this build, in the order of the log, each frame once."""
    wanted: dict[tuple[str, str], list[int]] = {}
    rows = list(
        {(frame, sizes.path): (frame, sizes, place) for frame, sizes, place in judged.places}.values()
    )
    where = []
    for frame, sizes, place in rows:
        section = "" if sizes.is_linked else sizes.section_names[place.section]
        # A return address is behind the call; a byte before it is within.
        address = place.value + frame.offset - (0 if frame.is_exact else 1)
        addresses = wanted.setdefault((sizes.path, section), [])
        where.append((sizes.path, section, len(addresses)))
        addresses.append(max(address, 0))
    has_lines = {sizes.path: sizes.has_lines for _, sizes, _ in rows}
    found = {
        (path, section): find_lines(path, section, addresses) if has_lines[path] else ((),) * len(addresses)
        for (path, section), addresses in wanted.items()
    }
    located = []
    for (frame, sizes, place), (path, section, at) in zip(rows, where, strict=True):
        calls = found[path, section][at]
        if find_again is not None and not sizes.is_linked and not sizes.has_lines:
            calls = find_again(sizes, frame, place)
        edited = frozenset(call.path for call in calls if _is_newer(call.path, path))
        located.append(LocatedFrame(frame, path, calls, edited))
    return tuple(located)


def _is_newer(source: str, path: str) -> bool:
    """Whether a source was modified after the file was built; False for a path that is relative or gone."""
    try:
        return os.path.isabs(source) and os.stat(source).st_mtime_ns > os.stat(path).st_mtime_ns
    except (OSError, ValueError):
        return False


def find_lines(path: str, section: str, addresses: Sequence[int]) -> tuple[tuple[Call, ...], ...]:
    """Find where some places in a file with DWARF come from: innermost function first, its callers behind it.

    The addresses are of instructions, not of return addresses, and offsets in the section (empty: a linked file). An
    answer is empty where the tool knows nothing.
    """
    tool = shutil.which("addr2line")
    if tool is None or not addresses:
        return ((),) * len(addresses)
    command = [tool, "-a", "-i", "-f", "-e", path, *(["-j", section] if section else [])]
    command += [f"{address:#x}" for address in addresses]
    output = ""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            timeout=_TIMEOUT_S, check=False, env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
        output = done.stdout.decode("utf-8", "surrogateescape")
    answers = _parse(output)
    return tuple(answers) if len(answers) == len(addresses) else ((),) * len(addresses)


def _parse(output: str) -> list[tuple[Call, ...]]:
    """Read the answers: an address, then pairs of lines, the function and ``file:line``."""
    answers: list[list[Call]] = []
    function = ""
    for line in output.splitlines():
        if re.fullmatch(r"0x[0-9a-f]+", line) and not function:
            answers.append([])
        elif not function:
            function = line or "??"
        else:
            match = _POSITION.match(line)
            if answers and match and match[1] != "??" and int(match[2]) and len(answers[-1]) < _MAX_CALLS:
                answers[-1].append(Call(function, match[1], int(match[2])))
            function = ""
    return [tuple(calls) for calls in answers]
