# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The truth by hashing everything: another hash than the ledger's, and no look at any stamp."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from typing import NamedTuple

from kdeps.contents.ledger import inputs_of
from kdeps.kbuild.rule import Action, Owner, Rule
from kdeps.staleness.check import CheckResult


def digest(path: str) -> str | None:
    """What is in one file; ``None``: nothing that could be read."""
    found = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while chunk := file.read(1 << 20):
                found.update(chunk)
    except OSError:
        return None
    return found.hexdigest()


def digests(paths: Iterable[str]) -> dict[str, str]:
    """What is in some files; those that are not there are not in it."""
    return {path: found for path in paths if (found := digest(path)) is not None}


class Truth(NamedTuple):
    """Three kinds of targets; the rest is as it was."""

    changed: set[str]
    """An input differs."""
    touched: set[str]
    """Nothing differs, and make would make it again by time."""
    unknown: set[str]
    """It is itself another one, so that nobody knows what it was made from."""


def judged_rules(result: CheckResult) -> list[Rule]:
    """The rules that a ledger speaks of."""
    return [
        rule
        for rule in result.graph.rules
        if rule.action is not Action.FILECHK and not (result.tree.prebuilt and rule.owner is Owner.KERNEL)
    ]


def tell_truth(result: CheckResult, before: dict[str, str], now: dict[str, str]) -> Truth:
    """Which rules have an input whose content differs since the ledger; of the rest, which have one that is newer."""
    truth = Truth(set(), set(), set())
    for rule in judged_rules(result):
        if any(before.get(path) != now.get(path) for path in rule.outputs):
            truth.unknown.add(rule.target)
        elif any(before.get(path) != now.get(path) for path in inputs_of(rule)):
            truth.changed.add(rule.target)
        elif os.path.exists(rule.target) and _is_older(rule, result.tree.objtree):
            truth.touched.add(rule.target)
    return truth


def _is_older(rule: Rule, objtree: str) -> bool:
    """Whether make, or kdeps by time, would have the rule run again."""
    parts = [path for path in rule.outputs[1:] if path not in rule.replaced_if_changed]
    stamps = [
        f"{folder}/include/config/{name}" for folder in (rule.config_dir, objtree) for name in rule.config
    ]
    compared = (*rule.prerequisites, *rule.optional_prerequisites, *rule.uncompared_inputs, *parts, *stamps)
    mtime = os.stat(rule.target).st_mtime_ns
    return any(os.stat(path).st_mtime_ns > mtime for path in compared if os.path.exists(path))
