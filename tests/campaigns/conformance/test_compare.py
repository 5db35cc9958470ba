# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The judge is judged: comparing and mutating, without a lab."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.lab.answer import Entry, KdepsAnswer, Reason
from tests.lab.kbuild_oracle import KbuildAnswer, Listed, canonical
from tests.lab.layout import Layout, Module
from tests.lab.operations import OPERATIONS, Step, apply_step
from tests.lab.run import share_out

from .case import Difference, compare

RECORD = (
    b"savedcmd_a.o := cc a.c\n\nsource_a.o := a.c\n\ndeps_a.o := \\\n"
    b"    $(wildcard include/config/SMP) \\\n  a.h \\\n  b.h \\\n\na.o: $(deps_a.o)\n\n$(deps_a.o):\n"
)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A layout whose object tree is an empty folder."""
    module = Module("m", ("rust",), f"{tmp_path}/m", f"{tmp_path}/m", ("M=m",))
    return Layout("t", "", str(tmp_path), f"{tmp_path}/s", f"{tmp_path}/o", True, (), (module,))


def built(path: str) -> str:
    """Make a target and its record, as a build leaves them."""
    folder, name = os.path.split(path)
    os.makedirs(folder, exist_ok=True)
    Path(path).touch()
    Path(folder, f".{name}.cmd").touch()
    return path


def judge(
    layout: Layout,
    *,
    prepare: KbuildAnswer | None = None,
    module: KbuildAnswer | None = None,
    kdeps: KdepsAnswer,
    mutated: frozenset[str] = frozenset(),
) -> Difference:
    return compare(
        layout, layout.modules[0], prepare or KbuildAnswer(), module or KbuildAnswer(), kdeps, set(mutated)
    )


def says(*entries: Entry, verdict: str = "stale") -> KdepsAnswer:
    """What kdeps would have said."""
    status = {"fresh": 0, "stale": 1, "unknown": 2}[verdict]
    return KdepsAnswer(exit_status=status, verdict=verdict, entries={e.target: e for e in entries})


def stale(
    target: str, kind: str = "newer-prerequisite", *, where: str = "stale", kbuild: bool = True
) -> Entry:
    """A listed rule with one reason."""
    return Entry(target, where, where == "stale", "certain", (Reason(kind, kbuild, ""),))


def test_the_same_set_agrees(layout: Layout) -> None:
    target = built(f"{layout.objtree}/rust/kernel.o")
    prepare = KbuildAnswer(recorded={target: Listed(newer=("lib.rs",))})
    assert not judge(layout, prepare=prepare, kdeps=says(stale(target))).disagrees


def test_a_rule_only_kbuild_lists_is_a_miss(layout: Layout) -> None:
    """The one bug that costs a user a day is the first one found."""
    target = built(f"{layout.objtree}/rust/kernel.o")
    prepare = KbuildAnswer(recorded={target: Listed(newer=("lib.rs",))})
    assert judge(layout, prepare=prepare, kdeps=says(verdict="fresh")).misses == [target]


def test_a_propagated_reason_is_not_a_direct_answer(layout: Layout) -> None:
    """A rule that kdeps lists as propagated only is still a miss if Kbuild lists it."""
    target = built(f"{layout.objtree}/rust/kernel.o")
    prepare = KbuildAnswer(recorded={target: Listed(newer=("lib.rs",))})
    assert judge(layout, prepare=prepare, kdeps=says(stale(target, "stale-prerequisite"))).misses == [target]


def test_a_rule_only_kdeps_lists_is_an_alarm(layout: Layout) -> None:
    """But not where kdeps itself says that Kbuild does not see it."""
    target = built(f"{layout.objtree}/rust/kernel.o")
    assert judge(layout, kdeps=says(stale(target))).alarms == [target]
    assert not judge(layout, kdeps=says(stale(target, "missing-output", kbuild=False))).disagrees


def test_a_changed_command_is_left_to_exact_mode(layout: Layout) -> None:
    """Unless target or record are gone: then there is no recorded command to compare."""
    target = built(f"{layout.objtree}/rust/kernel.o")
    prepare = KbuildAnswer(recorded={target: Listed(command=True)})
    assert not judge(layout, prepare=prepare, kdeps=says(verdict="fresh")).disagrees
    record = f"{layout.objtree}/rust/.kernel.o.cmd"
    damaged = judge(layout, prepare=prepare, kdeps=says(verdict="fresh"), mutated=frozenset([record]))
    assert damaged.misses == [target]
    os.unlink(target)
    assert judge(layout, prepare=prepare, kdeps=says(verdict="fresh")).misses == [target]


def test_what_m_lists_must_be_pending(layout: Layout) -> None:
    """And what it does not list must not be."""
    mine, crate = built(f"{layout.modules[0].output}/m.o"), built(f"{layout.objtree}/rust/kernel.o")
    prepare = KbuildAnswer(recorded={crate: Listed(newer=("lib.rs",))})
    module = KbuildAnswer(recorded={mine: Listed(newer=("m.rs",))})
    good = says(stale(crate), stale(mine, where="pending"))
    assert not judge(layout, prepare=prepare, module=module, kdeps=good).disagrees
    swapped = says(stale(crate, where="pending"), stale(mine))
    assert len(judge(layout, prepare=prepare, module=module, kdeps=swapped).split) == 2


def test_where_make_stops_any_sign_of_life_will_do(layout: Layout) -> None:
    """Kbuild's list is incomplete then, so it is not compared."""
    prepare = KbuildAnswer(errors=("*** missing separator",))
    assert not judge(layout, prepare=prepare, kdeps=says(verdict="unknown")).disagrees
    assert judge(layout, prepare=prepare, kdeps=says(verdict="fresh")).contract


def test_cannot_tell_is_wrong_where_make_can(layout: Layout) -> None:
    """An answer of unknown is no way out."""
    assert judge(layout, kdeps=says(verdict="unknown")).contract


def test_targets_are_seen_from_makes_folder() -> None:
    """Relative, absolute and roundabout names come to one."""
    assert canonical("/b", "rust/./kernel.o") == "/b/rust/kernel.o"
    assert canonical("/src/tools/objtool", "/b/tools/objtool/check.o") == "/b/tools/objtool/check.o"


@pytest.mark.parametrize(
    ("operation", "left"),
    [
        ("empty", b""),
        ("cut-command", RECORD[:11]),
        ("cut-after-command", b"savedcmd_a.o := cc a.c\n"),
        ("cut-list", RECORD[: RECORD.index(b"  b.h")]),
        ("cut-wildcard", RECORD[: RECORD.index(b"$(wildcard") + 20]),
        ("cut-rules", RECORD[: RECORD.index(b"a.o: $(deps")]),
        ("cut-last-rule", RECORD[: RECORD.index(b"$(deps_a.o):")]),
    ],
)
def test_records_are_cut_where_they_say(tmp_path: Path, operation: str, left: bytes) -> None:
    """Each way to cut a record off leaves exactly what its name tells."""
    record = tmp_path / ".a.o.cmd"
    record.write_bytes(RECORD)
    assert apply_step(Step("record", operation, str(record), draw=0.5))
    assert record.read_bytes() == left


def test_mtimes_are_set_to_the_nanosecond(tmp_path: Path) -> None:
    """Equal means equal, and plus1 is one nanosecond."""
    (tmp_path / "a").touch()
    (tmp_path / "b").touch()
    os.utime(tmp_path / "b", ns=(5, 1_700_000_000_123_456_789))
    for operation, offset in (("equal", 0), ("plus1", 1), ("minus1", -1)):
        apply_step(Step("f", operation, str(tmp_path / "a"), relative=str(tmp_path / "b")))
        assert (tmp_path / "a").stat().st_mtime_ns == 1_700_000_000_123_456_789 + offset


def test_a_file_that_is_gone_is_skipped(tmp_path: Path) -> None:
    """Steps of one case may hit the same file twice."""
    for operation in OPERATIONS.keys() - {"create", "create-old"}:
        assert not apply_step(Step("f", operation, str(tmp_path / "none"), relative=str(tmp_path / "none")))


def test_every_case_goes_to_some_layout(layout: Layout) -> None:
    """Shares add up."""
    assert share_out(7, [layout]) == {"t": 7}
