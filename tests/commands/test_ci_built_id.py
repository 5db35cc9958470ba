# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""kdeps ci --built-id: what was tested is what was built, on one line."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from tests.conftest import RunKdeps
from tests.support.loaded import SHELLS, build_id_of, collect
from tests.support.machine import FOLDER, Machine, build_module, put_module
from tests.support.miniature import Miniature
from tests.support.schemas import validate


def test_what_was_tested_is_what_was_built(tree: Miniature, tmp_path: Path, kdeps: RunKdeps) -> None:
    """The line joins the ids of the guest with those of the build and the ledger, and the status is the verdict."""
    machine = Machine(tmp_path / "machine")
    ledger, facts = tmp_path / "ledger", tmp_path / "facts"
    assert kdeps(tree, "ci", f"--record={ledger}", f"M={FOLDER}").returncode == 0
    built = put_module(tree, build_module(tmp_path / "new", 2))
    old = tmp_path / "old.ko"
    old.write_bytes(build_module(tmp_path / "old", 1))
    for path, status, verdict in ((built, 0, "fresh"), (old, 1, "stale")):
        machine.load(build_id_of(path))
        facts.write_bytes(collect(machine, SHELLS[0]))
        done = kdeps(tree, "ci", f"--built-id={facts}", f"--against={ledger}", f"M={FOLDER}")
        assert (done.returncode, done.stderr, done.stdout.count("\n")) == (status, "", 1)
        document = json.loads(done.stdout)
        validate(document, "built-id")
        module = document["modules"][0]
        assert (module["built"], module["loaded"]) == (build_id_of(built), build_id_of(path))
        assert document["verdict"] == verdict
        assert document["ledger"] == hashlib.sha256(ledger.read_bytes()).hexdigest()


def test_mistakes(tree: Miniature, tmp_path: Path, kdeps: RunKdeps) -> None:
    """A file without facts, a missing file, and an option without a meaning there give one line each."""
    facts = tmp_path / "facts"
    facts.write_text("nothing\n")
    for words in (
        (f"--built-id={facts}",), (f"--built-id={tmp_path}/gone",), (f"--built-id={facts}", "--format=sarif"),
    ):  # fmt: skip
        done = kdeps(tree, "ci", *words, f"M={FOLDER}")
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
