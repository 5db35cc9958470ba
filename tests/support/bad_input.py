# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A check of a damaged tree that must end harmlessly, and the damages."""

from __future__ import annotations

import os
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import CHECKOUT, drop_privileges
from tests.support.miniature import MODULE, Miniature
from tests.support.program import run

M = f"M={MODULE}"
KERNEL = "rust/.kernel.o.cmd"
TIMEOUT_S = 60

Done = subprocess.CompletedProcess[str]


def check(
    tree: Miniature,
    *words: str,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    unprivileged: bool = False,
) -> Done:
    """Run ``kdeps check`` as a process; ``O=`` is added where it is called in the source tree."""
    options = [word for word in words if word.startswith("--")]
    rest = [word for word in words if not word.startswith("--")]
    words = ("check", *options, *(tree.tree_args if cwd is None else ()), *rest)
    place, environ = cwd or tree.srctree, tree.environment(env)
    if unprivileged and os.geteuid() == 0:
        done = subprocess.run(
            [sys.executable, "-m", "kdeps", *words], cwd=place, env={**environ, "PYTHONPATH": str(CHECKOUT)},
            stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=TIMEOUT_S, preexec_fn=drop_privileges,
        )  # fmt: skip
    else:
        done = run(words, cwd=place, env=environ)
    # Not text=True: that would turn a carriage return into a newline.
    output, errors = (text.decode("utf-8", "surrogateescape") for text in (done.stdout, done.stderr))
    assert "Traceback" not in errors + output, errors + output
    assert done.returncode in (0, 1, 2), (done.returncode, errors)
    assert is_harmless(output), ascii(output)
    assert is_harmless(errors), ascii(errors)
    return subprocess.CompletedProcess(done.args, done.returncode, output, errors)


def is_harmless(text: str) -> bool:
    """Whether a terminal would show every character and obey none."""
    return not any(
        unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in text if char != "\n"
    )


@contextmanager
def unchanged(tree: Miniature) -> Iterator[None]:
    """Require that nothing in the tree is another at the end."""
    before = tree.listing()
    yield
    assert tree.listing() == before


def rewrite(path: Path, change: Callable[[bytes], bytes]) -> None:
    """Change a file and keep its times, so that nothing is stale by time alone."""
    status = path.stat()
    path.write_bytes(change(path.read_bytes()))
    os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))


def cure(done: Done) -> list[str]:
    """The commands that stand below the ``help`` that names the one command for all of them."""
    lines = done.stdout.split("\n")
    (start,) = [at for at, line in enumerate(lines) if line.startswith("help: `kdeps make ")]
    return [line.strip() for line in lines[start + 1 : lines.index("", start)]]
