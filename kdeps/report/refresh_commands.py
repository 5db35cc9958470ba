# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Commands to paste: with the user's own options, and right wherever the user stands."""

from __future__ import annotations

from kdeps.formats.makeargs import MODULE_LINKING, RUNS_NOTHING
from kdeps.kbuild.tree import Tree, module_argument
from kdeps.refresh.plan import plan_refresh, shown_command, stands_there
from kdeps.staleness.check import CheckResult
from kdeps.staleness.reasons import Source
from kdeps.system.text import shell_joined, short_path


def refresh_commands(result: CheckResult, cwd: str) -> list[str]:
    """The commands, ready to paste, that bring a stale build to fresh."""
    tree = result.tree
    plan = plan_refresh(result)
    lines = []
    if plan.remove:
        lines.append(shell_joined(("rm", "-f", *(short_path(path, cwd) for path in plan.remove))))
    lines += [make_command(tree, cwd, goal) for goal in plan.goals]
    if tree.module is not None:
        lines.append(shell_joined(_own_words(tree, cwd)))
    return lines


def make_command(tree: Tree, cwd: str, goal: str) -> str:
    """A make command for the kernel itself, with the user's own options and variables."""
    return shell_joined(shown_command(tree, cwd, goal))


def check_command(result: CheckResult, cwd: str) -> str:
    """The ``kdeps check --all`` that judges the same build in the same way, to paste."""
    tree = result.tree
    words = ["make", *tree.args.words] if tree.module is None else _own_words(tree, cwd)
    options = ["--all", *(["--exact"] if result.verdict.source is Source.KBUILD else [])]
    return shell_joined(("kdeps", "check", *options, *words[1:]))


def _own_words(tree: Tree, cwd: str) -> list[str]:
    """The module build itself, as the user called it; spelled out where M= or the kernel was inferred."""
    if not {"M", "KBUILD_EXTMOD"} & tree.args.variables.keys() or not stands_there(tree, cwd):
        return module_command(tree, tree, cwd)
    left_out = {"clean", "help", "modules_install", "modules_prepare", *RUNS_NOTHING}
    words = ("make", *tree.args.words, *tree.inherited)
    return [word for word in words if word not in left_out]


def module_command(kernel: Tree, tree: Tree, cwd: str) -> list[str]:
    """The make command that builds one module, to paste."""
    words = shown_command(kernel, cwd, f"M={module_argument(kernel, tree.module or '')}")
    if tree.module_output != tree.module and tree.module_output is not None:
        words.append(f"MO={tree.module_output}")
    given = kernel.args.variables.items()
    return [*words, *(f"{name}={value}" for name, value in given if name in MODULE_LINKING)]
