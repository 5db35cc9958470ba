# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""kdeps' answer, taken from its documented JSON and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from kdeps.cli.check import fill_in
from kdeps.cli.checking import judge, keep
from kdeps.kbuild.make_command import read_request
from kdeps.refresh.judging import check_with_kbuild_once
from kdeps.staleness.answers import BUILD, Question
from kdeps.system.errors import KdepsError

from .kbuild_oracle import canonical
from .layout import Layout

TIMEOUT_S = 120

_NOT_DIRECT = ("stale-prerequisite", "command-changed")
"""Kinds that Kbuild's direct answer has no counterpart for (without --exact)."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason as kdeps gave it."""

    kind: str
    kbuild: bool
    path: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One rule that kdeps lists."""

    target: str
    """Absolute."""
    where: str
    """``stale`` or ``pending``."""
    silent: bool
    certainty: str
    reasons: tuple[Reason, ...]

    def is_direct(self, *, commands: bool = False) -> bool:
        """Whether Kbuild itself would answer this rule, by what kdeps says; with ``commands`` a changed one counts
        (``--exact``).
        """
        ignored = _NOT_DIRECT[:1] if commands else _NOT_DIRECT
        return any(r.kbuild and r.kind not in ignored for r in self.reasons)


@dataclass(slots=True)
class KdepsAnswer:
    """What ``kdeps check`` said and how it ended."""

    exit_status: int
    verdict: str = ""
    entries: dict[str, Entry] = field(default_factory=dict)
    """By absolute target."""
    findings: tuple[str, ...] = ()
    """Their kinds; notes are left out."""
    message: str = ""
    """Standard error."""
    elapsed_s: float = 0.0
    broken: str = ""
    """Not empty when the answer breaks kdeps' own contract; says how."""
    kept: bool = False
    """``kdeps make`` would take the build for fresh, for nothing has changed since it was found so."""
    kept_again: bool = False
    """``kdeps check`` would print it again without judging."""

    @property
    def says_something(self) -> bool:
        """Whether a user learns that not all is well."""
        return self.exit_status in (1, 2) or bool(self.entries)


def ask_kdeps(
    layout: Layout, args: Sequence[str], *, exact: bool = False, env: dict[str, str] | None = None
) -> KdepsAnswer:
    """Run ``kdeps check`` as a user would, in the layout's folder, for make's own view."""
    command = [sys.executable, "-m", "kdeps", "check", "--by=time", "--format", "json"]
    command += ["--exact"] if exact else []
    started = time.monotonic()
    done = subprocess.run(
        [*command, *layout.make, *args],
        cwd=layout.cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    answer = KdepsAnswer(
        exit_status=done.returncode,
        message=done.stderr.decode(errors="replace").strip(),
        elapsed_s=time.monotonic() - started,
    )
    _read_json(answer, done.stdout, layout)
    return answer


def keep_fresh(layout: Layout, args: Sequence[str]) -> None:
    """Judge as ``kdeps make`` does, so that a fresh answer is kept."""
    words = (*layout.make, *args)
    environ = dict(os.environ)
    request = read_request(words, layout.cwd, environ)
    for _ in range(5):  # Kbuild confirms the commands, then the answer is kept
        if request is not None and not is_kept(layout, args):
            check_with_kbuild_once(request, layout.cwd, environ)


def is_kept(layout: Layout, args: Sequence[str]) -> bool:
    """Whether ``kdeps make`` would go by the answer it has kept."""
    return Question(BUILD, (*layout.make, *args), layout.cwd, dict(os.environ)).recall() is not None


def keep_check(layout: Layout, args: Sequence[str], env: dict[str, str]) -> None:
    question = _ask(layout, args, env)
    started_ns = time.time_ns()
    try:
        found = judge(question)
    except KdepsError:
        return
    if found.keepable:
        keep(question, found, started_ns)


def recall_check(layout: Layout, args: Sequence[str], env: dict[str, str]) -> KdepsAnswer | None:
    """Return what ``kdeps check`` would print without judging; None if it would judge."""
    kept = _ask(layout, args, env).recall()
    if kept is None:
        return None
    status, parts = kept
    answer = KdepsAnswer(exit_status=status)
    _read_json(answer, fill_in(parts, 0.0).encode(), layout)
    return answer


def _ask(layout: Layout, args: Sequence[str], env: dict[str, str]) -> Question:
    words = (*layout.make, *args)
    return Question(("check", "json", "time", "plain", "utf-8", ""), words, layout.cwd, {**os.environ, **env})


def _read_json(answer: KdepsAnswer, stdout: bytes, layout: Layout) -> None:
    if not stdout.strip():
        if answer.exit_status != 2:
            answer.broken = f"exit {answer.exit_status} without JSON"
        answer.verdict = "unknown"
        return
    try:
        data: dict[str, Any] = json.loads(stdout)
        answer.verdict = data["verdict"]
        answer.findings = tuple(
            sorted(f["kind"] for f in data.get("findings", []) if f["verdict"] != "fresh")
        )
        tree = data.get("tree") or {}
        roots = {
            "kernel": tree.get("objtree") or layout.objtree,
            "module": tree.get("module_output") or tree.get("module") or "/",
        }
        for where in ("stale", "pending"):
            for entry in data.get(where, []):
                _take_entry(answer, where, entry, roots)
    except (ValueError, KeyError, TypeError) as error:
        answer.broken = f"JSON breaks the contract: {error!r}"
        return
    expected = {"fresh": 0, "stale": 1, "unknown": 2}.get(answer.verdict)
    if answer.exit_status != expected:
        answer.broken = f"verdict {answer.verdict!r} with exit status {answer.exit_status}"


def _take_entry(answer: KdepsAnswer, where: str, data: dict[str, Any], roots: dict[str, str]) -> None:
    target = canonical(roots[data["scope"]], data["target"])
    if target in answer.entries:
        answer.broken = f"{target} is listed twice"
    answer.entries[target] = Entry(
        target=target,
        where=where,
        silent=bool(data.get("silent", False)),
        certainty=str(data.get("certainty", "")),
        reasons=tuple(Reason(r["kind"], bool(r["kbuild"]), str(r.get("path", ""))) for r in data["reasons"]),
    )
