# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The verdict that ``kdeps make`` acts on: from the record, and once for each set of commands from Kbuild."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from kdeps.makeenv import kernel_environment
from kdeps.repair.request import Request

if TYPE_CHECKING:
    from kdeps.survey import Survey


def judge(request: Request, cwd: str, environ: dict[str, str]) -> Survey | None:
    """Judge from the record; ask Kbuild as well if it has not confirmed these commands yet.

    Args:
        request: What make is asked for.
        cwd: The folder the user stands in.
        environ: The environment make would get.

    Returns:
        The verdict; ``None`` where there is no module, or no Rust.
    """
    from kdeps.survey import survey
    from kdeps.verdict import Status

    started_ns = time.time_ns()
    found = survey(request.words, cwd, environ)
    if found.tree.module is None or not _has_rust(found):
        return None
    if found.tree.prebuilt or found.verdict.status is not Status.FRESH:
        return found
    from kdeps.repair.kept import keep
    from kdeps.repair.memory import confirm, is_confirmed, take_inputs

    kernel = kernel_environment(environ)
    if is_confirmed(found, kernel):
        keep(found, request, cwd, environ, started_ns)
        return found
    before = take_inputs(found, kernel)
    answered = _ask(found, kernel)
    if answered.verdict.status is Status.FRESH:
        confirm(found, before, kernel)
    return answered


def _ask(found: Survey, environ: dict[str, str]) -> Survey:
    """Ask Kbuild about the kernel's own artifacts; the module's ``make M=…`` compares by itself."""
    from kdeps.exact import ask_kbuild
    from kdeps.repair.plan import kernel_words

    tree = found.tree
    asked = tree._replace(module=None, args=tree.args._replace(kept=kernel_words(tree)))
    return ask_kbuild(found._replace(tree=asked), environ)._replace(tree=tree)


def _has_rust(found: Survey) -> bool:
    from kdeps.findings import read_configuration
    from kdeps.formats.kconfig import parse_value

    return parse_value(read_configuration(found.tree).auto_conf, "RUST") == "y"
