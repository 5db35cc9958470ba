# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A replay as the text of a ``build.ninja``.

Every step is declared ``generator``: ninja then compares times, as make does, and does
not take a step for changed because its own log does not know it yet. ``restat`` lets it
see that an output was left as it was. The log is dropped at the end (``settle``), when
the times themselves are true again.

The one module that imports ninja_syntax.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import sys
from typing import NamedTuple

from ninja_syntax import Writer, escape  # type: ignore[import-untyped]  # it has no types

from kdeps import __version__
from kdeps.kbuild.rule import Owner
from kdeps.kbuild.tree import Tree
from kdeps.refresh.ninja.replay import Handover, Replay, Step
from kdeps.refresh.ninja.timestamps import note_name

STEP_SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "step.sh")
# The variable for the dependency list is not called `depfile`: ninja would read that file itself.
_STEP = (
    "target=$target outs='$outs' record=$record depfile=$list check=$check ran=$ran fixdep=$fixdep note=$note; "
    ". $step; step_begin $dir; ( set -e; $cmd ); step_end $$?"
)
_KINDS = (
    # what the command has → what Kbuild prints for such a step
    (re.compile(r"\bbindgen\S* "), "BINDGEN"),
    (re.compile(r"--crate-type proc-macro"), "RUSTC P"),
    (re.compile(r"--emit=link=[^\s=]+\.rlib"), "RUSTC PL"),
    (re.compile(r"--emit=metadata="), "RUSTC L"),
    (re.compile(r"--emit=dep-info="), "RUSTC"),
    (re.compile(r"EXPORT_SYMBOL_RUST"), "EXPORTS"),
    (re.compile(r"/modpost "), "MODPOST"),
    (re.compile(r" -S -o \S+\.s "), "CC"),
    (re.compile(r" -c -o "), "CC"),
    (re.compile(r"\bld\S* "), "LD"),
)


class Place(NamedTuple):
    """Where a ``build.ninja`` is used."""

    builddir: str
    """Ninja's log and the notes of the steps; a folder of kdeps' own."""
    cwd: str
    """Where ``words`` mean what they say."""
    words: tuple[str, ...]
    file: str = ""
    """The file itself, so that it can be renewed when a record changes; empty: it serves once."""


def write_manifest(replay: Replay, tree: Tree, place: Place) -> str:
    """Write a replay as the text of a ``build.ninja``."""
    text = io.StringIO()
    ninja = Writer(text, width=sys.maxsize)
    _write_head(ninja, tree, place)
    made = _write_steps(ninja, replay)
    read: dict[str, None] = {}
    inputs = [step.inputs for step in replay.steps] + [handover.inputs for handover in replay.handovers]
    for paths in inputs:
        read.update(dict.fromkeys(path for path in paths if path not in made))
    _write_end(ninja, replay, place, made, list(read), f"{tree.objtree}/.config")
    return text.getvalue()


def _write_head(ninja: Writer, tree: Tree, place: Place) -> None:
    for line in (
        f"Written by kdeps {__version__} from the records in {tree.objtree}; do not edit.",
        f"Made for: make {' '.join(map(shlex.quote, place.words))}",
    ):
        ninja.output.write(f"# {line}\n".replace("\x7f", "?"))
    ninja.newline()
    ninja.variable("ninja_required_version", "1.7")
    ninja.variable("builddir", escape(place.builddir))
    ninja.variable("ran", escape(shlex.quote(place.builddir)))
    ninja.variable("step", escape(shlex.quote(STEP_SCRIPT)))
    ninja.variable("fixdep", escape(shlex.quote(f"{tree.objtree}/scripts/basic/fixdep")))
    ninja.newline()
    ninja.rule("step", command=_STEP, description="$what", generator=True, restat=True)
    ninja.rule(
        "by_make",
        command=f"echo $why >&2; echo {escape(shlex.quote(_advice(tree)))} >&2; exit 1",
        description="MAKE    $name",
        generator=True,
    )
    go = f"cd {shlex.quote(place.cwd)} && {shlex.quote(sys.executable)} -m"
    words = " ".join(map(shlex.quote, place.words))
    ninja.rule(
        "settle",
        command=escape(f"{go} kdeps.refresh.ninja.timestamps {shlex.quote(place.builddir)} {words}"),
        description="SETTLE  $out",
        generator=True,
    )
    if place.file:
        ninja.rule(
            "renew",
            command=escape(f"{go} kdeps ninja --all --output={shlex.quote(place.file)} {words}"),
            description="RENEW   $out",
            generator=True,
        )
    ninja.newline()


def _advice(tree: Tree) -> str:
    return f"kdeps: this step is left to make: make -C {tree.make_directory} … modules_prepare"


def _write_steps(ninja: Writer, replay: Replay) -> set[str]:
    made: set[str] = set()
    fixdep = next((s.rule.target for s in replay.steps if s.rule.name == "scripts/basic/fixdep"), "")
    for step in replay.steps:
        outputs = [path for path in step.rule.outputs if path not in made]
        made.update(outputs)
        first = [fixdep] if fixdep and step.depfile and step.rule.target != fixdep else []
        ninja.build(
            outputs[:1],
            "step",
            implicit_outputs=outputs[1:],
            implicit=list(step.inputs),
            order_only=first,
            variables=_variables(step),
        )
        ninja.newline()
    for handover in replay.handovers:
        rule = handover.rule
        made.add(rule.target)
        ninja.build(
            [rule.target],
            "by_make",
            implicit=[] if rule.target in handover.inputs else list(handover.inputs),
            variables={"name": escape(rule.name), "why": _why(handover)},
        )
    return made


def _variables(step: Step) -> dict[str, str]:
    rule = step.rule
    return {
        "what": escape(describe(step)),
        "dir": escape(shlex.quote(step.directory)),
        "target": escape(shlex.quote(rule.target)),
        "outs": escape(" ".join(rule.outputs)),
        "record": escape(shlex.quote(rule.record or "")),
        "list": escape(shlex.quote(step.depfile)),
        "note": escape(shlex.quote(note_name(rule.target))),
        "check": escape(shlex.quote(step.feeds_check)),
        "cmd": escape(step.command),
    }


def _why(handover: Handover) -> str:
    return str(escape(shlex.quote(f"kdeps: {handover.rule.name}: {handover.why}")))


def describe(step: Step) -> str:
    """Say what a step does, as Kbuild prints it: ``RUSTC L rust/kernel.o``."""
    kind = next((kind for pattern, kind in _KINDS if pattern.search(step.command)), "GEN")
    if step.rule.owner is Owner.MODULE:
        kind = f"{kind} [M]"
    return f"{kind:7} {step.rule.name}"


def _write_end(
    ninja: Writer, replay: Replay, place: Place, made: set[str], read: list[str], dot_config: str
) -> None:
    if not replay.steps and not replay.handovers:
        ninja.build(["all"], "phony")
        ninja.default(["all"])
        return
    settled = f"{place.builddir}/settled"
    ninja.build([settled], "settle", implicit=[*sorted(made), *read])
    ninja.build(["all"], "phony", inputs=[settled])
    ninja.default(["all"])
    if place.file:
        records = [step.rule.record for step in replay.steps if step.rule.record]
        ninja.newline()
        # After an edit of .config only make can go on: the file cannot be renewed, and ninja stops.
        ninja.build([place.file], "renew", implicit=[*records, dot_config])
    ninja.newline()
    ninja.output.write(
        "# A file that is gone counts as changed, as the empty rules of the records have it.\n"
    )
    for path in read:
        ninja.build([path], "phony")
