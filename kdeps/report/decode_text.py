# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What ``kdeps decode`` adds to a log: from which build an oops is, and where its frames are in the sources."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from kdeps.running.oops_origin import KERNEL, Difference, JudgedOops, Origin
from kdeps.running.source_lines import LocatedFrame
from kdeps.system.text import counted, list_some, printable

PREFIX = "kdeps: "
"""In front of each line that is added, so that the log can be had back by taking them out."""
_MAX_SHOWN = 3
_UNNAMED = "which one is not known: no ledger and no `kdeps make` here recorded its build id"
_NO_IDS = "which one cannot be told without build ids; CONFIG_STACKTRACE_BUILD_ID=y prints them"
"""Sizes and code name no build: in tests/data/oops three builds of one module have the same sizes."""


def origin_lines(judged: JudgedOops, readable: Mapping[str, str], known: Mapping[str, str]) -> list[str]:
    """Say from which build an oops is, and what shows it.

    ``readable`` has the readable names of mangled ones, ``known`` for objects of other builds from what those were
    built.
    """
    origins = [f"{PREFIX}  {_object(name)} of this log: {text}" for name, text in known.items()]
    missing = _missing_text(judged.not_here)
    if judged.origin is Origin.THIS:
        proofs = [f"{_object(name)} has the same build id" for name in judged.same_ids]
        proofs += [
            f"{counted(number, 'frame')} fit {_object(name)}" for name, number in judged.fitting.items()
        ]
        return [f"{PREFIX}this build: {', '.join(proofs)}{f'; {missing}' if missing else ''}"]
    differences = _differences_text(judged.differences or judged.earlier, readable)
    if judged.origin is Origin.UNKNOWN:
        why = missing or "no frame of this oops can be compared"
        if judged.earlier:
            why = f"this oops shows no difference, but an earlier one of this boot did: {differences}"
        return [f"{PREFIX}cannot tell which build this is from: {why}", *origins]
    earlier = "" if judged.differences else "as an earlier oops of this boot shows, "
    return [
        f"{PREFIX}another build: {earlier}{differences}",
        *(origins or [f"{PREFIX}  {_UNNAMED if judged.oops.build_ids else _NO_IDS}"]),
        f"{PREFIX}  no file and line is added, because the sources here are not those of this log",
    ]


def frame_lines(frames: Sequence[LocatedFrame], readable: Mapping[str, str], cwd: str) -> list[str]:
    """Name file and line of each frame, inlined functions each on a line of its own."""
    lines: list[str] = []
    for frame, _, calls, edited in frames:
        if not calls:
            continue
        module = f" [{frame.module}]" if frame.module else ""
        lines.append(f"{PREFIX}  {_name(frame.symbol, readable)}+{frame.offset:#x}{module}")
        for at, call in enumerate(calls):
            since = "  (edited since the build)" if call.path in edited else ""
            inlined = "  inlined" if at < len(calls) - 1 else ""
            if (
                inlined and call.function != frame.symbol
            ):  # short line tables do not name the innermost function
                inlined += f" {_name(call.function, readable)}"
            lines.append(f"{PREFIX}    {printable(_relative(call.path, cwd))}:{call.line}{inlined}{since}")
    return lines


def no_lines_text(frames: Sequence[LocatedFrame], cwd: str) -> list[str]:
    """Name the files that have no debug information for some frames."""
    paths = dict.fromkeys(frame.path for frame in frames if not frame.calls)
    names = ", ".join(printable(_relative(path, cwd)) for path in paths)
    return [f"{PREFIX}  no file and line for other frames: no debug information in {names}"] if paths else []


def _differences_text(differences: Sequence[Difference], readable: Mapping[str, str]) -> str:
    texts = [_difference_text(difference, readable) for difference in differences]
    more = f"; and {len(texts) - _MAX_SHOWN} more differences" if len(texts) > _MAX_SHOWN else ""
    return "; ".join(texts[:_MAX_SHOWN]) + more


def _difference_text(difference: Difference, readable: Mapping[str, str]) -> str:
    log, here = printable(difference.log), printable(difference.here)
    function = _name(difference.symbol, readable)
    if difference.object != KERNEL:
        function += f" [{printable(difference.object)}]"
    return {
        "release": f"the log is of kernel {log}, this tree is {here}",
        "number": f"the log is of build {log}, vmlinux here is {here}",
        "banner": f"the log is of “{log}”, vmlinux here is “{here}”",
        "build-id": f"{_object(difference.object)} had the build id {log[:12]}…, here it has {here[:12]}…",
        "symbol": f"{function} is not here",
        "code": f"{function} had other machine code",
        "size": f"{function} was {log} bytes long, here it is {here}",
    }[difference.what]


def _missing_text(names: Sequence[str]) -> str:
    if not names:
        return ""
    return f"no {list_some(names, _MAX_SHOWN, _object)} here to compare with"


def _object(name: str) -> str:
    return "vmlinux" if name == KERNEL else f"{printable(name)}.ko"


def _name(symbol: str, readable: Mapping[str, str]) -> str:
    return printable(readable.get(symbol, symbol))


def _relative(path: str, cwd: str) -> str:
    path = os.path.normpath(path)
    return path[len(cwd) + 1 :] if path.startswith(f"{cwd}/") else path
