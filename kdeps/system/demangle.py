# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Make mangled Rust names readable, by the demangler that every kernel builder has.

``llvm-cxxfilt`` or ``c++filt`` runs as one child process that gets names and answers line by line. Names come from
files and logs of any origin, so the child is bounded in time, memory and length of its answers; a name that it
cannot make readable stays as it is.

Source: the Rust reference, "v0 Symbol Format"; what c++filt adds (hashes of crates, types of constants) is taken out,
so that both tools give the same text.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import select
import shutil
import subprocess
import time
from collections.abc import Iterable, Sequence

TOOLS = ("llvm-cxxfilt", "c++filt")
"""In the order of preference."""
SYMBOL = re.compile(rb"_R[0-9]*[A-Z][A-Za-z0-9_]*(?:[.$][A-Za-z0-9_.$@]*[A-Za-z0-9_$@])?")
"""A mangled name of version 0, and what a compiler has put behind it (``.cold``, ``.llvm.123``)."""

_PROBE, _PROBED = "_RNvC1a1b", "a::b"
_MAX_NAME = 4000
"""Longer names are not asked for. The kernel's own limit is 512. Source: ``KSYM_NAME_LEN``."""
_MAX_BATCH = 4096
"""Bytes sent at once: an empty pipe always takes them, so that sending never waits for the child."""
_MAX_ANSWER = 1 << 20
_MAX_MEMORY = 2 << 30
_MAX_CACHED = 50_000
_MAX_FAILURES = 3
_CRATE_HASH = re.compile(r"(?<=\w)\[[0-9a-f]{1,16}\]")
_CONSTANT_TYPE = re.compile(r"(?<=[0-9a-z_']): (?:[iu](?:8|16|32|64|128|size)|bool|char)(?=[>,\]])")


class Demangler:
    """One demangler, kept running between questions."""

    def __init__(self, tools: Sequence[str] = TOOLS, *, timeout_s: float = 2.0) -> None:
        """Find the tools, the preferred one first. The first that works starts with the first question.

        A child that is silent for longer than the timeout has failed.
        """
        self._timeout_s = timeout_s
        self._tools = [path for tool in tools if (path := shutil.which(tool))]
        self._names = " or ".join(tools)
        self._child: subprocess.Popen[bytes] | None = None
        self._cache: dict[str, str] = {}
        self._failures = 0
        self.problem: str | None = None if self._tools else f"no {self._names} found: Rust names stay mangled"
        """Why names stay as they are, in one line; None while the tool works."""

    def __enter__(self) -> Demangler:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the child. It is started again by the next question."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()

    def readable(self, names: Iterable[str]) -> dict[str, str]:
        """Return each name as its author wrote it; other names and damaged ones as they are."""
        wanted = list(dict.fromkeys(names))
        if len(self._cache) + len(wanted) > _MAX_CACHED:
            self._cache.clear()
        bases = {name: _split_suffix(name) for name in wanted}
        new = list(dict.fromkeys(base for base, _ in bases.values() if base and base not in self._cache))
        for batch in _batches(new):
            self._cache.update(self._ask_patiently(batch))
        answers = {}
        for name, (base, suffix) in bases.items():
            text = self._cache.get(base, base)
            answers[name] = name if text == base else text + suffix
        return answers

    def _ask_patiently(self, names: list[str]) -> dict[str, str]:
        """Ask for a batch; if the child fails, ask for each name alone, so that only one name is lost."""
        answers = self._ask(names)
        if answers is not None:
            return answers
        if len(names) == 1:
            return {names[0]: names[0]}
        return {name: text for each in names for name, text in self._ask_patiently([each]).items()}

    def _ask(self, names: list[str]) -> dict[str, str] | None:
        """Return None if the child does not answer; it has been ended then."""
        if self._child is None and not self._start():
            return None
        lines = self._exchange(names)
        if lines is not None:
            return {name: _as_llvm_has_it(name, line) for name, line in zip(names, lines, strict=True)}
        self.close()
        self._failures += 1
        if self._failures >= _MAX_FAILURES and self.problem is None:
            self.problem = f"{self._tools[0]} does not answer: Rust names stay mangled"
        return None

    def _start(self) -> bool:
        """Start the first tool that gives the right answer to a known name."""
        while self.problem is None:
            with contextlib.suppress(OSError):
                self._child = subprocess.Popen(
                    [self._tools[0]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                    bufsize=0, start_new_session=True, env={**os.environ, "LC_ALL": "C"},
                )  # fmt: skip
                resource.prlimit(self._child.pid, resource.RLIMIT_AS, (_MAX_MEMORY, _MAX_MEMORY))
                resource.prlimit(self._child.pid, resource.RLIMIT_CORE, (0, 0))
                answer = self._exchange([_PROBE])
                if answer is not None and _as_llvm_has_it(_PROBE, answer[0]) == _PROBED:
                    return True
            self.close()
            tool = self._tools.pop(0)
            if not self._tools:
                self.problem = f"{tool} cannot demangle Rust names: they stay mangled"
        return False

    def _exchange(self, names: list[str]) -> list[str] | None:
        """Send some names and return as many lines; None if the child ends, is silent or answers too much."""
        child = self._child
        if child is None or child.stdin is None or child.stdout is None:
            return None
        output = child.stdout.fileno()
        poller = select.poll()
        poller.register(output, select.POLLIN)
        try:
            if poller.poll(0):
                return None  # an answer to no question: the next ones would go to other names
            child.stdin.write("".join(f"{name}\n" for name in names).encode("ascii"))
        except OSError:
            return None
        answer = b""
        lines = 0
        deadline = time.monotonic() + self._timeout_s
        while lines < len(names):
            left_ms = int((deadline - time.monotonic()) * 1000)
            if left_ms <= 0 or len(answer) > _MAX_ANSWER or not poller.poll(left_ms):
                return None
            data = os.read(output, 1 << 16)
            if not data:
                return None
            answer += data
            lines += data.count(b"\n")
        texts = answer.decode("utf-8", "replace").split("\n")
        return texts[:-1] if len(texts) == len(names) + 1 and not texts[-1] else None


def readable_names(names: Iterable[str]) -> dict[str, str]:
    """Return the names that a message shows as their authors wrote them, mangled where no tool is installed."""
    with Demangler() as demangler:
        return demangler.readable(names)


def _split_suffix(name: str) -> tuple[str, str]:
    """Part a mangled name (empty for what is none) from what a compiler put behind it, written as LLVM writes it."""
    if len(name) > _MAX_NAME or not name.isascii() or not SYMBOL.fullmatch(name.encode()):
        return "", ""
    at = min((i for i in (name.find("."), name.find("$")) if i >= 0), default=-1)
    return (name, "") if at < 0 else (name[:at], f" ({name[at:]})")


def _batches(names: list[str]) -> Iterable[list[str]]:
    batch: list[str] = []
    size = 0
    for name in names:
        if size + len(name) + 1 > _MAX_BATCH:
            yield batch
            batch, size = [], 0
        batch.append(name)
        size += len(name) + 1
    if batch:
        yield batch


def _as_llvm_has_it(name: str, answer: str) -> str:
    """Remove what only c++filt prints; an answer with control characters does not count."""
    text = answer.rstrip("\r")
    text = _CONSTANT_TYPE.sub("", _CRATE_HASH.sub("", text))
    return text if text and text.isprintable() else name
