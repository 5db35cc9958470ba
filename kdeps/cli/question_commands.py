# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The commands that ask: in a pipeline, for a cause, for what a change affects, for what is here."""

from __future__ import annotations

import click
from click.core import ParameterSource

from kdeps.ci.options import CiFormat, Extent
from kdeps.cli.check import Colour, Format, Source
from kdeps.cli.group import MAKE_ARGS, MakeCommand, cli, colour_option, format_option, refuse_unknown_options
from kdeps.cli.query import QueryCommand
from kdeps.errors import UsageError


@cli.command(cls=QueryCommand, context_settings=MAKE_ARGS)
@click.option(
    "--scope", type=click.Choice([e.value for e in Extent]), default="module", show_default=True,
    help="What the make arguments name; with it every module below the source tree that was built with M=; or the whole object tree: vmlinux and every module of its configuration.",
)  # fmt: skip
@click.option(
    "--format", "output", type=click.Choice([f.value for f in CiFormat]), default="text", show_default=True,
    help="How to print the report.",
)  # fmt: skip
@click.option(
    "--output", "outputs", multiple=True, metavar="FORMAT=FILE",
    help="Write the report to a file as well; may be given several times.",
)  # fmt: skip
@click.option("--built", is_flag=True, help="A module that make would still build or rebuild is stale, too.")
@click.option("--exact", is_flag=True, help="Ask Kbuild itself; adds changed commands. Executes nothing.")
@click.option(
    "--record", metavar="FILE", help="Write a ledger: what every fresh step was built from, by content."
)
@click.option("--against", metavar="FILE", help="Judge by the contents in a ledger where times may lie.")
@click.option(
    "--outside",
    is_flag=True,
    help="Hash files outside the trees, too: the compiler's library, system headers.",
)
@click.option(
    "--compare", nargs=2, metavar="OLD NEW", help="Say how two ledgers differ; no tree is looked at."
)
@click.option(
    "--since",
    metavar="REV",
    help="Judge nothing: list what the changes since a revision, or in A..B, affect.",
)
@click.option("--diff", metavar="A..B", help="The same, of a range.")
@click.option(
    "--shard",
    metavar="I/N",
    help="With --since: the folders of the I-th of N parts of the modules, one a line.",
)
@click.option("--bisect", is_flag=True, help='Exit 125 for "cannot tell", as `git bisect run` wants it.')
@click.option("--root", metavar="DIR", help="The repository that paths in reports are relative to.")
@colour_option
@click.argument("make_args", nargs=-1, type=click.UNPROCESSED)
def ci(
    scope: str, output: str, outputs: tuple[str, ...], built: bool, exact: bool, record: str | None, against: str | None,
    outside: bool, compare: tuple[str, str] | None, since: str | None, diff: str | None, shard: str | None, bisect: bool, root: str | None, color: str, make_args: tuple[str, ...],
) -> int:  # fmt: skip
    """Is this tree, with these modules, consistent? For pipelines.

    Judges as `kdeps check` does, one module, several (M= may be given several times)
    or all, and writes reports that CI systems read. What cannot be told never counts
    as fresh.

    With --record and --against contents decide where times lie: after a checkout, from a
    cache, in a container. A file that is newer and the same is no reason; one that
    differs and is no newer is.

    \b
    Exit status:
      0  fresh: every module is consistent
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
      kdeps ci --since origin/main --shard 2/4
    """
    from kdeps.cli.ci import Request, parse_output, run_ci

    refuse_unknown_options(make_args)
    extent = Extent(scope)
    if compare is not None:
        _refuse_beside("--compare", ("compare", "bisect", "color", "make_args"))
        from kdeps.cli.ledger import run_compare

        return run_compare(*compare)
    if since is not None or diff is not None or shard is not None:
        modules = () if extent is Extent.TREE else ("scope",)
        _refuse_beside(
            "--since", ("since", "diff", "shard", "output", "bisect", "color", "make_args", *modules)
        )
        from kdeps.cli.ci_affected import run_ci_affected

        return run_ci_affected(
            make_args, since=since, diff=diff, shard=shard, output=CiFormat(output), colour=Colour(color)
        )
    del bisect  # kdeps.cli.start turns the exit status, even that of a mistake in these words
    return run_ci(
        Request(
            make_args, extent, CiFormat(output), tuple(map(parse_output, outputs)), Colour(color), root,
            record, against, outside, exact, built,
        )
    )  # fmt: skip


def _refuse_beside(chosen: str, names: tuple[str, ...]) -> None:
    """Refuse options that would be passed over: a pipeline that waits for a file shall not wait in vain."""
    context = click.get_current_context()
    for parameter in context.command.params:
        name = parameter.name or ""
        if name not in names and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise UsageError(f"{parameter.opts[0]}: has no meaning beside {chosen}, which judges no build")


@cli.command(cls=QueryCommand, context_settings=MAKE_ARGS)
@click.option("--used-by", is_flag=True, help="The other way: everything that is made from the file.")
@click.option(
    "--all", "every", is_flag=True, help="Every root cause, nearest first; everything that uses it."
)
@click.option(
    "--exact", is_flag=True, help="Ask Kbuild itself what is stale; adds changed commands. Executes nothing."
)
@format_option("How to print the answer.")
@colour_option
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="TARGET [SOURCE] [MAKE_ARGS]...")
def why(
    used_by: bool, every: bool, exact: bool, output: str, color: str, words: tuple[str, ...]
) -> int:  # fmt: skip
    """The chain from a target to the file that makes it stale, or to SOURCE.

    One step a line, each with its reason and its times; the line that `make M=…`
    does not look beyond is drawn. With SOURCE (a file, a folder, a CONFIG_ symbol)
    it is how TARGET is made from that, stale or not.

    Both are named as you like: a crate (kernel), a file (nova_core.o,
    libkernel.rmeta, nova-core.ko), a path from here or from the root of any tree.
    Without M= the module that has TARGET is found by its records.

    \b
    Exit status:
      0  TARGET is fresh; the chain to SOURCE is shown
      1  TARGET is stale
      2  cannot tell, no such target, or not made from SOURCE

    \b
    Examples:
      kdeps why nova-core.ko LLVM=1 O=../build M=drivers/gpu/nova-core
      kdeps why nova_core.o include/linux/pci.h M=drivers/gpu/nova-core
      kdeps why rust/kernel/io.rs --used-by
    """
    from kdeps.cli.why import run_why

    refuse_unknown_options(words)
    source = Source.KBUILD if exact else Source.RECORD
    return run_why(
        words, output=Format(output), source=source, colour=Colour(color), used_by=used_by, every=every
    )


@cli.command(cls=QueryCommand, context_settings=MAKE_ARGS)
@click.option("--since", metavar="REV", help="What differs from a revision, as `git diff REV` has it.")
@click.option("--stdin", is_flag=True, help="Read names from standard input, one a line or ended by NUL.")
@click.option("--modules-only", is_flag=True, help="Print the folders to build with M=, one a line.")
@click.option("--all", "every", is_flag=True, help="Leave nothing out of long lists.")
@format_option("How to print the answer.")
@colour_option
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[FILE]... [MAKE_ARGS]...")
def affected(
    since: str | None, stdin: bool, modules_only: bool, every: bool, output: str, color: str, words: tuple[str, ...]
) -> int:  # fmt: skip
    """What a change of these files would rebuild: crates first, then modules, then the rest.

    FILE is a file, a folder, a configuration symbol (CONFIG_PCI) or a crate (macros);
    of a file that does not exist yet it says what is known. Without M= every module
    below the source tree that has a record is looked at; M= may be given several
    times. Times are those of earlier refreshes by `kdeps make`.

    \b
    Exit status:
      0  done, whether or not anything would be rebuilt
      2  cannot tell, or no such file

    \b
    Examples:
      kdeps affected rust/macros/ LLVM=1 O=../build
      kdeps affected --since v7.2 M=drivers/gpu/nova-core M=~/src/my-module
      git diff --name-only | kdeps affected --stdin --modules-only
    """
    from kdeps.cli.affected import run_affected

    refuse_unknown_options(words)
    return run_affected(
        words, output=Format(output), colour=Colour(color), since=since, stdin=stdin,
        modules_only=modules_only, every=every,
    )  # fmt: skip


@cli.command(cls=MakeCommand, context_settings=MAKE_ARGS)
@format_option("How to print what was found.")
@colour_option
@click.argument("make_args", nargs=-1, type=click.UNPROCESSED)
def doctor(output: str, color: str, make_args: tuple[str, ...]) -> int:
    """What kdeps finds here, and what it cannot see. Paste it into a bug report.

    The trees, the tools and whether they are those the kernel was built with, the
    records, the caches, and the limits of an answer in this layout. Changes
    nothing. MAKE_ARGS is what you would give make.

    \b
    Exit status:
      0  kdeps can judge this build, whether it is fresh or stale
      2  it cannot; what is marked `bad` says why

    \b
    Examples:
      kdeps doctor LLVM=1 O=../build M=drivers/gpu/nova-core
    """
    from kdeps.cli.doctor import run_doctor

    refuse_unknown_options(make_args)
    return run_doctor(make_args, output=Format(output), colour=Colour(color))
