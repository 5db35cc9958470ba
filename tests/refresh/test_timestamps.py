# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Times that ninja settles: only what is proven is raised; and which ninja is taken."""

from __future__ import annotations

from pathlib import Path

from kdeps.kbuild.graph import build_graph
from kdeps.kbuild.rule import Action, Owner, Rule, Rules
from kdeps.refresh.ninja.run import find_ninja
from kdeps.staleness.new_times import plan_new_times
from kdeps.staleness.snapshot import Snapshot


def settled(rules: tuple[Rule, ...], stamps: dict[str, int], proven: dict[str, int]) -> dict[str, int]:
    graph = build_graph(Rules(rules, (), frozenset()), "/o")
    raised = plan_new_times(graph, Snapshot(dict(stamps), frozenset(), {}, ()), proven, objtree="/o")
    return {item.paths[-1]: item.mtime_ns for item in raised}


def program(folder: Path, name: str, script: str) -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def rule(target: str, *prerequisites: str, side: str = "") -> Rule:
    return Rule(
        target=target, name=target[3:], owner=Owner.KERNEL, action=Action.IF_CHANGED,
        outputs=(target, side) if side else (target,), prerequisites=prerequisites, config_dir="/o",
        record=f"{target}.cmd",
    )  # fmt: skip


CHAIN = (rule("/o/b.rs", "/s/h"), rule("/o/b.o", "/o/b.rs", "/s/b.rs"), rule("/o/k.o", "/o/b.o", "/s/k.rs"))
TIMES = {"/s/h": 50, "/o/b.rs": 10, "/s/b.rs": 5, "/o/b.o": 20, "/s/k.rs": 5, "/o/k.o": 30}


def test_settling_gives_the_time_of_the_newest_prerequisite() -> None:
    """bindgen ran at 60 and left its output as it was: it and everything behind it gets the header's time."""
    assert settled(CHAIN, TIMES, {"/o/b.rs": 60}) == {"/o/b.rs": 50, "/o/b.o": 50, "/o/k.o": 50}


def test_settling_without_proof_does_nothing() -> None:
    """Nobody has run bindgen since."""
    assert settled(CHAIN, TIMES, {}) == {}


def test_an_edit_while_the_step_ran_is_not_settled() -> None:
    """The header was written again at 61, after the step began: what it read is not known."""
    assert settled(CHAIN, {**TIMES, "/s/h": 61}, {"/o/b.rs": 60}) == {}


def test_an_edit_elsewhere_is_not_hidden() -> None:
    """b.rs of the crate was edited at 40 and nobody compiled it: b.o stays behind its time, k.o too."""
    raised = settled(CHAIN, {**TIMES, "/s/b.rs": 40}, {"/o/b.rs": 60})
    assert raised == {"/o/b.rs": 50}


def test_a_broken_off_compile_is_not_settled() -> None:
    """A side output newer than its object is no proof of anything."""
    rules = (CHAIN[0], rule("/o/b.o", "/o/b.rs", side="/o/libb.rmeta"))
    stamps = {**TIMES, "/o/libb.rmeta": 25}
    assert settled(rules, stamps, {"/o/b.rs": 60}) == {"/o/b.rs": 50}


def test_side_outputs_are_raised_with_their_target() -> None:
    """Else the metadata would be older than what it was made from, and no reader would mind; but ninja would."""
    rules = (CHAIN[0], rule("/o/b.o", "/o/b.rs", side="/o/libb.rmeta"))
    assert settled(rules, {**TIMES, "/o/libb.rmeta": 19}, {"/o/b.rs": 60}) == {"/o/b.rs": 50, "/o/b.o": 50}


def test_what_modpost_left_alone_is_raised() -> None:
    """A .mod.c that is older than modpost, because it would not differ: it, and what is made from it, get its time."""
    modpost = rule("/o/Module.symvers", "/o/modpost", side="/o/m.mod.c")
    modpost = modpost._replace(replaced_if_changed=frozenset(("/o/m.mod.c",)))
    rules = (modpost, rule("/o/m.mod.o", "/o/m.mod.c"))
    stamps = {"/o/modpost": 50, "/o/Module.symvers": 60, "/o/m.mod.c": 10, "/o/m.mod.o": 20}
    assert settled(rules, stamps, {}) == {"/o/m.mod.c": 50, "/o/m.mod.o": 50}


def test_the_first_program_that_is_there_is_taken(tmp_path: Path) -> None:
    """ninja before samurai."""
    env = {"PATH": str(tmp_path)}
    assert find_ninja(env) == ()
    samu = program(tmp_path, "samu", "exit 1")
    assert find_ninja(env) == (samu,)
    ninja = program(tmp_path, "ninja", "exit 1")
    assert find_ninja(env) == (ninja,)


def test_a_named_program_is_taken_as_named(tmp_path: Path) -> None:
    """With its arguments; what cannot be a command is none."""
    env = {"PATH": str(tmp_path)}
    program(tmp_path, "ninja", "exit 0")
    mine = program(tmp_path, "mine", "exit 0")
    assert find_ninja({**env, "KDEPS_NINJA": "mine --quiet 'a b'"}) == (mine, "--quiet", "a b")
    for name in ("nowhere", "'", " "):
        assert find_ninja({**env, "KDEPS_NINJA": name}) == ()
