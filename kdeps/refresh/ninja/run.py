# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Refresh a build by ninja, or say why make has to do it.

A recorded command may be run again only if Kbuild would run the same one today, so
Kbuild confirms the commands, unless it did so before (``kdeps.staleness.confirmed``).
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import zlib
from typing import NamedTuple

from kdeps.formats.makeflags import kernel_environment
from kdeps.kbuild.rule import Owner
from kdeps.refresh.ninja.manifest import Place, write_manifest
from kdeps.refresh.ninja.replay import Replay, plan_replay
from kdeps.refresh.ninja.timestamps import STAMP
from kdeps.refresh.plan import CannotRefresh
from kdeps.staleness.check import CheckResult
from kdeps.staleness.confirmed import confirm, is_confirmed, take_inputs
from kdeps.staleness.exact import ask_kbuild
from kdeps.staleness.reasons import ReasonKind
from kdeps.system.cache import make_folder
from kdeps.system.files import write_file

PROGRAMS = ("ninja", "samu")
"""Programs that understand a ``build.ninja``. ``KDEPS_NINJA`` names any other one, with its arguments."""
HANDED_OVER = "by_make"
_JOBS = re.compile(r"(?:-j|--jobs=?)(\d+)")


class NinjaRun(NamedTuple):
    """A refresh that ninja can do."""

    command: list[str]
    environ: dict[str, str]
    builddir: str
    steps: int

    @property
    def handed_over(self) -> bool:
        """Whether it came to a step, while running, that only make can take."""
        return os.path.exists(f"{self.builddir}/{HANDED_OVER}")


def confirm_commands(result: CheckResult, environ: dict[str, str], *, module: bool = False) -> CheckResult:
    """Make sure that the recorded commands, the module's own as well if asked, are what Kbuild would run.

    Returns the same result where Kbuild confirmed these commands before, else Kbuild's own answer. Raises KbuildError
    if make could not be asked.
    """
    kernel = kernel_environment(environ)
    if module and result.tree.module is not None:
        return ask_kbuild(result, environ)
    if is_confirmed(result, kernel):
        return result
    before = take_inputs(result, kernel)
    tree = result.tree
    asked = tree._replace(module=None, args=tree.args._replace(kept=tree.args.for_kernel))
    answered = ask_kbuild(result._replace(tree=asked), kernel)._replace(tree=tree)
    changed = any(
        reason.kind is ReasonKind.COMMAND_CHANGED
        for state in answered.verdict.stale
        if state.rule.owner is Owner.KERNEL
        for reason in state.reasons
    )
    if not changed and not answered.verdict.problems:
        confirm(result, before, kernel)
    return answered


def prepare_run(
    result: CheckResult,
    words: tuple[str, ...],
    cwd: str,
    environ: dict[str, str],
    *,
    in_job_server: bool = False,
) -> NinjaRun | str:
    """Write the refresh of a build for ninja, in kdeps' own folder; return why make has to do it, where it has to.

    In a job server an outer make lends its job slots, which ninja before 1.13 does not understand. Raises KdepsError
    if make could not be asked, or the folder cannot be written.
    """
    program = find_ninja(environ)
    if not program:
        named = environ.get("KDEPS_NINJA")
        return f"{named} is not installed" if named else f"none of {', '.join(PROGRAMS)} is installed"
    if in_job_server:
        return "an outer make lends its job slots, which ninja does not share"
    confirmed = confirm_commands(result, environ)
    replay = plan_replay(confirmed)
    if replay.for_make:
        return summary(replay)
    try:
        builddir = build_folder(result, environ)
    except CannotRefresh as error:
        return str(error)
    file = f"{builddir}/build.ninja"
    text = write_manifest(replay, result.tree, Place(builddir, cwd, words))
    try:
        clear_folder(builddir)
    except OSError as error:
        raise CannotRefresh(f"{builddir}: {error.strerror}") from error
    write_file(file, text.encode("utf-8", "surrogateescape"))
    jobs = _JOBS.search(" ".join(w for w in result.tree.args.kept if w.startswith(("-j", "--jobs"))))
    command = [*program, *(["-j", jobs[1]] if jobs else []), "-f", file]
    return NinjaRun(command, {**environ, "NINJA_STATUS": "  "}, builddir, len(replay.steps))


def summary(replay: Replay) -> str:
    """Say in one line why make has to go first."""
    first, *more = replay.for_make
    return f"{first} (and {len(more)} more)" if more else first


def find_ninja(environ: dict[str, str]) -> tuple[str, ...]:
    """Find a program that understands ``build.ninja``; empty: none is there.

    ``KDEPS_NINJA`` names one, with its arguments as a shell has them.
    """
    named = environ.get("KDEPS_NINJA")
    for name in (named,) if named else PROGRAMS:
        try:
            first, *more = shlex.split(name)
        except ValueError:  # nothing, or a quote that is not closed
            continue
        found = shutil.which(first, path=environ.get("PATH"))
        if found:
            return (found, *more)
    return ()


def build_folder(result: CheckResult, environ: dict[str, str], purpose: str = "refresh") -> str:
    """The folder of a build for ninja's log and the notes of its steps.

    Raises CannotRefresh: it cannot be created, or others could write there.
    """
    tree = result.tree
    key = f"{tree.objtree}\0{tree.module_output or ''}\0{purpose}"
    name = f"{os.path.basename(tree.objtree)}-{zlib.crc32(os.fsencode(key)):08x}"
    try:
        return make_folder(environ, "ninja", name)
    except OSError as error:
        raise CannotRefresh(f"{error.filename}: {error.strerror}") from error


def clear_folder(folder: str) -> None:
    """Forget what an earlier run left: its log speaks of other times."""
    os.makedirs(f"{folder}/same", exist_ok=True)
    for name in (".ninja_log", STAMP, HANDED_OVER):
        if os.path.exists(f"{folder}/{name}"):
            os.unlink(f"{folder}/{name}")
    for name in os.listdir(f"{folder}/same"):
        os.unlink(f"{folder}/same/{name}")
