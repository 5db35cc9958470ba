# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The commands about one build: judge it, make it, draw it, write it for ninja, watch it."""

from __future__ import annotations

import click

from kdeps.cli.check import Colour, Format, Source, run_check
from kdeps.cli.group import MAKE_ARGS, MakeCommand, cli, colour_option, format_option, refuse_unknown_options
from kdeps.cli.make import OnStale, With, run_make

GRAPH_FORMATS = ("html", "dot", "svg", "mermaid", "graphml", "json")
GRAPH_DETAILS = ("groups", "steps", "files")


@cli.command(cls=MakeCommand, context_settings=MAKE_ARGS)
@format_option("How to print the verdict.")
@click.option(
    "--exact",
    is_flag=True,
    help="Ask Kbuild itself; adds changed commands. Executes nothing, takes a second or two.",
)
@colour_option
@click.argument("make_args", nargs=-1, type=click.UNPROCESSED)
def check(output: str, exact: bool, color: str, make_args: tuple[str, ...]) -> int:
    """Would this build use stale kernel artifacts? Changes nothing.

    MAKE_ARGS is what you would give make, verbatim. Without M=, in the folder of
    an external module, it is that module, built against KDIR=, KERNEL_SRC= or
    /lib/modules/$(uname -r)/build. Without a module at all it is what any Rust
    module would use.

    \b
    Exit status:
      0  fresh: nothing stale would be used
      1  stale: `make M=…` would silently use what is listed
      2  cannot tell; one line says why and what to do
      3  a bug in kdeps

    \b
    Examples:
      kdeps check M=drivers/gpu/nova-core
      kdeps check LLVM=1 O=../build M=~/src/my-module
      kdeps check --format json M=samples/rust | jq .verdict
    """
    refuse_unknown_options(make_args)
    source = Source.KBUILD if exact else Source.RECORD
    return run_check(make_args, output=Format(output), source=source, colour=Colour(color))


@cli.command(cls=MakeCommand, context_settings=MAKE_ARGS)
@click.option(
    "--on-stale", type=click.Choice([choice.value for choice in OnStale]),
    help="What to do about stale kernel artifacts: rebuild them first (the default), only warn, or fail.",
)  # fmt: skip
@click.option(
    "--with", "with_", type=click.Choice([choice.value for choice in With]), default="make", show_default=True,
    help="What refreshes. Ninja stops where an output comes out unchanged; what it cannot replay, make does.",
)  # fmt: skip
@click.argument("make_args", nargs=-1, type=click.UNPROCESSED)
def make(on_stale: str | None, with_: str, make_args: tuple[str, ...]) -> int:
    """make, with stale kernel artifacts refreshed first.

    MAKE_ARGS is what you would give make, verbatim. If it builds a module (M=) and
    that would silently use stale Rust crates, headers or configuration, they are
    refreshed by `make modules_prepare`, with your own options. Then kdeps becomes
    make. When nothing is stale, or no module is built, that is all it does.

    KDEPS_ON_STALE does what --on-stale does. As root, in a tree that is not
    root's, the default is to warn. A mistake of kdeps' own is a warning, and make
    runs as asked.

    \b
    Exit status:
      as make exits; but
      1  stale and --on-stale=fail, or still stale after the refresh
      2  bad arguments to kdeps itself

    \b
    Examples:
      kdeps make LLVM=1 O=../build M=drivers/gpu/nova-core -j8
      kdeps make --on-stale=fail M=samples/rust
    """
    return run_make(make_args, on_stale=OnStale(on_stale) if on_stale else None, with_=With(with_))


@cli.command(cls=MakeCommand, context_settings=MAKE_ARGS)
@click.option(
    "--format", "output_format", type=click.Choice(GRAPH_FORMATS),
    help="What to write; without it, what the name of the --output file says, else html.",
)  # fmt: skip
@click.option("--output", metavar="FILE", help="Write there instead of standard output.")
@click.option(
    "--detail", type=click.Choice(GRAPH_DETAILS), default="groups", show_default=True,
    help="How much dot, svg and mermaid show: crates, modules and tools; every step; every file.",
)  # fmt: skip
@click.argument("make_args", nargs=-1, type=click.UNPROCESSED)
def graph(output_format: str | None, output: str | None, detail: str, make_args: tuple[str, ...]) -> int:
    """The dependency graph as a picture or as data.

    html is one page to explore, without network or server: crates and modules in
    layers, headers folded by folder, what is stale lit from the edited file to the
    module; a click unfolds, `/` searches, `?` lists the keys.

    dot, svg (through Graphviz) and mermaid are pictures; graphml and json (networkx'
    node-link form) hold every step, file and configuration symbol.

    MAKE_ARGS is what you would give make, verbatim.

    \b
    Exit status:
      0  written
      2  cannot: no tree, no Graphviz; one line says why and what to do

    \b
    Examples:
      kdeps graph --output=nova.html LLVM=1 M=drivers/gpu/nova-core
      kdeps graph --format=mermaid --detail=steps M=samples/rust
    """
    refuse_unknown_options(make_args)
    from kdeps.cli.graph import run_graph

    return run_graph(make_args, output_format=output_format, output=output, detail=detail)


@cli.command(cls=MakeCommand, context_settings=MAKE_ARGS)
@click.option(
    "--all", "everything", is_flag=True,
    help="Every step of the kernel's part and of the module, stale or not: a file to keep, which renews itself.",
)  # fmt: skip
@click.option("--output", metavar="FILE", help="Write there instead of standard output.")
@click.argument("make_args", nargs=-1, type=click.UNPROCESSED)
def ninja(everything: bool, output: str | None, make_args: tuple[str, ...]) -> int:
    """The steps to refresh, as a build.ninja.

    Ninja runs what Kbuild recorded, and Kbuild's record stays true. But where make
    compares times, ninja sees that an output was made again byte for byte the same,
    and stops there: a touched header costs one bindgen, not every crate behind it.

    MAKE_ARGS is what you would give make, verbatim. What cannot be replayed from the
    record (changed commands, an unsynced configuration, tools/) is left to make, and
    said. `kdeps make --with=ninja` does all of it in one.

    \b
    Exit status:
      0  written; ninja can do all of it
      1  written, but make has to go first; says why
      2  cannot tell; one line says why and what to do

    \b
    Examples:
      kdeps ninja LLVM=1 M=drivers/gpu/nova-core > /tmp/build.ninja && ninja -f /tmp/build.ninja
      kdeps ninja --all --output=../build/build.ninja LLVM=1 O=../build M=drivers/gpu/nova-core
    """
    refuse_unknown_options(make_args)
    from kdeps.cli.ninja import run_ninja

    return run_ninja(make_args, everything=everything, output=output)


@cli.command(cls=MakeCommand, context_settings=MAKE_ARGS)
@click.option(
    "--on-stale", type=click.Choice(["warn", "rebuild", "fail"]), default="warn", show_default=True,
    help="When something is stale: say so, refresh it once the tree is quiet, or end with status 1.",
)  # fmt: skip
@click.option(
    "--exec",
    "command",
    default="",
    metavar="CMD",
    help="Run CMD with each new verdict (JSON on its standard input).",
)
@click.option("--all-modules", is_flag=True, help="Watch every module of this tree that was built with M=.")
@format_option("How to print a verdict; json is one object a line.")
@click.option("--notify", is_flag=True, help="Send a desktop notification when the verdict changes.")
@click.option(
    "--quiet-ms", type=click.IntRange(0, 60000), default=100, show_default=True,
    help="How long nothing must have changed before it looks.",
)  # fmt: skip
@click.option("--poll", is_flag=True, help="Do without file events: look at intervals.")
@click.option("--status", is_flag=True, help="Print what the watches that run have found, and end.")
@click.option("--systemd", is_flag=True, help="Print a systemd user unit that runs this watch, and end.")
@colour_option
@click.argument("make_args", nargs=-1, type=click.UNPROCESSED)
def watch(
    on_stale: str,
    command: str,
    all_modules: bool,
    output: str,
    notify: bool,
    quiet_ms: int,
    poll: bool,
    status: bool,
    systemd: bool,
    color: str,
    make_args: tuple[str, ...],
) -> int:
    """The verdict of `kdeps check`, kept current while files change.

    MAKE_ARGS is what you would give make, verbatim; several M= watch several
    modules of one tree. File events only wake it; it then looks at the files as
    `check` does. While make builds or git checks out it waits for the end.

    \b
    Exit status:
      0    ended by SIGTERM or SIGHUP
      1    something is stale and --on-stale=fail
      2    cannot watch; one line says why
      130  interrupted
      With --status: that of the worst verdict; 2 where no watch runs, or one is stopped.

    \b
    Examples:
      kdeps watch LLVM=1 M=drivers/gpu/nova-core
      kdeps watch --on-stale=rebuild M=drivers/gpu/nova-core M=samples/rust
      kdeps watch --status
    """
    refuse_unknown_options(make_args)
    if status:
        from kdeps.watch.status import print_status

        return print_status(list(make_args), json=output == "json")
    from kdeps.cli import watch as room

    if systemd:
        options = [f"--on-stale={on_stale}", f"--quiet-ms={quiet_ms}"]
        options += [f"--exec={command}"] if command else []
        options += [
            name
            for name, given in (("--all-modules", all_modules), ("--poll", poll), ("--notify", notify))
            if given
        ]
        return room.print_unit(options, make_args)
    return room.run_watch(
        make_args,
        output=Format(output),
        colour=Colour(color),
        on_stale=room.OnStale(on_stale),
        command=command,
        quiet_ms=quiet_ms,
        only_poll=poll,
        all_modules=all_modules,
        notify=notify,
    )
