# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Outcomes in words, and as one JSON file."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tests.lab.kbuild_oracle import KbuildAnswer, Listed

from .case import Judged, Outcome

_SHOWN = 4


@dataclasses.dataclass(slots=True)
class Tally:
    """What is counted over a whole run."""

    cases: int = 0
    layouts: Counter[str] = dataclasses.field(default_factory=Counter)
    kinds: Counter[str] = dataclasses.field(default_factory=Counter)
    counts: Counter[str] = dataclasses.field(default_factory=Counter)
    failed: list[str] = dataclasses.field(default_factory=list)
    """Names of the cases that disagree."""

    def add(self, outcome: Outcome) -> None:
        self.cases += 1
        self.layouts[outcome.name.partition("/")[0]] += 1
        self.kinds.update(outcome.kinds)
        self.counts["kbuild errors"] += bool(outcome.kbuild_errors)
        self.counts["stale"] += any(j.kdeps.verdict == "stale" for j in outcome.judged)
        self.counts["broken"] += bool(outcome.broken)
        self.counts["oracle wrote"] += bool(outcome.oracle_wrote)
        for judged in outcome.judged:
            self.counts["checks"] += 1
            self.counts["kept"] += judged.kdeps.kept_again
            self.counts["misses"] += len(judged.difference.misses)
            self.counts["false alarms"] += len(judged.difference.alarms)
            self.counts["split"] += len(judged.difference.split)
            self.counts["contract"] += len(judged.difference.contract)
            self.counts["unrecorded"] += len(judged.difference.unrecorded)
        if outcome.disagrees:
            self.failed.append(outcome.name)

    def summary(self, seed: int, elapsed_s: float) -> str:
        layouts = ", ".join(f"{name} {n}" for name, n in sorted(self.layouts.items()))
        return (
            f"{self.cases} mutations ({layouts}), {self.counts['checks']} checks ({self.counts['kept']} kept "
            f"and asked again), {self.counts['stale']} stale: "
            f"{self.counts['misses']} misses, {self.counts['false alarms']} false alarms, "
            f"{self.counts['split']} split, {self.counts['contract']} contract, {self.counts['broken']} broken; "
            f"{self.counts['kbuild errors']} kbuild errors, {self.counts['unrecorded']} unrecorded, "
            f"{self.counts['oracle wrote']} oracle writes; seed {seed}, {elapsed_s:.0f} s"
        )


def disagreement_lines(outcome: Outcome) -> Iterator[str]:
    """Yield one line per disagreement, each naming the case that shows it again."""
    what = "; ".join((*outcome.steps, *outcome.extra)) or "(no mutation)"
    if outcome.broken:
        yield f"BROKEN {outcome.name}  {what}: {outcome.broken.strip().splitlines()[-1]}"
    for judged in outcome.judged:
        d = judged.difference
        for label, items in (
            ("MISS", d.misses),
            ("ALARM", d.alarms),
            ("SPLIT", d.split),
            ("CONTRACT", d.contract),
        ):
            if items:
                more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
                yield f"{label} {outcome.name}  {what}  {judged.module}: {', '.join(items[:_SHOWN])}{more}"


def case_line(outcome: Outcome) -> str:
    """Return one line that says what both said."""
    parts = []
    for j in outcome.judged:
        direct = sum(e.is_direct(commands=True) for e in j.kdeps.entries.values())
        said = len(outcome.prepare.recorded.keys() | j.kbuild.recorded.keys())
        parts.append(
            f"{j.module}: kbuild {said}, kdeps {direct} direct of {len(j.kdeps.entries)}, {j.kdeps.verdict}"
        )
    error = "  [kbuild error]" if outcome.kbuild_errors else ""
    mark = "FAIL" if outcome.disagrees else "ok  "
    what = "; ".join((*outcome.steps, *outcome.extra)) or "(no mutation)"
    return f"{mark} {outcome.name}  {what}  {'; '.join(parts)}{error}  {outcome.elapsed_s:.1f} s"


def full_text(outcome: Outcome) -> str:
    """Return everything both said about a case."""
    lines = [case_line(outcome), *disagreement_lines(outcome)]
    if outcome.broken:
        lines.append(outcome.broken)
    if outcome.oracle_wrote:
        lines += ["asking Kbuild wrote:", *(f"  {path}" for path in outcome.oracle_wrote)]
    lines += ["Kbuild, modules_prepare:", *_kbuild_text(outcome.prepare)]
    for judged in outcome.judged:
        lines += [f"Kbuild, M= of {judged.module}:", *_kbuild_text(judged.kbuild)]
        lines += [f"kdeps, {judged.module}:", *_kdeps_text(judged)]
    return "\n".join(lines)


def _kbuild_text(answer: KbuildAnswer) -> Iterator[str]:
    def told(label: str, targets: dict[str, Listed]) -> Iterator[str]:
        for target, listed in sorted(targets.items()):
            newer = " ".join(listed.newer[:3]) + (" …" if len(listed.newer) > 3 else "")
            yield f"  {label}{target}  {'CMD ' if listed.command else ''}{newer}"

    yield from told("", answer.recorded)
    yield from told("(differs) ", answer.differing)
    yield from told("(rechecked) ", answer.rechecked)
    yield from told("(no record) ", answer.plain)
    if answer.sync:
        yield f"  sync: {answer.sync}"
    for error in answer.errors:
        yield f"  error: {error}"


def _kdeps_text(judged: Judged) -> Iterator[str]:
    answer = judged.kdeps
    yield f"  exit {answer.exit_status}, {answer.verdict}, {answer.elapsed_s:.2f} s, findings: {', '.join(answer.findings) or 'none'}"
    for entry in answer.entries.values():
        silent = " silent" if entry.silent else ""
        reasons = "; ".join(
            f"{r.kind}{'' if r.kbuild else ' (not kbuild)'} {r.path}".rstrip() for r in entry.reasons[:3]
        )
        yield f"  {entry.where}{silent} {entry.certainty} {entry.target}  {reasons}"
    if answer.message:
        yield f"  stderr: {answer.message[-1000:]}"
    if judged.difference.unrecorded:
        yield f"  without a record, so not counted: {', '.join(judged.difference.unrecorded)}"


def as_json(outcomes: Sequence[Outcome], tally: Tally, about: dict[str, Any]) -> dict[str, Any]:
    """Return the whole run as one JSON value; agreeing cases in short."""
    return {
        **about,
        "summary": dict(tally.counts) | {"mutations": tally.cases},
        "layouts": dict(tally.layouts),
        "kinds": dict(tally.kinds),
        "failed": tally.failed,
        "cases": [_case_json(outcome) for outcome in outcomes],
    }


def _case_json(outcome: Outcome) -> dict[str, Any]:
    short: dict[str, Any] = {
        "name": outcome.name,
        "steps": [*outcome.steps, *outcome.extra],
        "agrees": not outcome.disagrees,
        "kbuild": sorted({t for a in _answers(outcome) for t in a.recorded}),
        "kbuild_errors": list(outcome.kbuild_errors),
        "oracle_wrote": list(outcome.oracle_wrote),
        "unrecorded": sorted({t for j in outcome.judged for t in j.difference.unrecorded}),
        "elapsed_s": round(outcome.elapsed_s, 2),
    }
    if outcome.disagrees:
        short["judged"] = [
            {"module": j.module, "verdict": j.kdeps.verdict, "exit_status": j.kdeps.exit_status}
            | dataclasses.asdict(j.difference)
            for j in outcome.judged
        ]
        short["broken"] = outcome.broken
    return short


def _answers(outcome: Outcome) -> Iterable[KbuildAnswer]:
    return (outcome.prepare, *(j.kbuild for j in outcome.judged))
