# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps graph``: the dependency graph as a picture or as data."""

from __future__ import annotations

import os
import sys

import click

from kdeps.cli.exits import Exit
from kdeps.cli.options import make_args_command, refuse_slips, words_argument
from kdeps.cli.terminal import current_folder
from kdeps.contents.recall import judge_contents
from kdeps.staleness.check import CheckResult, check_build
from kdeps.system.errors import UsageError
from kdeps.system.files import write_file

SUFFIXES = {
    ".html": "html", ".htm": "html", ".dot": "dot", ".gv": "dot", ".svg": "svg", ".mmd": "mermaid", ".mermaid": "mermaid",
    ".md": "mermaid", ".graphml": "graphml", ".xml": "graphml", ".json": "json",
}  # fmt: skip


def _format_of(name: str) -> str:
    """Return the format for a file name's suffix.

    Raises UsageError: kdeps does not write that format: a page in a file named ``.png`` would be of no use.
    """
    suffix = os.path.splitext(name)[1].lower()
    if suffix and suffix not in SUFFIXES:
        raise UsageError(f"{name}: kdeps draws no {suffix}; name it .html or .svg, or choose with --format")
    return SUFFIXES.get(suffix, "html")


def render(result: CheckResult, output_format: str, detail: str, cwd: str) -> str:
    """Write a graph in one of the formats."""
    if output_format == "html":
        from kdeps.report.graph.html import render_page

        return render_page(result, cwd=cwd)
    if output_format in ("graphml", "json"):
        from kdeps.report.graph.network import render_graphml, render_json

        return render_json(result) if output_format == "json" else render_graphml(result)
    from kdeps.report.graph.drawing import Detail, to_dot, to_mermaid, to_svg
    from kdeps.report.graph.group import group_build

    draw = {"dot": to_dot, "svg": to_svg, "mermaid": to_mermaid}[output_format]
    return draw(group_build(result), Detail(detail))


GRAPH_FORMATS = ("html", "dot", "svg", "mermaid", "graphml", "json")
GRAPH_DETAILS = ("groups", "steps", "files")


@make_args_command
@click.option(
    "--format", "output_format", type=click.Choice(GRAPH_FORMATS),
    help="What to write; by default the suffix of the --output file decides, else html.",
)  # fmt: skip
@click.option("--output", metavar="FILE", help="Write there instead of standard output.")
@click.option(
    "--detail", type=click.Choice(GRAPH_DETAILS), default="groups", show_default=True,
    help="How much dot, svg and mermaid show: crates, modules and tools; every step; every file.",
)  # fmt: skip
@words_argument("make_args")
def graph(output_format: str | None, output: str | None, detail: str, make_args: tuple[str, ...]) -> int:
    """Write the dependency graph as a picture or as data.

    html is one page to explore, without network or server: crates and modules in
    layers, headers folded by folder, what is stale highlighted from the edited file
    to the module; a click unfolds, `/` searches, `?` lists the keys.

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
    refuse_slips(make_args)
    cwd, environ = current_folder(), dict(os.environ)
    chosen = output_format or _format_of(output or "")
    if output is None and chosen == "html" and sys.stdout.isatty():
        raise UsageError("a page cannot be shown on a terminal; use --output=FILE, or redirect it")
    result = judge_contents(check_build(make_args, cwd, environ), environ).result
    data = render(result, chosen, detail, cwd).encode("utf-8", "surrogateescape")
    if output is None:
        sys.stdout.buffer.write(data)
    else:
        write_file(output, data)
    return Exit.FRESH
