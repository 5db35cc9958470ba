# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A build as one page to explore, without network, server or other files.

The page is a template with the style, the vendored libraries, the program and the data put
in. File names are data: they are written as JSON in which ``<``, ``>`` and ``&`` are
escaped, so that none can end the element it stands in, and the program shows them as
text only. A content security policy keeps the page from loading anything.
"""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from kdeps import __version__
from kdeps.formats.cmdfile import unescape
from kdeps.kbuild.rule import Action, Rule
from kdeps.refresh.plan import plan_refresh
from kdeps.report.graph.group import HighlightedPath, NodeKind, Picture, group_build, shorten
from kdeps.report.refresh_commands import refresh_commands
from kdeps.report.sentences import SENTENCES, ResultText, Style, cause_sentence, finding_sentence
from kdeps.staleness.check import CheckResult
from kdeps.staleness.reasons import Reason, ReasonKind, Stale, Status
from kdeps.system.text import duration, printable

FOLDER = Path(__file__).parent / "page"
LIBRARIES = ("cytoscape.min.js", "dagre.min.js")
PROGRAM = ("model.js", "layout.js", "ways.js", "look.js", "panel.js", "page.js")
_ESCAPED = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})

Json = dict[str, Any]

_WORDS = SENTENCES | {
    ReasonKind.NEWER_PREREQUISITE: "{file} is newer by {lag}",
    ReasonKind.MISSING_PREREQUISITE: "{file} is gone",
    ReasonKind.STALE_PREREQUISITE: "{file} is itself stale",
}
"""What a step's reasons are called on a page that shows the step."""


def render_page(result: CheckResult, *, cwd: str) -> str:
    """Write a build as one HTML page; paths in sentences and commands are relative to ``cwd``."""
    return assemble(page_data(result, group_build(result), cwd=cwd, now_ns=time.time_ns()))


def assemble(data: Json) -> str:
    """Put style, libraries, program and data into the template."""
    text = (FOLDER / "page.html").read_text(encoding="utf-8")
    parts = {
        "{{style}}": (FOLDER / "page.css").read_text(encoding="utf-8"),
        "{{libraries}}": "\n".join(_library(name) for name in LIBRARIES),
        "{{program}}": "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in PROGRAM),
        "{{data}}": json.dumps(data, separators=(",", ":")).translate(_ESCAPED),
    }
    # One pass, so that nothing in a part is taken for a placeholder.
    for placeholder in parts:
        before, found, after = text.partition(placeholder)
        assert found, f"page.html has no {placeholder}"
        text = f"{before}\0{list(parts).index(placeholder)}\0{after}"
    for number, part in enumerate(parts.values()):
        text = text.replace(f"\0{number}\0", part.replace("\0", ""), 1)
    return text


def _library(name: str) -> str:
    """One vendored library, under its licence."""
    licence = (FOLDER / "vendor" / f"{name.partition('.')[0]}.LICENSE.txt").read_text(encoding="utf-8")
    return f"/*!\n{licence.strip()}\n*/\n" + (FOLDER / "vendor" / name).read_text(encoding="utf-8").strip()


def page_data(result: CheckResult, picture: Picture, *, cwd: str, now_ns: int) -> Json:
    """Everything the page shows."""
    tree, verdict, plan = result.tree, result.verdict, plan_refresh(result)
    writer = _Dated(result, cwd, Style.PLAIN, True, now_ns)
    states = verdict.states
    silent = sum(state.silent for state in verdict.stale)
    return {
        "kdeps": __version__,
        "title": tree.given_module or "the kernel's Rust part",
        "verdict": verdict.status.value,
        "release": tree.release,
        "objtree": tree.objtree,
        "srctree": tree.srctree,
        "made": _iso(now_ns),
        "cwd": printable(cwd),
        "cure": "" if plan.empty or plan.manual else " &&\n".join(refresh_commands(result, cwd)),
        "counts": {
            "rules": len(result.graph.rules),
            "files": sum(node.kind in (NodeKind.FILE, NodeKind.CAUSE) for node in picture.nodes),
            "stale": silent,
            "pending": len(verdict.pending),
        },
        "findings": [finding_sentence(writer, f) for f in verdict.findings if f.status is not Status.FRESH],
        "problems": [f"{writer.path(p.path)}: {p.message}" for p in verdict.problems],
        "nodes": [
            [node.kind.value, node.label, node.path, node.parent, node.state] for node in picture.nodes
        ],
        "rules": {
            str(at): _rule(result, result.graph.rules[node.position], states.get(node.path), writer)
            for at, node in enumerate(picture.nodes)
            if node.kind is NodeKind.RULE
        },
        "edges": [
            [
                edge.source,
                edge.target,
                (1 if edge.taken else 0) | (2 if edge.stale else 0),
                *([edge.via] if edge.via != picture.nodes[edge.source].path else []),
            ]
            for edge in picture.edges
        ],
        "lit": [_lit(lit, writer) for lit in picture.lit],
    }


class _Dated(ResultText):
    """Says when: a page is read later, perhaps elsewhere."""

    def when(self, mtime_ns: int) -> str:
        lag = self.now_ns - mtime_ns
        try:
            return f"{_iso(mtime_ns)} ({duration(abs(lag))} {'before' if lag >= 0 else 'after'} this page)"
        except (OverflowError, ValueError, OSError):
            return super().when(mtime_ns)


def _iso(time_ns: int) -> str:
    """Write a time as ISO 8601 has it, in the zone of this machine, which it names.

    Raises OverflowError, ValueError, OSError: no clock shows such a time.
    """
    return datetime.fromtimestamp(time_ns // 1_000_000_000).astimezone().isoformat(" ")


def _rule(result: CheckResult, rule: Rule, state: Stale | None, writer: ResultText) -> Json:
    pending = state is not None and state in result.verdict.pending
    return {
        "name": rule.name,
        "scope": rule.owner.value,
        "outputs": [shorten(path, result.tree) for path in rule.outputs],
        "record": shorten(rule.record, result.tree) if rule.record else "",
        "command": unescape(rule.command),
        "unrecorded": "" if rule.action is Action.IF_CHANGED else rule.action.value,
        "silent": state is not None and state.silent,
        "pending": pending,
        "certainty": "" if state is None else state.certainty.value,
        "reasons": [] if state is None else [_reason(result, reason, writer) for reason in state.reasons],
    }


def _reason(result: CheckResult, reason: Reason, writer: ResultText) -> Json:
    lag = (reason.mtime_ns or 0) - (reason.target_mtime_ns or 0)
    words = [*(f"-{word}" for word in reason.removed[:6]), *(f"+{word}" for word in reason.added[:6])]
    file = shorten(reason.path, result.tree)
    detail = reason.detail or " ".join(words)
    text = _WORDS[reason.kind].format(what="it", file=file, symbol=file, lag=duration(lag), detail=detail)
    newer = reason.kind is ReasonKind.NEWER_PREREQUISITE
    return {
        "kind": reason.kind.value,
        "text": text,
        "when": f"changed {writer.ago(reason.mtime_ns)}" if newer else "",
        "path": reason.path,
        "kbuild": reason.kbuild,
    }


def _lit(lit: HighlightedPath, writer: ResultText) -> Json:
    return {
        "text": cause_sentence(writer, lit.cause),
        "nodes": list(lit.nodes),
        "edges": list(lit.edges),
        "reached": len(lit.cause.reached),
    }
