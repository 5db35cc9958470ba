# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The verdict that ``kdeps make`` acts on: from the record, and once for each set of commands from Kbuild."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from kdeps.formats.makeflags import kernel_environment
from kdeps.kbuild.make_command import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from kdeps.staleness.check import CheckResult


def check_with_kbuild_once(
    request: Request,
    cwd: str,
    environ: dict[str, str],
    contents: Callable[[CheckResult], CheckResult] | None = None,
) -> CheckResult | None:
    """Judge from the record; ask Kbuild as well if it has not confirmed these commands yet.

    ``contents`` judges by what is in the files, after the verdict by time. Returns None where there is no module, or
    no Rust.
    """
    from kdeps.staleness.check import check_build
    from kdeps.staleness.reasons import Status

    started_ns = time.time_ns()
    result = check_build(request.words, cwd, environ)
    if result.tree.module is None or not _has_rust(result):
        return None
    if contents is not None:
        result = contents(result)
    if (result.tree.prebuilt and not result.rules.others) or result.verdict.status is not Status.FRESH:
        return result
    from kdeps.staleness.confirmed import confirm, is_confirmed, take_inputs

    kernel = kernel_environment(environ)
    if is_confirmed(result, kernel):
        if request.steady and not result.verdict.pending:
            _keep(result, request, cwd, environ, started_ns)
        return result
    before = take_inputs(result, kernel)
    answered = _ask(result, kernel)
    if answered.verdict.status is not Status.FRESH and contents is not None:
        # What was built by these commands before may have been put back.
        reused = contents(answered)
        answered = _ask(reused, kernel) if reused.verdict.status is Status.FRESH else reused
    if answered.verdict.status is Status.FRESH:
        confirm(result, before, kernel)
    return answered


def _keep(result: CheckResult, request: Request, cwd: str, environ: dict[str, str], started_ns: int) -> None:
    from kdeps.staleness.answers import BUILD, Question
    from kdeps.staleness.confirmed import find_inputs
    from kdeps.staleness.dependencies import list_dependencies

    rests_on = list_dependencies(result, request.words, cwd, environ)
    files = rests_on.files.union(find_inputs(result, environ), request.makefiles)
    question = Question(BUILD, request.given, cwd, environ)
    question.keep(True, result, started_ns, rests_on._replace(files=files))


def _ask(result: CheckResult, environ: dict[str, str]) -> CheckResult:
    """Ask Kbuild about all but the module's own artifacts; the module's ``make M=…`` compares by itself."""
    from kdeps.staleness.exact import ask_kbuild

    tree = result.tree
    asked = tree._replace(module=None, args=tree.args._replace(kept=tree.args.for_kernel))
    return ask_kbuild(result._replace(tree=asked), environ)._replace(tree=tree)


def _has_rust(result: CheckResult) -> bool:
    from kdeps.formats.kconfig import parse_value
    from kdeps.kbuild.configuration import read_configuration

    return parse_value(read_configuration(result.tree).auto_conf, "RUST") == "y"
