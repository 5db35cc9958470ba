# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Make mangled Rust names readable, by the demangler that every kernel builder has.

``llvm-cxxfilt`` or ``c++filt`` gets a name a line and answers line by line. Names come from files and logs of any
origin, so the tool is bounded in time, memory and length of its answer; a name that it cannot make readable stays as
it is.

Source: the Rust reference, "v0 Symbol Format"; what c++filt adds (hashes of crates, types of constants) is taken out,
so that both tools give the same text.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence

TOOLS = ("llvm-cxxfilt", "c++filt")
"""In the order of preference."""
SYMBOL = re.compile(rb"_R[0-9]*[A-Z][A-Za-z0-9_]*(?:[.$][A-Za-z0-9_.$@]*[A-Za-z0-9_$@])?")
"""A mangled name of version 0, and what a compiler has put behind it (``.cold``, ``.llvm.123``)."""

_PROBE, _PROBED = "_RNvC1a1b", "a::b"
_MAX_NAME = 4000
"""Longer names are not asked for. The kernel's own limit is 512. Source: ``KSYM_NAME_LEN``."""
_BATCH = 200
"""Names in one question."""
_MAX_ANSWER = 1 << 20
_MAX_MEMORY = 2 << 30
_MAX_CACHED = 50_000
_MAX_FAILURES = 3
_CRATE_HASH = re.compile(r"(?<=\w)\[[0-9a-f]{1,16}\]")
_CONSTANT_TYPE = re.compile(r"(?<=[0-9a-z_']): (?:[iu](?:8|16|32|64|128|size)|bool|char)(?=[>,\]])")


class Demangler:
    """One demangler, which remembers its answers."""

    def __init__(self, tools: Sequence[str] = TOOLS, *, timeout_s: float = 2.0) -> None:
        """Find the tools, the preferred one first; the first that knows Rust answers. None may take longer than the timeout."""
        self._timeout_s = timeout_s
        self._tools = [path for tool in tools if (path := shutil.which(tool))]
        self._cache: dict[str, str] = {}
        self._works = False
        """Whether the first tool has answered once."""
        self._failures = 0
        self.problem = None if self._tools else f"no {' or '.join(tools)} found: Rust names stay mangled"
        """Why names stay as they are, in one line; None while the tool works."""

    def readable(self, names: Iterable[str]) -> dict[str, str]:
        """Return each name as its author wrote it; other names and damaged ones as they are."""
        wanted = list(dict.fromkeys(names))
        if len(self._cache) + len(wanted) > _MAX_CACHED:
            self._cache.clear()
        bases = {name: _split_suffix(name) for name in wanted}
        new = list(dict.fromkeys(base for base, _ in bases.values() if base and base not in self._cache))
        for at in range(0, len(new), _BATCH):
            self._ask(new[at : at + _BATCH])
        answers = {}
        for name, (base, suffix) in bases.items():
            text = self._cache.get(base, base)
            answers[name] = name if text == base else text + suffix
        return answers

    def _ask(self, names: list[str]) -> None:
        """Ask for a batch; if the tool fails, ask for each name alone, so that only one name is lost."""
        while self.problem is None:
            lines = self._run([_PROBE, *names])
            self._works = self._works or _as_llvm_has_it(_PROBE, lines[0]) == _PROBED
            if self._works:
                break
            tool = self._tools.pop(0)
            if not self._tools:
                self.problem = f"{tool} cannot demangle Rust names: they stay mangled"
        else:
            return
        if len(lines) == len(names) + 2 and not lines[-1]:
            pairs = zip(names, lines[1:-1], strict=True)
            self._cache.update({name: _as_llvm_has_it(name, line) for name, line in pairs})
            return
        self._failures += 1
        if self._failures >= _MAX_FAILURES:
            self.problem = f"{self._tools[0]} does not answer: Rust names stay mangled"
        for name in names if len(names) > 1 else ():
            self._ask([name])

    def _run(self, names: list[str]) -> list[str]:
        """Return the lines that the tool prints for some names; they end in an empty one unless it was stopped."""
        with tempfile.TemporaryFile() as answer, contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(
                [self._tools[0]], input="".join(f"{name}\n" for name in names).encode("ascii"), stdout=answer,
                stderr=subprocess.DEVNULL, timeout=self._timeout_s, env={**os.environ, "LC_ALL": "C"},
                preexec_fn=_limit, start_new_session=True, check=False,
            )  # fmt: skip
            answer.seek(0)
            return answer.read().decode("utf-8", "replace").split("\n")
        return [""]


def _limit() -> None:
    """Bound what a child may use, and the length of its answer."""
    for kind, limit in (
        (resource.RLIMIT_AS, _MAX_MEMORY),
        (resource.RLIMIT_FSIZE, _MAX_ANSWER),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (limit, limit))


def _split_suffix(name: str) -> tuple[str, str]:
    """Part a mangled name (empty for what is none) from what a compiler put behind it, written as LLVM writes it."""
    if len(name) > _MAX_NAME or not name.isascii() or not SYMBOL.fullmatch(name.encode()):
        return "", ""
    at = min((i for i in (name.find("."), name.find("$")) if i >= 0), default=-1)
    return (name, "") if at < 0 else (name[:at], f" ({name[at:]})")


def _as_llvm_has_it(name: str, answer: str) -> str:
    """Remove what only c++filt prints; an answer with control characters does not count."""
    text = answer.rstrip("\r")
    text = _CONSTANT_TYPE.sub("", _CRATE_HASH.sub("", text))
    return text if text and text.isprintable() else name
