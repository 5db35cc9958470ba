# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps decode``, run as a filter."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.conftest import CHECKOUT
from tests.support.program import run as run_kdeps

NAME = b"_RNvC9oops_demo7trigger"
READABLE = b"oops_demo::trigger"


def decode(
    *words: str, log: bytes = b"", cwd: Path = CHECKOUT, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    return run_kdeps(("decode", *words), cwd=cwd, env={**os.environ, **(env or {})}, stdin=log)
