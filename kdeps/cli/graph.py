# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps graph``: the dependency graph as a picture or as data."""

from __future__ import annotations

import os
import sys

from kdeps.cli.start import Exit, where
from kdeps.errors import UsageError
from kdeps.outfile import write_file
from kdeps.survey import Survey, survey

SUFFIXES = {
    ".html": "html", ".htm": "html", ".dot": "dot", ".gv": "dot", ".svg": "svg", ".mmd": "mermaid", ".mermaid": "mermaid",
    ".md": "mermaid", ".graphml": "graphml", ".xml": "graphml", ".json": "json",
}  # fmt: skip
"""What the name of a file says of its format."""


def run_graph(
    words: tuple[str, ...],
    *,
    output_format: str | None = None,
    output: str | None = None,
    detail: str = "groups",
) -> int:
    """Write the graph of the build that ``make WORDS…`` would be, and return the exit status.

    Args:
        words: make's arguments, verbatim.
        output_format: ``html``, ``dot``, ``svg``, ``mermaid``, ``graphml`` or ``json``; ``None``:
            by the name of the file, ``html`` where there is none or it says nothing.
        output: Where to write; ``None``: standard output.
        detail: How much the drawings show.
    """
    cwd = where()
    chosen = output_format or _format_of(output or "")
    if output is None and chosen == "html" and sys.stdout.isatty():
        raise UsageError("a page is not for a terminal; say --output=FILE, or redirect it")
    text = render(survey(words, cwd, dict(os.environ)), chosen, detail, cwd)
    data = text.encode("utf-8", "surrogateescape")
    if output is None:
        sys.stdout.buffer.write(data)
        return Exit.FRESH
    write_file(output, data)
    return Exit.FRESH


def _format_of(name: str) -> str:
    """The format that the name of a file says.

    Raises:
        UsageError: It says one that is not written here: a page in a ``.png`` helps nobody.
    """
    suffix = os.path.splitext(name)[1].lower()
    if suffix and suffix not in SUFFIXES:
        raise UsageError(
            f"{name}: no format is known by {suffix}; say which with --format, or take .html or .svg"
        )
    return SUFFIXES.get(suffix, "html")


def render(found: Survey, output_format: str, detail: str, cwd: str) -> str:
    """Write a graph in one of the formats."""
    if output_format == "html":
        from kdeps.picture.page import render_page

        return render_page(found, cwd=cwd)
    if output_format in ("graphml", "json"):
        from kdeps.picture.data import render_graphml, render_json

        return render_json(found) if output_format == "json" else render_graphml(found)
    from kdeps.picture.drawing import Detail, to_dot, to_mermaid, to_svg
    from kdeps.picture.fold import fold_build

    draw = {"dot": to_dot, "svg": to_svg, "mermaid": to_mermaid}[output_format]
    return draw(fold_build(found), Detail(detail))
