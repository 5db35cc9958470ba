# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The JSON contract: schema ``kdeps.verdict/1``.

Scripts and CI jobs are built on these names. Fields are added freely; one is
renamed or dropped only with a new schema number.
"""

from __future__ import annotations

import json
import re

from kdeps import __version__
from kdeps.rules import Scope
from kdeps.rustc_errors import predict_error
from kdeps.survey import Survey
from kdeps.tree import Tree
from kdeps.verdict import Reason, ReasonKind, Source, Stale, Status

_UNSEEN = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
"""Control characters beyond ASCII and what turns the direction of writing; JSON itself escapes the others."""

SCHEMA = "kdeps.verdict/1"

Json = dict[str, object]
"""What ``json.dumps`` takes; the shape itself is in ``verdict.schema.json``."""


def verdict_json(survey: Survey) -> str:
    """Render a survey as one JSON object (no newline at the end)."""
    return dump(verdict_document(survey))


def verdict_document(survey: Survey) -> Json:
    """The object itself, as ``verdict.schema.json`` describes it."""
    tree, verdict = survey.tree, survey.verdict
    return {
        "schema": SCHEMA,
        "kdeps": __version__,
        "tree": _tree(tree),
        "verdict": verdict.status.value,
        "source": verdict.source.value,
        "stale": [_stale(survey, state) for state in verdict.stale],
        "pending": [_stale(survey, state) for state in verdict.pending],
        "findings": [
            {
                "kind": f.kind.value,
                "path": f.path,
                "message": f.message,
                "help": f.help,
                "verdict": f.status.value,
            }
            for f in verdict.findings
        ],
        "problems": [{"path": p.path, "message": p.message} for p in verdict.problems],
        "stats": {
            "rules": len(survey.graph.rules),
            "prerequisites": sum(len(rule.prerequisites) + len(rule.optional) for rule in survey.graph.rules),
            "files": len(survey.snapshot.mtime_ns),
            "elapsed_ms": round(survey.elapsed_ms, 1),
        },
    }


def unknown_document(tree: Tree, path: str, message: str) -> Json:
    """The object for a build that could not be judged at all, for it cannot be reached."""
    return {
        "schema": SCHEMA,
        "kdeps": __version__,
        "tree": _tree(tree),
        "verdict": Status.UNKNOWN.value,
        "source": Source.RECORD.value,
        "stale": [],
        "pending": [],
        "findings": [],
        "problems": [{"path": path, "message": message}],
        "stats": {"rules": 0, "prerequisites": 0, "files": 0, "elapsed_ms": 0},
    }


def dump(document: Json, *, indent: int | None = 1) -> str:
    """Write a document as JSON that a terminal may show (no newline at the end); without ``indent`` on one line."""
    return _dump(document, indent)


def dump_list(documents: list[Json]) -> str:
    """The same for a list."""
    return _dump(documents, 1)


def _dump(document: object, indent: int | None) -> str:
    # A path may hold any byte; JSON may not. Replace what is no UTF-8, keep the rest readable,
    # but for what a terminal would obey.
    text = json.dumps(document, ensure_ascii=False, indent=indent).encode("utf-8", "replace").decode("utf-8")
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _tree(tree: Tree) -> Json:
    return {
        "srctree": tree.srctree,
        "objtree": tree.objtree,
        "module": tree.module,
        "module_output": tree.module_output,
        "kernelrelease": tree.release,
        "prebuilt": tree.prebuilt,
    }


def _stale(survey: Survey, state: Stale) -> Json:
    rule = state.rule
    base = survey.tree.module_output if rule.scope is Scope.MODULE else survey.tree.objtree
    return {
        "target": rule.name,
        "outputs": [_relative(path, base) for path in rule.outputs],
        "scope": rule.scope.value,
        "silent": state.silent,
        "certainty": state.certainty.value,
        "reasons": [_reason(survey, state, reason, base) for reason in state.reasons],
    }


def _reason(survey: Survey, state: Stale, reason: Reason, base: str | None) -> Json:
    is_output = reason.path in survey.graph.producers
    document: Json = {
        "kind": reason.kind.value,
        "kbuild": reason.kbuild,
        "path": _relative(reason.path, survey.tree.objtree) if is_output else reason.path,
    }
    if is_output and document["path"] == reason.path:
        document["path"] = _relative(reason.path, base)
    if reason.mtime_ns is not None:
        document["mtime_ns"] = reason.mtime_ns
    if reason.target_mtime_ns is not None:
        document["target_mtime_ns"] = reason.target_mtime_ns
    if reason.kind is ReasonKind.COMMAND_CHANGED:
        document["added"], document["removed"] = list(reason.added), list(reason.removed)
    if reason.detail:
        document["detail"] = reason.detail
    foretold = predict_error(state.rule, reason, survey.snapshot) if state.silent else None
    if foretold is not None:
        document["rustc_error"] = {"code": foretold.code, "certain": foretold.certain}
    return document


def _relative(path: str, base: str | None) -> str:
    return path[len(base) + 1 :] if base and path.startswith(base + "/") else path
