# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The JSON contracts of the questions: schemas ``kdeps.why/1`` and ``kdeps.affected/1``.

As with ``kdeps.verdict/1``: fields are added freely; one is renamed or dropped only
with a new schema number. Paths are absolute; ``target`` is written as Kbuild does.
"""

from __future__ import annotations

import os

from kdeps import __version__
from kdeps.kbuild.modules import KernelWithModules
from kdeps.query.affected import Affected, Effect, Estimate, affected_modules
from kdeps.query.names import Named
from kdeps.query.why import Chain, Step, User, find_state, is_taken, judge_target
from kdeps.report.verdict_json import Json, doubts_document, reason_document
from kdeps.staleness.check import CheckResult

WHY_SCHEMA = "kdeps.why/1"
AFFECTED_SCHEMA = "kdeps.affected/1"


def why_json(result: CheckResult, target: Named, chains: list[Chain], causes: int) -> Json:
    """Render the answer to "why is it stale", or "how is it made from that": chains of so many root causes."""
    state = find_state(result, target)
    return {
        **_head(result, target),
        "verdict": judge_target(result, target).value,
        "silent": state is not None and state.silent,
        "certainty": None if state is None else state.certainty.value,
        "causes": causes,
        "chains": [_chain(result, chain) for chain in chains],
        **doubts_document(result.verdict),
    }


def users_json(result: CheckResult, target: Named, users: list[User]) -> Json:
    """Render the answer to "who uses it": every rule once, by the shortest way, nearest first."""
    return {
        **_head(result, target),
        "users": [
            {
                "path": user.rule.target,
                "target": user.rule.name,
                "scope": user.rule.owner.value,
                "crate": user.rule.crate or None,
                "via": user.via,
                "from": None if user.below is None else users[user.below].rule.target,
                "distance": user.distance,
                "taken": is_taken(user.rule),
            }
            for user in users
        ],
    }


def _head(result: CheckResult, target: Named) -> Json:
    tree = result.tree
    return {
        "schema": WHY_SCHEMA,
        "kdeps": __version__,
        "tree": {"srctree": tree.srctree, "objtree": tree.objtree, "module": tree.module, "kernelrelease": tree.release},
        "path": target.path,
        "target": None if target.rule is None else result.graph.rules[target.rule].name,
    }  # fmt: skip


def _chain(result: CheckResult, chain: Chain) -> Json:
    cause = chain.cause
    return {
        "cause": None
        if cause is None
        else {"kind": cause.reason.kind.value, "kbuild": cause.reason.kbuild, "paths": list(cause.paths)},
        "missed": chain.is_missed,
        "steps": [_step(result, step) for step in chain.steps],
    }


def _step(result: CheckResult, step: Step) -> Json:
    rule = step.rule
    return {
        "path": step.path,
        "target": None if rule is None else rule.name,
        "scope": None if rule is None else rule.owner.value,
        "crate": (rule.crate or None) if rule is not None else None,
        "taken": rule is not None and is_taken(rule),
        "mtime_ns": result.snapshot.mtime_ns.get(step.path, _symbol_mtime(result, step.path)),
        "reason": None if step.reason is None else reason_document(step.reason),
    }


def _symbol_mtime(result: CheckResult, path: str) -> int | None:
    if "/include/config/" not in path:
        return None
    folder, name = path[: path.rindex("/include/config/")], os.path.basename(path)
    return result.snapshot.config.get(folder, {}).get(name)


def affected_json(
    whole: KernelWithModules, affected: Affected, estimate: Estimate, *, modules_only: bool
) -> Json:
    """Render the answer to "what does this rebuild"; each list in the order in which it would be built."""
    tree = whole.tree
    folders = [
        {"module": m.module, "module_output": m.module_output} for m in affected_modules(affected)
    ]  # fmt: skip
    document: Json = {
        "schema": AFFECTED_SCHEMA,
        "kdeps": __version__,
        "tree": {"srctree": tree.srctree, "objtree": tree.objtree, "kernelrelease": tree.release},
        "module_folders": folders,
    }
    if modules_only:
        return document
    return {
        **document,
        "changes": [
            {
                "name": change.name,
                "kind": change.kind.value,
                "paths": list(change.paths),
                "symbols": list(change.symbols),
                "note": change.note,
            }
            for change in affected.changes
        ],
        "crates": [{"crate": effect.rule.crate, **_effect(effect)} for effect in affected.crates],
        "modules": [_effect(effect) for effect in affected.modules],
        "others": [_effect(effect) for effect in affected.others],
        "unknown": [{"path": reason.path, "message": reason.detail} for reason in affected.unknown],
        "unsure": [{"module": m.module, "module_output": m.module_output} for m in affected.unsure],
        "estimate": {
            "seconds": round(estimate.seconds, 3) if estimate.timed else None,
            "timed": estimate.timed,
            "untimed": estimate.untimed,
        },
    }


def _effect(effect: Effect) -> Json:
    return {
        "path": effect.rule.target,
        "target": effect.rule.name,
        "scope": effect.rule.owner.value,
        "module": None if effect.module is None else effect.module.module,
        "certainty": effect.certainty.value,
        "noticed": effect.noticed,
    }
