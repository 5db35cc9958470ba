# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Names that meant two things, or said nothing, and have one that says it now: none of the old ones comes back."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.conftest import CHECKOUT

PACKAGE = CHECKOUT / "kdeps"

FILES = {
    "staleness/survey.py": "staleness/check.py",
    "kbuild/edges.py": "kbuild/makefile_rules.py",
    "staleness/stamps.py": "staleness/snapshot.py",
    "staleness/findings.py": "staleness/build_checks.py",
    "staleness/linked.py": "staleness/vmlinux_checks.py",
    "staleness/causes.py": "staleness/root_causes.py",
    "staleness/inputs.py": "staleness/dependencies.py",
    "refresh/kept.py": "staleness/answers.py",
    "refresh/memory.py": "staleness/confirmed.py",
    "refresh/environment.py": "staleness/confirmed.py",
    "artifacts/beyond.py": "artifacts/inspect.py",
    "artifacts/births.py": "system/birth.py",
    "artifacts/meanwhile.py": "staleness/racy_edits.py",
    "artifacts/orphans.py": "artifacts/stray_crates.py",
    "contents/against.py": "contents/judge.py",
    "contents/contents.py": "contents/hashes.py",
    "cli/start.py": "cli/main.py",
    "cli/ending.py": "cli/make.py",
    "cli/saying.py": "cli/make_messages.py",
    "cli/refreshing.py": "cli/refresh.py",
    "refresh/ninja/settle.py": "refresh/ninja/timestamps.py",
    "watch/settle.py": "watch/debounce.py",
    "watch/busy.py": "watch/writers.py",
}
DEFINITIONS = {
    "survey": "check_build",
    "Survey": "CheckResult",
    "judge_rules": "judge_tree",
    "EDGES": "MAKEFILE_PREREQUISITES",
    "Unrecorded": "UnrecordedRule",
    "COMMAND_BLIND": "IGNORES_COMMAND_CHANGE",
    "NAMED_ONLY": "NAMED_NOT_COMPARED",
    "ALSO_WRITTEN": "SIDE_OUTPUTS",
    "Extent": "Scope",
    "unseen": "uncompared_inputs",
    "add_bare": "add_unrecorded_rule",
    "gather": "as_rules",
    "mtime_of": "mtime_ns",
    "find_findings": "check_build_as_a_whole",
    "_judge_sync": "_check_config_synced",
    "Discovery": "Finding",
    "Cure": "Remedy",
    "BY_HAND": "MANUAL",
    "by_hand": "manual",
    "cure": "refresh_commands",
    "is_echo": "is_propagated",
    "foretell": "predict_rustc_error",
    "Paths": "Dependencies",
    "find_first_paths": "list_places_searched",
    "Looked": "CachedRule",
    "Kept": "CachedRule",
    "Outcome": "MakeOutcome",
    "_Told": "_Terminated",
    "Stop": "ExitInstead",
    "Beyond": "Inspection",
    "look_beyond": "inspect_artifacts",
    "Fence": "AllowedRoots",
    "read_times": "birth_times",
    "share_clock": "same_clock",
    "Edit": "RacyEdit",
    "find_edits": "find_racy_edits",
    "Orphans": "stray_crates",
    "_Judge": "LedgerJudge",
    "Contents": "FileHasher",
    "Content": "FileHash",
    "Part": "ScopedResult",
    "Whole": "KernelWithModules",
    "Pen": "TextOutput",
    "Writer": "ResultText",
    "say_cause": "cause_sentence",
    "say_finding": "finding_sentence",
    "shown_line": "sanitise_line",
    "understand": "resolve_change",
    "fold": "group_build",
    "Lit": "HighlightedPath",
    "Settle": "Debounce",
    "found_busy": "note_writer",
    "Raise": "NewTimes",
    "Busy": "Activity",
    "Teller": "Publisher",
    "Post": "StatusFiles",
    "Taken": "AlreadyWatched",
    "Server": "StatusSocket",
    "Attempts": "RetryPolicy",
    "Looks": "ModuleStatus",
    "Looker": "WatchedModule",
    "Watched": "WatchedModule",
    "View": "ModuleStatus",
    "Situation": "ModuleStatus",
}
"""Old name of a class, function, field or constant → the one it has now."""


def definitions() -> Iterator[tuple[str, str]]:
    """The file and name of every class and function, and of every name that a module or class assigns."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = str(path.relative_to(PACKAGE))
        todo: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
        while todo:
            for node in ast.iter_child_nodes(todo.pop()):
                if isinstance(node, ast.ClassDef | ast.FunctionDef):
                    yield name, node.name
                    todo.append(node)
                elif isinstance(node, ast.Assign | ast.AnnAssign):
                    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                    yield from ((name, target.id) for target in targets if isinstance(target, ast.Name))


@pytest.mark.parametrize("old", FILES)
def test_no_module_has_its_old_name(old: str) -> None:
    assert not (PACKAGE / old).exists()
    assert (PACKAGE / FILES[old]).exists()


def test_nothing_has_its_old_name() -> None:
    assert [(file, name) for file, name in definitions() if name in DEFINITIONS] == []


def test_a_check_is_called_a_check() -> None:
    """And what it gives, a result."""
    found = [path for path in PACKAGE.rglob("*.py") if re.search("survey", path.read_text("utf-8"), re.I)]
    assert found == []
