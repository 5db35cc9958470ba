# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps ci --restore``: go on with an object tree that came from a cache."""

from __future__ import annotations

import os
import sys

from kdeps.cli.exits import Exit
from kdeps.cli.make_messages import say_waiting
from kdeps.cli.progress import progress_line
from kdeps.cli.settling import check_module_or_tree
from kdeps.cli.terminal import current_folder
from kdeps.contents.hashes import FileHasher
from kdeps.contents.ledger_file import read_ledger
from kdeps.contents.unpacked import UnpackedPlan, carry_out, plan_unpacked
from kdeps.kbuild.modules import split_modules
from kdeps.kbuild.tree import find_tree, roots_of
from kdeps.refresh.plan import refresh_goal
from kdeps.report.refresh_commands import make_command, module_command
from kdeps.staleness.check import CheckResult
from kdeps.staleness.scope import Scope
from kdeps.system.errors import KdepsError, UsageError
from kdeps.system.lock import take_lock
from kdeps.system.text import list_some, printable, shell_joined

_SHOWN = 10
"""How many causes are listed."""


def run_restore(words: tuple[str, ...], ledger_file: str, extent: Scope) -> int:
    """Let make build what differs from a ledger and nothing else; say what that is.

    Raises KdepsError: the ledger or the tree cannot be read, or a file of the tree cannot be changed.
    """
    if not ledger_file:
        raise UsageError("--restore: wants the name of a file")
    if extent is Scope.MODULES:
        raise UsageError("--restore: name each module with M=, or use --scope=tree")
    cwd, environ = current_folder(), dict(os.environ)
    ledger = read_ledger(ledger_file)
    rest, named = split_modules(words)
    builds = [(*rest, *module) for module in named]
    whole = [True] * (extent is Scope.TREE)
    if whole or not builds:
        builds.insert(0, rest)
    scopes = [*whole, *[False] * (len(builds) - len(whole))]
    trees = tuple(find_tree(build, cwd, environ) for build in builds)
    # What the ledger names outside of the trees (--outside) is compared as well.
    roots = ("/",) if any(name[:1] == "/" for name in ledger.files) else roots_of(trees)
    objtree = trees[0].objtree
    lock = take_lock(objtree, environ, lambda pid: say_waiting(pid, objtree))
    try:
        with progress_line() as show:
            for build, all_of_it in zip(builds, scopes, strict=True):
                # Each is judged when the one before is done: they share the kernel's own artifacts.
                result = check_module_or_tree(build, cwd, environ, whole=all_of_it)
                contents = FileHasher(roots, environ, objtree, show)
                plan = plan_unpacked(result, ledger, contents, trees, environ)
                contents.store()
                carry_out(plan, result)
                for line in _describe(plan, result, cwd):
                    sys.stdout.write(f"{printable(line)}\n")
    except OSError as error:
        raise KdepsError(
            f"{error.filename}: {error.strerror}; what is stale in this tree is not certain"
        ) from error
    finally:
        lock.release()
    return Exit.FRESH


def _describe(plan: UnpackedPlan, result: CheckResult, cwd: str) -> list[str]:
    """Say how much is right, why the rest is not, and what builds it."""
    tree = result.tree
    number = plan.right + len(plan.wrong)
    lines = [
        f"{os.path.relpath(tree.module or tree.objtree, cwd)}: {plan.right} of {number} steps are as in the ledger"
    ]
    causes: dict[str, list[str]] = {}
    for target, why in plan.wrong.items():
        if target not in plan.follows:
            causes.setdefault(why, []).append(os.path.relpath(target, tree.objtree))
    if causes:
        left = len(plan.wrong)
        lines.append("1 step is left to make:" if left == 1 else f"{left} steps are left to make:")
        lines += [f"  {why}: {list_some(targets, 1)}" for why, targets in list(causes.items())[:_SHOWN]]
        if len(causes) > _SHOWN:
            lines.append(f"  and {len(causes) - _SHOWN} more causes")
    commands = [make_command(tree, cwd, refresh_goal(result.rules))]
    if tree.module is not None and not result.rules.whole:
        commands.append(shell_joined(module_command(tree, tree, cwd)))
    return [*lines, f"next: {' && '.join(commands)}"]
