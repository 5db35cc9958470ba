# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Commands to paste: with the user's own options, and right wherever the user stands."""

from __future__ import annotations

import os

from kdeps.makeargs import MODULE_LINKING
from kdeps.printable import shell_quoted
from kdeps.repair.plan import plan_repair, shown_command, stands_there
from kdeps.survey import Survey
from kdeps.tree import Tree, module_argument


def cure(survey: Survey, cwd: str) -> list[str]:
    """The commands, ready to paste, that bring a stale build to fresh."""
    tree = survey.tree
    plan = plan_repair(survey)
    lines = []
    if plan.remove:
        lines.append("rm -f " + " ".join(shell_quoted(_short(path, cwd)) for path in plan.remove))
    lines += [make_command(tree, cwd, goal) for goal in plan.goals]
    if tree.module is not None:
        lines.append(_own_command(tree, cwd))
    return lines


def make_command(tree: Tree, cwd: str, goal: str) -> str:
    """A make command for the kernel itself, with the user's own options and variables."""
    return " ".join(map(shell_quoted, shown_command(tree, cwd, goal)))


def _own_command(tree: Tree, cwd: str) -> str:
    """The module build itself, as the user called it; spelled out where M= or the kernel was inferred."""
    if not {"M", "KBUILD_EXTMOD"} & tree.args.variables.keys() or not stands_there(tree, cwd):
        return " ".join(map(shell_quoted, module_command(tree, tree, cwd)))
    left_out = {"clean", "help", "modules_install", "modules_prepare"}
    words = ("make", *tree.args.words, *tree.inherited)
    return " ".join(shell_quoted(word) for word in words if word not in left_out)


def module_command(kernel: Tree, tree: Tree, cwd: str) -> list[str]:
    """The make command that builds one module, for somebody to paste."""
    words = shown_command(kernel, cwd, f"M={module_argument(kernel, tree.module or '')}")
    if tree.module_output != tree.module and tree.module_output is not None:
        words.append(f"MO={tree.module_output}")
    given = kernel.args.variables.items()
    return [*words, *(f"{name}={value}" for name, value in given if name in MODULE_LINKING)]


def _short(path: str, cwd: str) -> str:
    relative = os.path.relpath(path, cwd)
    return relative if len(relative) < len(path) else path
