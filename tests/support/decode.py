# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps decode``, run as a filter."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import CHECKOUT

NAME = b"_RNvC9oops_demo7trigger"
READABLE = b"oops_demo::trigger"


def decode(
    *words: str, log: bytes = b"", cwd: Path = CHECKOUT, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "kdeps", "decode", *words],
        input=log, capture_output=True, cwd=cwd, check=False, timeout=300,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), **(env or {})},
    )  # fmt: skip
