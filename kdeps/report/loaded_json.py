# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The JSON contract of ``kdeps loaded``: schema ``kdeps.loaded/1``, as ``loaded.schema.json`` describes it."""

from __future__ import annotations

from kdeps import __version__
from kdeps.report.loaded_text import LoadedReport, link_sentence, mend
from kdeps.report.sentences import TextOutput
from kdeps.report.verdict_json import Json, tree_document
from kdeps.running.judge import ModuleAnswer


def loaded_document(report: LoadedReport, pen: TextOutput) -> Json:
    """Return the whole object."""
    facts = report.facts
    return {
        "schema": "kdeps.loaded/1",
        "kdeps": __version__,
        "tree": tree_document(report.answers[0].module.result.tree),
        "machine": {
            "name": report.where or None,
            "release": facts.release or None,
            "version": facts.version or None,
            "boot_id": facts.boot_id or None,
            "build_id": facts.kernel_id,
            "livepatches": list(facts.livepatched),
        },
        "verdict": report.status.value,
        "modules": [_module_document(report, answer, pen) for answer in report.answers],
    }


def _module_document(report: LoadedReport, answer: ModuleAnswer, pen: TextOutput) -> Json:
    module, command = answer.module, mend(report, answer, pen.cwd)
    return {
        "name": module.name,
        "path": module.path,
        "build_id": module.file.build_id if module.file else None,
        "vermagic": module.file.vermagic if module.file else None,
        "verdict": answer.status.value,
        "help": command[1] if command else None,
        "links": [
            {
                "stage": link.stage.value,
                "kind": link.kind.value,
                "verdict": link.status.value,
                "path": link.path or None,
                "build_id": link.build_id,
                "message": link_sentence(pen, report, answer, link),
                "others": list(link.others),
                "origin": _origin(report, link.build_id),
            }
            for link in answer.links
        ],
    }


def _origin(report: LoadedReport, build_id: str | None) -> Json | None:
    origin = report.origins.get(build_id or "")
    if origin is None:
        return None
    document = origin._asdict()
    del document["sources"]
    return {**document, "root": origin.root or None, "ledger": origin.ledger or None}
