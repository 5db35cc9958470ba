# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps ci``: is this tree, with these modules, consistent?"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import click
from click.core import ParameterSource

from kdeps.artifacts.inspect import inspect_artifacts
from kdeps.cli.choices import CiFormat, Colour
from kdeps.cli.completers import complete_revision
from kdeps.cli.exits import exit_of
from kdeps.cli.options import colour_option, format_option, make_args_command, refuse_slips, words_argument
from kdeps.cli.output import is_unicode, make_text_output
from kdeps.cli.terminal import current_folder, find_width
from kdeps.contents.scope import check_for_contents, judge_scope_contents
from kdeps.report.formats.github import github
from kdeps.report.formats.gitlab import gitlab
from kdeps.report.formats.json import ci_json
from kdeps.report.formats.junit import junit
from kdeps.report.formats.sarif import sarif
from kdeps.report.formats.text import ci_text
from kdeps.report.issues import Report, find_repository, make_report
from kdeps.staleness.scope import Scope, ScopeResults, check_scope, with_problems
from kdeps.system.errors import KdepsError, UsageError
from kdeps.system.files import write_file
from kdeps.system.text import encodable, printable


def parse_output(text: str) -> tuple[CiFormat, str]:
    """Take ``FORMAT=FILE`` apart. Raises UsageError: it is not that."""
    name, equals, path = text.partition("=")
    try:
        chosen = CiFormat(name)
    except ValueError:
        names = ", ".join(choice.value for choice in CiFormat)
        raise UsageError(f"--output {text}: wants FORMAT=FILE; formats are {names}") from None
    if not equals or not path:
        raise UsageError(f"--output {text}: wants FORMAT=FILE, as in {name}=report.{name}")
    return chosen, path


def run_ci(
    words: tuple[str, ...], extent: Scope, output: CiFormat, files: list[tuple[CiFormat, str]], colour: Colour,
    *, root: str | None, record: str | None, against: str | None, store: str | None, exact: bool, outside: bool, built: bool,
) -> int:  # fmt: skip
    """Judge, write the report in its format and each of ``files`` in its own, and return the exit status.

    Raises:
        UsageError: A file or folder that was named cannot be one.
        KdepsError: A ledger or a report cannot be used; every other report is written, because a pipeline would
            else collect those of the run before.
    """
    cwd = current_folder()
    environ = dict(os.environ)
    if root and not os.path.isdir(root):
        raise UsageError(f"--root {root}: no such folder")
    for option, name in (("--record", record), ("--against", against), ("--store", store)):
        if name == "":
            raise UsageError(f"{option}: wants a name")
    rules_needed = exact or (record, against, store) != (None, None, None)

    def check(needed: bool) -> ScopeResults:
        return check_scope(words, extent, cwd, environ, inspect_artifacts, rules_needed=needed)

    inspection = check_for_contents(check, environ, rules_needed=rules_needed)
    if exact:
        inspection = _ask_kbuild(inspection, environ)
    if against is None:
        inspection = judge_scope_contents(inspection, environ)
    inspection = _inspect_parts(inspection)
    failures: list[str] = []
    if record is not None or against is not None:
        from kdeps.cli.ci_ledger import use_ledgers

        inspection, failures = use_ledgers(inspection, record, against, environ, outside=outside)
    if store is not None:
        from kdeps.cli.ci_store import add_to_store

        failures += add_to_store(inspection, store, environ)
    report = make_report(inspection, cwd=cwd, built=built)
    report = report._replace(
        root=os.path.realpath(root) if root else find_repository(cwd, environ, report.roots)
    )
    failures += _write_files(report, files, cwd)
    text = render(report, output, cwd, colour, unicode=is_unicode(), width=find_width(sys.stdout))
    sys.stdout.write(encodable(text, sys.stdout.encoding))
    if failures:
        for message in failures[:-1]:
            print(f"kdeps: error: {printable(message)}", file=sys.stderr)
        raise KdepsError(failures[-1])
    return exit_of(report.status)


def _ask_kbuild(inspection: ScopeResults, environ: dict[str, str]) -> ScopeResults:
    """Put Kbuild's own answer in the place of the records', part for part."""
    from kdeps.staleness.exact import ask_kbuild

    parts = []
    for part in inspection.parts:
        if part.result is not None:
            try:
                part = part._replace(result=ask_kbuild(part.result, environ))
            except KdepsError as error:
                part = part._replace(result=None, error=str(error))
        parts.append(part)
    return ScopeResults(tuple(parts))


def _inspect_parts(inspection: ScopeResults) -> ScopeResults:
    """Ask the artifacts themselves."""
    parts = []
    for part in inspection.parts:
        if (
            part.result is not None and not part.result.rules.whole
        ):  # that has looked, or remembers what it saw
            beyond = inspect_artifacts(part.result)
            part = part._replace(findings=(*part.findings, *beyond.findings))
            part = with_problems(part, beyond.problems)
        parts.append(part)
    return ScopeResults(tuple(parts))


def _write_files(report: Report, files: list[tuple[CiFormat, str]], cwd: str) -> list[str]:
    """Write the report to files; return why some of them were not written."""
    failures = []
    for chosen, path in files:
        text = render(report, chosen, cwd, Colour.NEVER, unicode=True)
        try:
            write_file(path, text.encode("utf-8", "replace"))
        except KdepsError as error:
            failures.append(str(error))
    return failures


def render(
    report: Report, chosen: CiFormat, cwd: str, colour: Colour, *, unicode: bool, width: int = 0
) -> str:
    """Render a report in one format; always ends in a newline."""
    if chosen is CiFormat.TEXT:
        return ci_text(report, make_text_output(cwd, colour), unicode=unicode, width=width)
    return _RENDERERS[chosen](report) + "\n"


_RENDERERS: dict[CiFormat, Callable[[Report], str]] = {
    CiFormat.JSON: ci_json, CiFormat.SARIF: sarif, CiFormat.JUNIT: junit, CiFormat.GITHUB: github,
    CiFormat.GITLAB: gitlab,
}  # fmt: skip


@make_args_command
@click.option(
    "--scope", type=click.Choice([e.value for e in Scope]), default="module", show_default=True,
    help="Judge what the make arguments name; also every module below the source tree that was built with M=; or the whole object tree: vmlinux and every module of its configuration.",
)  # fmt: skip
@format_option("How to print the report.", CiFormat.SARIF, CiFormat.JUNIT, CiFormat.GITHUB, CiFormat.GITLAB)
@click.option(
    "--output", "outputs", multiple=True, metavar="FORMAT=FILE",
    help="Write the report to a file as well; may be given several times.",
)  # fmt: skip
@click.option(
    "--built", is_flag=True, help="Count a module as stale, too, if make would still build or rebuild it."
)
@click.option("--exact", is_flag=True, help="Ask Kbuild itself; adds changed commands. Executes nothing.")
@click.option(
    "--record", metavar="FILE", help="Write a ledger: what every fresh step was built from, by content."
)
@click.option(
    "--against", metavar="FILE", help="Judge by the contents in a ledger, for trees whose times mean nothing."
)
@click.option(
    "--restore", metavar="FILE",
    help="After a cache was unpacked beside a checkout: let make build what differs from a ledger, and nothing else.",
)  # fmt: skip
@click.option(
    "--store", metavar="PLACE",
    help="Add the fresh steps to a folder or an HTTP cache (https://…), from which `KDEPS_STORE=PLACE kdeps make` takes them.",
)  # fmt: skip
@click.option(
    "--outside",
    is_flag=True,
    help="Hash files outside the trees, too: the compiler's library, system headers.",
)
@click.option("--compare", nargs=2, metavar="OLD NEW", help="Print how two ledgers differ; no tree is read.")
@click.option(
    "--since",
    shell_complete=complete_revision,
    metavar="REV",
    help="List what the changes since a revision, or in A..B, affect; judge nothing.",
)
@click.option(
    "--shard",
    metavar="I/N",
    help="With --since: split the modules into N parts and print the folders of part I, one a line.",
)
@click.option(
    "--built-id",
    metavar="FACTS",
    help="Print one line of JSON: whether this build is what runs on the machine of FACTS (from `kdeps loaded --script`); --against adds the ledger's hash.",
)
@click.option(
    "--bisect", is_flag=True, help="Exit with 125 if kdeps cannot tell, as `git bisect run` expects."
)
@click.option("--root", metavar="DIR", help="The repository that paths in reports are relative to.")
@colour_option
@words_argument("make_args")
def ci(
    scope: str, output: CiFormat, outputs: tuple[str, ...], built: bool, exact: bool, record: str | None, against: str | None,
    restore: str | None, store: str | None, outside: bool, compare: tuple[str, str] | None, since: str | None, shard: str | None, built_id: str | None, bisect: bool, root: str | None, colour: Colour, make_args: tuple[str, ...],
) -> int:  # fmt: skip
    """Is this tree, with these modules, consistent? For pipelines.

    Judges one module, several (M= may be given several times) or all, as `kdeps check`
    does, and writes reports that CI systems read. "Cannot tell" never counts as fresh.

    With --record and --against, contents decide instead of times: after a checkout,
    from a cache, in a container. A newer file with the same content makes nothing
    stale; an older file with other content does.

    --restore judges no build: it makes a cached tree one that make can go on with. Steps
    that are as in the ledger get times that make accepts; the outputs of all others are
    removed, so make builds them. Sources keep their times.

    \b
    Exit status:
      0  fresh: every module is consistent; with --restore: done
      1  stale: `make M=…` would silently use what is listed
      2  cannot tell (125 with --bisect); every report says why
      3  a bug in kdeps (125 with --bisect)

    \b
    Examples:
      kdeps ci LLVM=1 O=../build M=drivers/gpu/nova-core M=samples/rust
      kdeps ci --scope=tree LLVM=1 O=../build
      kdeps ci --scope=modules --output sarif=kdeps.sarif --output junit=kdeps.xml
      kdeps ci --record good.ledger M=samples/rust
      kdeps ci --against good.ledger M=samples/rust
      kdeps ci --restore good.ledger --scope=tree O=../build
      kdeps ci --store https://cache.example/kdeps M=samples/rust
      kdeps ci --since origin/main --shard 2/4
    """

    refuse_slips(make_args)
    extent = Scope(scope)
    if compare is not None:
        _refuse_beside("--compare", ("compare", "bisect", "colour", "make_args"))
        from kdeps.cli.ci_ledger import run_compare

        return run_compare(*compare)
    if restore is not None:
        _refuse_beside("--restore", ("restore", "scope", "bisect", "colour", "make_args"))
        from kdeps.cli.ci_restore import run_restore

        return run_restore(make_args, restore, extent)
    if built_id is not None:
        _refuse_beside("--built-id", ("built_id", "against", "bisect", "colour", "make_args"))
        from kdeps.cli.ci_built_id import run_built_id

        return run_built_id(make_args, built_id, against)
    if since is not None or shard is not None:
        modules = () if extent is Scope.TREE else ("scope",)
        _refuse_beside("--since", ("since", "shard", "output", "bisect", "colour", "make_args", *modules))
        from kdeps.cli.ci_affected import run_ci_affected

        return run_ci_affected(make_args, since=since, shard=shard, output=output, colour=colour)
    del bisect  # kdeps.cli.main turns the exit status, even that of a mistake in these words
    return run_ci(
        make_args, extent, output, [parse_output(text) for text in outputs], colour,
        root=root, record=record, against=against, store=store, exact=exact, outside=outside, built=built,
    )  # fmt: skip


def _refuse_beside(chosen: str, names: tuple[str, ...]) -> None:
    """Refuse options that would have no effect: a pipeline must not wait for a file that never comes."""
    context = click.get_current_context()
    for parameter in context.command.params:
        name = parameter.name or ""
        if name not in names and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise UsageError(f"{parameter.opts[0]}: has no meaning beside {chosen}, which judges no build")
