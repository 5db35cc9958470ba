# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps ci --built-id``: one line of JSON that says whether what was tested is what was built."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping

from kdeps import __version__
from kdeps.cli.exits import exit_of
from kdeps.cli.machine_facts import find_builds, read_facts
from kdeps.cli.terminal import current_folder
from kdeps.contents.ledger import Build
from kdeps.contents.ledger_file import read_ledger
from kdeps.report.verdict_json import Json, dump
from kdeps.running.facts_text import parse_facts
from kdeps.running.judge import ModuleAnswer, Stage
from kdeps.staleness.reasons import Status
from kdeps.staleness.scope import worst
from kdeps.system.errors import UsageError
from kdeps.system.files import open_to_read


def run_built_id(words: tuple[str, ...], facts_file: str, ledger: str | None) -> int:
    """Judge the machine that the tests ran on, print the line, and return the exit status.

    ``facts_file`` is what the script of ``kdeps loaded --script`` printed there. The hash of the ledger becomes a
    part of the line. Where the ledger has the build ids of other modules, it is of another build, and the verdict is
    stale.
    """
    cwd = current_folder()
    facts = parse_facts(read_facts(facts_file), facts_file)
    answers = find_builds(words, cwd).judge(facts)
    recorded = read_ledger(ledger).builds if ledger is not None else {}
    modules = [_module(answer, recorded) for answer in answers]
    status = worst(answer.status for answer in answers)
    if any(module["in_ledger"] is False for module in modules):
        status = Status.STALE
    document: Json = {
        "schema": "kdeps.built-id/1",
        "kdeps": __version__,
        "verdict": status.value,
        "kernel": {"release": facts.release, "version": facts.version, "build_id": facts.kernel_id},
        "boot_id": facts.boot_id,
        "modules": modules,
        "ledger": None if ledger is None else _hash_ledger(ledger),
    }
    sys.stdout.write(dump(document, indent=None) + "\n")
    return exit_of(status)


def _module(answer: ModuleAnswer, recorded: Mapping[str, Build]) -> Json:
    loaded = next(link for link in answer.links if link.stage is Stage.LOADED)
    first, built = answer.first_break, answer.module.file.build_id if answer.module.file else None
    return {
        "name": answer.module.name,
        "built": built,
        "loaded": loaded.build_id,
        "verdict": answer.status.value,
        "stage": first.stage.value if first else None,
        "kind": first.kind.value if first else None,
        "in_ledger": built in recorded if built and recorded else None,
    }


def _hash_ledger(path: str) -> str:
    try:
        with open_to_read(path) as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
