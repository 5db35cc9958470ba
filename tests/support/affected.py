# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What ``kdeps affected`` answers, held to its schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.conftest import RunKdeps
from tests.support.miniature import Miniature
from tests.support.schemas import validate

NOVA = "M=drivers/gpu/nova-core"


def affected_json(kdeps: RunKdeps, tree: Miniature, *words: str, cwd: Path | None = None) -> dict[str, Any]:
    done = kdeps(tree, "affected", "--format=json", *words, cwd=cwd)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    validate(document, "affected")
    return document


def affected_paths(document: dict[str, Any], *, certainty: str | None = None) -> set[str]:
    effects = [*document["crates"], *document["modules"], *document["others"]]
    return {e["path"] for e in effects if certainty in (None, e["certainty"]) and e["noticed"]}
