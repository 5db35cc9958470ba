# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The verdict of `kdeps check` as its JSON, and edits that lead to one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.conftest import RunKdeps
from tests.support.miniature import MODULE, Miniature
from tests.support.schemas import validate

M = f"M={MODULE}"

Change = Callable[[Miniature], object]


def judged(kdeps: RunKdeps, tree: Miniature, *words: str, cwd: Path | None = None) -> dict[str, Any]:
    """Run ``kdeps check --format=json``, hold it to its schema, and return it."""
    done = kdeps(tree, "check", "--format=json", *words, cwd=cwd)
    assert "Traceback" not in done.stderr
    verdict: dict[str, Any] = json.loads(done.stdout)
    validate(verdict, "verdict")
    assert done.returncode == {"fresh": 0, "stale": 1, "unknown": 2}[verdict["verdict"]]
    return verdict


def direct(verdict: dict[str, Any], scope: str) -> set[str]:
    """The rules that are stale by themselves for a reason that Kbuild sees."""
    return {
        rule["target"]
        for rule in (*verdict["stale"], *verdict["pending"])
        if rule["scope"] == scope
        and any(r["kbuild"] and r["kind"] != "stale-prerequisite" for r in rule["reasons"])
    }


def touch(name: str) -> Change:
    return lambda tree: tree.touch(name)


def kinds(verdict: dict[str, object]) -> list[str]:
    findings = verdict["findings"]
    assert isinstance(findings, list)
    return [finding["kind"] for finding in findings]
