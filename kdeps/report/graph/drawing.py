# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A folded build as text that other programs draw: Graphviz (DOT, SVG) and Mermaid."""

from __future__ import annotations

import shutil
import subprocess
from enum import Enum
from typing import NamedTuple

from kdeps.report.graph.group import NodeKind, Picture
from kdeps.system.errors import UsageError
from kdeps.system.text import printable


class Detail(str, Enum):
    """How much of a build a drawing shows."""

    GROUPS = "groups"
    """Crates, modules, tools, headers; and the files to blame."""
    STEPS = "steps"
    """Every step, in its group, without the files that are only read."""
    FILES = "files"
    """Everything."""


_COLOURS = {  # state → border, fill
    "fresh": ("#1d8a5b", "#e4f5ec"),
    "stale": ("#d1372c", "#fdecea"),
    "possible": ("#b7791f", "#fdf3e0"),
    "pending": ("#6b4fd8", "#efebfd"),
}
_PLAIN = ("#8b97a5", "#f1f3f6")
_CAUSE = ("#d1372c", "#d1372c")
_INNER = (NodeKind.FOLDER, NodeKind.FILE)
_KEPT = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 _./-+,=")
"""What a label of Mermaid's may hold as it is; everything else is an entity there."""


class Line(NamedTuple):
    """The edges between two nodes that are shown, as one."""

    source: int
    target: int
    stale: bool
    taken: bool


def select(picture: Picture, detail: Detail) -> tuple[tuple[int, ...], tuple[Line, ...]]:
    """Choose the nodes that are shown, and join the edges between them."""
    nodes = picture.nodes

    def shows(at: int) -> bool:
        if detail is Detail.FILES:
            return nodes[at].kind in (NodeKind.RULE, NodeKind.FILE, NodeKind.CAUSE)
        if detail is Detail.STEPS:
            return nodes[at].kind in (NodeKind.RULE, NodeKind.CAUSE)
        return nodes[at].parent < 0

    shown = tuple(at for at in range(len(nodes)) if shows(at))
    wanted = set(shown)
    stands: dict[int, int] = {}
    for at in range(len(nodes)):
        above = at
        while above >= 0 and above not in wanted:
            above = nodes[above].parent
        if above >= 0:
            stands[at] = above
    lines: dict[tuple[int, int], Line] = {}
    for edge in picture.edges:
        source, target = stands.get(edge.source), stands.get(edge.target)
        if source is None or target is None or source == target:
            continue
        old = lines.get((source, target), Line(source, target, False, False))
        lines[source, target] = Line(source, target, old.stale or edge.stale, old.taken or edge.taken)
    return shown, tuple(lines.values())


def to_dot(picture: Picture, detail: Detail) -> str:
    """Write a picture in Graphviz' language."""
    shown, lines = select(picture, detail)
    text = [
        "digraph kdeps {",
        '  graph [rankdir=LR, ranksep=0.8, nodesep=0.18, fontname="sans-serif", bgcolor="transparent"];',
        '  node [shape=box, style="rounded,filled", fontname="sans-serif", fontsize=11, penwidth=1.4];',
        '  edge [color="#8b97a5", arrowsize=0.6];',
    ]
    for group, members in _clusters(picture, shown).items():
        indent = "  "
        if group >= 0:
            text.append(f"  subgraph cluster_{group} {{")
            text.append(
                f'    label={_dot(picture.nodes[group].label)}; style="rounded"; color="#8b97a5"; fontsize=12;'
            )
            indent = "    "
        text += [f"{indent}n{at} [{_dot_node(picture, at)}];" for at in members]
        if group >= 0:
            text.append("  }")
    for line in lines:
        marks = 'color="#d1372c", penwidth=2.4' if line.stale else ""
        if line.stale and not line.taken:
            marks += ", style=dashed"
        text.append(f"  n{line.source} -> n{line.target}{f' [{marks}]' if marks else ''};")
    text.append("}")
    return "\n".join(text) + "\n"


def _clusters(picture: Picture, shown: tuple[int, ...]) -> dict[int, list[int]]:
    clusters: dict[int, list[int]] = {}
    for at in shown:
        clusters.setdefault(_group_of(picture, at), []).append(at)
    return clusters


def _group_of(picture: Picture, at: int) -> int:
    above = picture.nodes[at].parent
    while above >= 0 and picture.nodes[above].parent >= 0:
        above = picture.nodes[above].parent
    return above


def _dot_node(picture: Picture, at: int) -> str:
    node = picture.nodes[at]
    border, fill = _colours(picture, at)
    marks = [f"label={_dot(node.label)}", f'color="{border}"', f'fillcolor="{fill}"']
    if node.path:
        marks.append(f"tooltip={_dot(node.path)}")
    if node.kind is NodeKind.CAUSE:
        marks.append('fontcolor="white", shape=cds, style=filled')
    return ", ".join(marks)


def _colours(picture: Picture, at: int) -> tuple[str, str]:
    node = picture.nodes[at]
    if node.kind is NodeKind.CAUSE:
        return _CAUSE
    if node.kind in (*_INNER, NodeKind.HEADERS, NodeKind.SOURCES) and node.state == "fresh":
        return _PLAIN
    return _COLOURS[node.state]


def _dot(text: str) -> str:
    escaped = printable(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def to_svg(picture: Picture, detail: Detail) -> str:
    """Draw a picture with Graphviz. Raises UsageError: Graphviz is not installed, or failed."""
    dot = shutil.which("dot")
    if dot is None:
        raise UsageError("dot: not found; install Graphviz, or take --format dot or html, which need none")
    done = subprocess.run(
        [dot, "-Tsvg"],
        input=to_dot(picture, detail).encode("utf-8", "surrogateescape"),
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip().partition("\n")[0]
        raise UsageError(f"dot failed: {reason}; try less --detail")
    return done.stdout.decode("utf-8", "replace")


def to_mermaid(picture: Picture, detail: Detail) -> str:
    """Write a picture as a Mermaid flowchart, for a README or an issue."""
    shown, lines = select(picture, detail)
    text = ["flowchart LR"]
    for group, members in _clusters(picture, shown).items():
        if group >= 0:
            text.append(f'  subgraph g{group}["{_mermaid(picture.nodes[group].label)}"]')
        for at in members:
            node = picture.nodes[at]
            opening, closing = (">", "]") if node.kind is NodeKind.CAUSE else ("(", ")")
            text.append(f'  n{at}{opening}"{_mermaid(node.label)}"{closing}:::{_mermaid_class(picture, at)}')
        if group >= 0:
            text.append("  end")
    stale = []
    for number, line in enumerate(lines):
        text.append(f"  n{line.source} {'-.->' if line.stale and not line.taken else '-->'} n{line.target}")
        if line.stale:
            stale.append(number)
    for name, (border, fill) in {**_COLOURS, "plain": _PLAIN}.items():
        text.append(f"  classDef {name} stroke:{border},fill:{fill},color:#1b2430")
    text.append(f"  classDef cause stroke:{_CAUSE[0]},fill:{_CAUSE[1]},color:#fff")
    if stale:
        text.append(f"  linkStyle {','.join(map(str, stale))} stroke:#d1372c,stroke-width:3px")
    return "\n".join(text) + "\n"


def _mermaid_class(picture: Picture, at: int) -> str:
    if picture.nodes[at].kind is NodeKind.CAUSE:
        return "cause"
    return "plain" if _colours(picture, at) == _PLAIN else picture.nodes[at].state


def _mermaid(text: str) -> str:
    return "".join(char if char in _KEPT else f"#{ord(char)};" for char in printable(text))
