# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps loaded``: is the module that runs the one that was built?"""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING

import click

from kdeps.cli.choices import Colour, Format
from kdeps.cli.exits import Exit, exit_of
from kdeps.cli.machine_facts import find_builds, read_facts
from kdeps.cli.options import (
    colour_option,
    format_option,
    ledger_option,
    make_args_command,
    refuse_slips,
    words_argument,
)
from kdeps.cli.output import make_text_output, print_json, print_lines
from kdeps.cli.terminal import current_folder
from kdeps.staleness.reasons import Status
from kdeps.system.errors import UsageError

if TYPE_CHECKING:
    from kdeps.cli.machine_facts import Builds
    from kdeps.cli.origins import Origins
    from kdeps.running.facts import Facts
    from kdeps.running.judge import ModuleAnswer
    from kdeps.running.provenance import Origin


def _find_facts(builds: Builds, facts: str | None, host: str | None, timeout_s: float, sysroot: str) -> Facts:
    if facts is not None:
        from kdeps.running.facts_text import parse_facts

        return parse_facts(read_facts(facts), facts)
    if host is not None:
        from kdeps.running.remote import collect_remote
        from kdeps.running.script import render_script

        return collect_remote(host, render_script(builds.ids, builds.built_release), timeout_s=timeout_s)
    from kdeps.running.machine import collect_facts

    return collect_facts(sysroot, builds.ids, builds.built_release, dict(os.environ))


def _find_origins(answers: tuple[ModuleAnswer, ...], known: Origins) -> dict[str, Origin]:
    """Find what is known of each build id; of a module that is not fresh, also which sources were edited since."""
    origins: dict[str, Origin] = {}
    for answer in answers:
        is_old = answer.status is not Status.FRESH
        for build_id in {link.build_id for link in answer.links if link.build_id}:
            if origin := origins.get(build_id) or known.find(build_id, with_edits=is_old):
                origins[build_id] = origin
    return origins


def print_script(words: tuple[str, ...]) -> int:
    """Print the script that collects facts: for the modules of a build, or for every loaded one."""
    from kdeps.running.script import render_script

    names: tuple[str, ...] = ()
    release = ""
    if words:
        builds = find_builds(words, current_folder())
        names, release = tuple(builds.ids), builds.built_release
    sys.stdout.write(render_script(names, release))
    return Exit.FRESH


@make_args_command
@click.option("--host", metavar="HOST", help="Look at another machine, by your own ssh, in one round trip.")
@click.option(
    "--script",
    is_flag=True,
    help="Print a shell script that collects the facts of a machine; sh runs it there.",
)
@click.option("--facts", metavar="FILE", help="Judge what the script printed; - is standard input.")
@click.option("--sysroot", metavar="DIR", help="Look at the machine whose root is DIR, not at this one.")
@click.option(
    "--timeout", type=click.FloatRange(min=0.1), default=60.0, show_default=True, metavar="SECONDS",
    help="How long HOST may take.",
)  # fmt: skip
@ledger_option
@format_option("How to print the answer.")
@colour_option
@words_argument("make_args")
def loaded(
    host: str | None, script: bool, facts: str | None, sysroot: str | None, timeout: float, ledgers: tuple[str, ...],
    output: Format, colour: Colour, make_args: tuple[str, ...],
) -> int:  # fmt: skip
    """Is the module that runs the one that you built?

    Follows each module of M= from its sources to the .ko, the installed file, the copy in
    the initramfs, the loaded module and the booted kernel. Names the first place with
    another build, and the command that mends it. M= may stand there several times; without
    it all modules of the tree are compared, one line each. Loads and unloads nothing, and
    needs no root.

    \b
    Exit status:
      0  the loaded module is the one that a build would give now
      1  another build is in use somewhere, or the module is not loaded
      2  cannot tell; the line that says `unknown` says why

    \b
    Examples:
      kdeps loaded LLVM=1 M=drivers/gpu/nova-core
      kdeps loaded LLVM=1 O=../build
      kdeps loaded --host gpu-box LLVM=1 M=drivers/gpu/nova-core
      kdeps loaded --script M=drivers/gpu/nova-core > collect.sh
      kdeps loaded --facts serial.log M=drivers/gpu/nova-core
    """
    refuse_slips(make_args)
    chosen = [
        name
        for name, value in (("--host", host), ("--facts", facts), ("--sysroot", sysroot))
        if value is not None
    ]
    if len(chosen) > 1 or (script and chosen):
        raise UsageError(
            f"{' and '.join([*chosen, *(['--script'] if script else [])])}: only one of them has a meaning"
        )
    if script:
        return print_script(make_args)
    from kdeps.cli.origins import Origins
    from kdeps.report.loaded_text import LoadedReport, write_loaded

    gc.disable()  # many names and nothing that refers to itself, in a process that ends soon
    cwd = current_folder()
    known = Origins(ledgers, dict(os.environ))
    builds = find_builds(make_args, cwd)
    found = _find_facts(builds, facts, host, timeout, sysroot or "/")
    answers = builds.judge(found)
    root = "" if sysroot in (None, "/") else os.path.abspath(sysroot)
    report = LoadedReport(
        found, answers, host or facts or "", _find_origins(answers, known), root, is_whole=builds.is_whole
    )
    pen = make_text_output(cwd, colour)
    if output is Format.JSON:
        from kdeps.report.loaded_json import loaded_document

        print_json(loaded_document(report, pen))
    else:
        write_loaded(pen, report)
        print_lines(pen.lines, colour)
    return exit_of(report.status)
