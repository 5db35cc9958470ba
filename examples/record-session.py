#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Record the terminal session of the README and write it as an SVG.

Usage: examples/record-session.py [FILE]     (default: examples/session.svg)

Builds the miniature kernel, edits its core code and runs each command of the session in a
terminal of its own, so the picture shows what the commands print. Needs make and rich.
"""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from kdeps.demo.miniature import MODULE, Miniature, create

SESSION = (
    ("vim rust/kernel/io.rs", "printf '\\n// a change\\n' >> rust/kernel/io.rs"),
    (f"make M={MODULE}", f"make M={MODULE}"),
    (f"kdeps check M={MODULE}", f"kdeps check M={MODULE}"),
    (f"kdeps make M={MODULE}", f"kdeps make M={MODULE}"),
)
"""What the picture shows, and what is run for it."""
WIDTH = 100


def main() -> int:
    """Record, write, and print the path of the picture."""
    target = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "session.svg")
    console = Console(record=True, width=WIDTH, file=open(os.devnull, "w"), force_terminal=True)  # noqa: SIM115
    with tempfile.TemporaryDirectory(prefix="kdeps-session-") as folder:
        tree = create(Path(folder))
        tree.build()
        for shown, command in SESSION:
            console.print(Text(f"$ {shown}", style="bold"))
            console.print(Text.from_ansi(run(tree, command).replace(folder, "/src")))
    svg = console.export_svg(title="kdeps", clear=True)
    # The picture must load nothing from the network. rich numbers its classes by a hash of the text;
    # a fixed name keeps the difference of two recordings small.
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    target.write_text(re.sub(r"terminal-\d+", "terminal-1", svg))
    sys.stdout.write(f"{target}\n")
    return 0


def run(tree: Miniature, command: str) -> str:
    """Run one command in a terminal, and return what it printed."""
    ours, theirs = pty.openpty()
    folder = os.path.dirname(shutil.which("kdeps") or sys.executable)
    environ = tree.environment({"TERM": "xterm-256color", "COLUMNS": str(WIDTH)})
    environ["PATH"] = f"{folder}:{environ['PATH']}"
    process = subprocess.Popen(
        ["sh", "-c", command], cwd=tree.srctree, env=environ, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    output = b""
    while True:
        try:
            data = os.read(ours, 65536)
        except OSError:  # the last process has closed its side
            break
        if not data:
            break
        output += data
    os.close(ours)
    process.wait()
    text = output.decode("utf-8", "replace").replace("\r\n", "\n").rstrip("\n")
    if "please report" in text or "Traceback" in text:
        raise SystemExit(f"{command}: {text}")
    return text


if __name__ == "__main__":
    sys.exit(main())
