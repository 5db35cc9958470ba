# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Read decoded logs back, and decide what kdeps had to say about each oops."""

from __future__ import annotations

import re
from typing import NamedTuple

_VERDICT = re.compile(r"^kdeps: (this build|another build|cannot tell)")
_LOCATED = re.compile(r"^kdeps:   (\S.*)\+0x[0-9a-f]+(?: \[\w+\])?$")
_LINE = re.compile(r"^kdeps:     (\S+):(\d+)(?:  |$)")
_BUILD_ID = re.compile(r" [0-9a-f]{40}")


class Answer(NamedTuple):
    """What ``kdeps decode`` added behind one oops."""

    verdict: str
    lines: tuple[tuple[str, int], ...]
    """Function → the line in its own source that it was at."""


def read_answers(text: str, names: list[str]) -> dict[str, list[Answer]]:
    """Read a decoded log: module → the answer behind each of its oopses."""
    answers: dict[str, list[Answer]] = {name: [] for name in names}
    current, function, verdict = "", "", ""
    lines: dict[str, int] = {}
    for line in [*text.splitlines(), "kdeps: end"]:
        if line.startswith("kdeps: ") and not line.startswith("kdeps:  "):
            if verdict and current:
                answers[current].append(Answer(verdict, tuple(lines.items())))
                current = ""
            match = _VERDICT.match(line)
            verdict, lines = (match[1], {}) if match else ("", {})
        elif match := _LOCATED.match(line):
            function = match[1].rpartition("::")[2]
        elif match := _LINE.match(line):
            if "/oops_" in match[1]:
                lines[function] = int(match[2])
        elif not line.startswith("kdeps:") and (found := re.search(r"\[(oops_\d\d)\b", line)):
            if verdict and current:
                answers[current].append(Answer(verdict, tuple(lines.items())))
                verdict = ""
            current = found[1]
    return answers


def read_traces(log: str, name: str) -> tuple[str, ...]:
    """Return everything in a log that tells one build of a module from another: its frames and its code."""
    rows: list[str] = []
    is_faulting = False
    for line in log.splitlines():
        frame = re.search(rf"(\? )?([\w.]+\+0x[0-9a-f]+/0x[0-9a-f]+) \[{name}\b", line)
        if frame and not frame[1]:
            rows.append(frame[2])
        if "RIP: " in line:
            is_faulting = frame is not None
        elif is_faulting and "Code: " in line:
            rows.append(line.partition("Code: ")[2])
            is_faulting = False
    return tuple(rows)


def without_ids(log: str) -> str:
    """Return a log as a kernel without ``CONFIG_STACKTRACE_BUILD_ID`` prints it."""
    return _BUILD_ID.sub("", log)


def find_mistakes(
    source: str, answers: list[Answer], *, is_same: bool, is_decidable: bool, has_lines: bool
) -> list[str]:
    """List what is wrong with what kdeps said behind each oops of one module's log, for the source that the build has
    now.

    ``is_same``: the build is the one that wrote the log; ``is_decidable``: something in the log tells the two apart.
    """
    if not answers:
        return ["no answer"]
    mistakes = []
    for answer in answers:
        if is_same and answer.verdict != "this build":
            mistakes.append(f"{answer.verdict}, it is this one")
        elif not is_same and is_decidable and answer.verdict == "this build":
            mistakes.append("this build, it is another one")
        if not is_same and is_decidable and answer.lines:
            mistakes.append(f"lines of another build: {answer.lines}")
    if is_same and has_lines:
        lines = {name: line for answer in answers for name, line in answer.lines}
        mistakes += _find_wrong_lines(source.splitlines(), lines)
    return mistakes


def _find_wrong_lines(source: list[str], lines: dict[str, int]) -> list[str]:
    """Each step has to be at the line where it calls the next one."""
    steps = [name for name in lines if re.fullmatch(r"(?:step|renamed)_\d", name)]
    wrong = [] if steps else ["no line of any step"]
    for name in steps:
        text = source[lines[name] - 1] if 0 < lines[name] <= len(source) else ""
        following = int(name[-1]) + 1
        if not re.search(rf"(?:(?:step|renamed)_{following}|fail)\(x", text):
            wrong.append(f"{name} at line {lines[name]}: {text.strip()}")
    return wrong
