# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The JSON contract: schema ``kdeps.verdict/1``.

Scripts and CI jobs are built on these names. Fields are added freely; one is
renamed or dropped only with a new schema number.
"""

from __future__ import annotations

import json
import re

from kdeps import __version__
from kdeps.kbuild.rule import Owner
from kdeps.kbuild.tree import Tree
from kdeps.staleness.check import CheckResult
from kdeps.staleness.reasons import Reason, ReasonKind, Source, Stale, Status, Verdict
from kdeps.staleness.rustc_errors import predict_error

_UNSEEN = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
"""Control characters beyond ASCII and what turns the direction of writing; JSON itself escapes the others."""

SCHEMA = "kdeps.verdict/1"

Json = dict[str, object]
"""What ``json.dumps`` takes; the shape itself is in ``verdict.schema.json``."""


def verdict_json(
    result: CheckResult, *, by_time: CheckResult | None = None, touched: tuple[str, ...] = ()
) -> str:
    """Render a result as one JSON object (no newline at the end); the arguments are those of ``verdict_document``."""
    return dump(verdict_document(result, by_time, touched))


def verdict_document(
    result: CheckResult, by_time: CheckResult | None = None, touched: tuple[str, ...] = ()
) -> Json:
    """Make the object itself, as ``verdict.schema.json`` describes it.

    Where contents decided, ``by_time`` is the same build as make has it. ``touched`` inputs are newer than what was
    made from them, with the same content.
    """
    tree, verdict = result.tree, result.verdict
    document: Json = {
        "schema": SCHEMA,
        "kdeps": __version__,
        "tree": tree_document(tree),
        "verdict": verdict.status.value,
        "source": verdict.source.value,
        "stale": [_stale(result, state) for state in verdict.stale],
        "pending": [_stale(result, state) for state in verdict.pending],
        **doubts_document(verdict),
        "stats": {
            "rules": len(result.graph.rules),
            "prerequisites": sum(
                len(rule.prerequisites) + len(rule.optional_prerequisites) for rule in result.graph.rules
            ),
            "files": len(result.snapshot.mtime_ns),
            "elapsed_ms": round(result.elapsed_ms, 1),
        },
    }
    if by_time is not None:
        document["by_time"] = {
            "verdict": by_time.verdict.status.value,
            "stale": [state.rule.name for state in by_time.verdict.stale],
            "pending": [state.rule.name for state in by_time.verdict.pending],
        }
        document["touched"] = list(touched)
    return document


def doubts_document(verdict: Verdict) -> Json:
    """What concerns the build as a whole, and what could not be read."""
    return {
        "findings": [
            {"kind": f.kind.value, "path": f.path, "message": f.message, "help": f.help, "verdict": f.status.value}
            for f in verdict.findings
        ],
        "problems": [{"path": p.path, "message": p.message} for p in verdict.problems],
    }  # fmt: skip


def unknown_document(tree: Tree, path: str, message: str) -> Json:
    """The object for a build that could not be judged at all."""
    return {
        "schema": SCHEMA,
        "kdeps": __version__,
        "tree": tree_document(tree),
        "verdict": Status.UNKNOWN.value,
        "source": Source.RECORD.value,
        "stale": [],
        "pending": [],
        "findings": [],
        "problems": [{"path": path, "message": message}],
        "stats": {"rules": 0, "prerequisites": 0, "files": 0, "elapsed_ms": 0},
    }


def dump(document: Json | list[Json], *, indent: int | None = 1) -> str:
    """Write a document as JSON that a terminal may show (no newline at the end); without ``indent`` on one line."""
    # A path may hold any byte; JSON may not. Replace what is no UTF-8, keep the rest readable,
    # except for what a terminal would obey.
    text = json.dumps(document, ensure_ascii=False, indent=indent).encode("utf-8", "replace").decode("utf-8")
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def tree_document(tree: Tree) -> Json:
    return {
        "srctree": tree.srctree,
        "objtree": tree.objtree,
        "module": tree.module,
        "module_output": tree.module_output,
        "kernelrelease": tree.release,
        "prebuilt": tree.prebuilt,
    }


def _stale(result: CheckResult, state: Stale) -> Json:
    rule = state.rule
    base = result.tree.module_output if rule.owner is Owner.MODULE else result.tree.objtree
    return {
        "target": rule.name,
        "outputs": [_relative(path, base) for path in rule.outputs],
        "scope": rule.owner.value,
        "silent": state.silent,
        "certainty": state.certainty.value,
        "reasons": [_reason(result, state, reason, base) for reason in state.reasons],
    }


def _reason(result: CheckResult, state: Stale, reason: Reason, base: str | None) -> Json:
    document = reason_document(reason)
    if reason.path in result.graph.producers:
        path = _relative(reason.path, result.tree.objtree)
        document["path"] = _relative(reason.path, base) if path == reason.path else path
    foretold = predict_error(state.rule, reason, result.snapshot) if state.silent else None
    if foretold is not None:
        document["rustc_error"] = {"code": foretold.code, "certain": foretold.certain}
    return document


def reason_document(reason: Reason) -> Json:
    """One reason with its evidence, paths absolute."""
    document: Json = {"kind": reason.kind.value, "kbuild": reason.kbuild, "path": reason.path}
    if reason.mtime_ns is not None:
        document["mtime_ns"] = reason.mtime_ns
    if reason.target_mtime_ns is not None:
        document["target_mtime_ns"] = reason.target_mtime_ns
    if reason.kind is ReasonKind.COMMAND_CHANGED:
        document["added"], document["removed"] = list(reason.added), list(reason.removed)
    if reason.detail:
        document["detail"] = reason.detail
    return document


def _relative(path: str, base: str | None) -> str:
    return path[len(base) + 1 :] if base and path.startswith(base + "/") else path
