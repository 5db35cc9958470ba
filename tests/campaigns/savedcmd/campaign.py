# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The campaign: the kernel's cases, read and compared."""

from __future__ import annotations

import argparse
import ast
from pathlib import Path

from kdeps.formats.command import read_steps
from tests.lab.campaign import Campaign


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", type=Path, metavar="LINUX/scripts/sbom/tests/cmd_graph/test_savedcmd_parser.py"
    )


def run(options: argparse.Namespace) -> int:
    """Print every difference; 1 where an input is missing, or where there was nothing to compare."""
    cases = read_cases(options.file)
    missing = 0
    for name, command, expected in cases:
        steps = read_steps(command)
        found = {path for step in steps for path in step.inputs}
        wanted = {word.removeprefix("@") for word in expected.split()}
        missing += len(wanted - found)
        for path in sorted(wanted - found):
            print(f"{name}: MISSING {path}")
        for path in sorted(found - wanted):
            print(f"{name}: beyond: {path}")
    print(f"{len(cases)} commands, {missing} inputs missing")
    return 1 if missing or not cases else 0


def read_cases(path: Path) -> list[tuple[str, str, str]]:
    """Name, command and expected inputs of every test in the file."""
    cases: list[tuple[str, str, str]] = []
    for function in ast.walk(ast.parse(path.read_text())):
        if not isinstance(function, ast.FunctionDef) or not function.name.startswith("test_"):
            continue
        values: dict[str, str] = {}
        for node in ast.walk(function):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                try:
                    values[node.targets[0].id] = ast.literal_eval(node.value)
                except ValueError:
                    continue
        if "cmd" in values and "expected" in values:
            cases.append((function.name, values["cmd"], values["expected"]))
    return cases


CAMPAIGN = Campaign(add_options, run, in_lab=False)
