# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``judge`` on small graphs made by hand: every reason, every edge case of time.

Times are whole seconds and set, never waited for.
"""

from __future__ import annotations

from collections.abc import Mapping

from kdeps.formats.cmdfile import RecordState
from kdeps.kbuild.graph import build_graph
from kdeps.kbuild.rule import Action, Owner, Rule, Rules
from kdeps.staleness.judge import judge
from kdeps.staleness.reasons import Certainty, Reason, ReasonKind, Stale, Status, Verdict
from kdeps.staleness.snapshot import Snapshot

OBJ = "/o"
SECOND = 1_000_000_000


def rule(
    target: str,
    prerequisites: tuple[str, ...] = (),
    *,
    owner: Owner = Owner.KERNEL,
    action: Action = Action.IF_CHANGED,
    side: tuple[str, ...] = (),
    source: str | None = None,
    optional_prerequisites: tuple[str, ...] = (),
    config: tuple[str, ...] = (),
    config_dir: str = OBJ,
    state: RecordState | None = RecordState.COMPLETE,
    replaced_if_changed: frozenset[str] = frozenset(),
) -> Rule:
    """A rule; its name is its path below the object tree or ``/m``."""
    folder, _, name = target.rpartition("/")
    return Rule(
        target=target,
        name=target.partition("/o/")[2] or target.partition("/m/")[2],
        owner=owner,
        action=action,
        outputs=(target, *side),
        prerequisites=prerequisites,
        source=source,
        optional_prerequisites=optional_prerequisites,
        config=config,
        config_dir=config_dir,
        replaced_if_changed=replaced_if_changed,
        record=f"{folder}/.{name}.cmd",
        state=state,
        depfile=f"{folder}/.{name}.d",
    )


def judged(
    rules: tuple[Rule, ...],
    seconds: Mapping[str, float],
    *,
    config: dict[str, dict[str, int]] | None = None,
    empty: frozenset[str] = frozenset(),
    leftovers: frozenset[str] = frozenset(),
    version: tuple[int, int] = (7, 2),
    notices_deleted: bool = True,
) -> Verdict:
    """Judge rules with files of these mtimes."""
    stamps = {path: int(at * SECOND) for path, at in seconds.items()}
    graph = build_graph(Rules(rules, (), leftovers), OBJ)
    return judge(
        graph,
        Snapshot(stamps, empty, config or {}, ()),
        objtree=OBJ,
        version=version,
        notices_deleted=notices_deleted,
        leftovers=leftovers,
    )


def only(verdict: Verdict) -> Stale:
    (state,) = (*verdict.stale, *verdict.pending)
    return state


KERNEL = rule("/o/rust/kernel.o", ("/s/lib.rs",), side=("/o/rust/libkernel.rmeta",))
FRESH = {"/s/lib.rs": 1, "/o/rust/libkernel.rmeta": 2, "/o/rust/kernel.o": 3, "/o/rust/.kernel.o.cmd": 3}


def test_nothing_newer_is_fresh() -> None:
    """A target newer than all it was made from is fresh."""
    assert judged((KERNEL,), FRESH).status is Status.FRESH


def test_equal_times_are_up_to_date() -> None:
    """make compares strictly: the same nanosecond is not newer."""
    assert judged((KERNEL,), FRESH | {"/s/lib.rs": 3, "/o/rust/libkernel.rmeta": 3}).stale == ()


def test_one_nanosecond_is_newer() -> None:
    """make compares nanoseconds, and the newer file is the named culprit."""
    stamps = {path: at * SECOND for path, at in FRESH.items()} | {"/s/lib.rs": 3 * SECOND + 1}
    graph = build_graph(Rules((KERNEL,), (), frozenset()), OBJ)
    verdict = judge(graph, Snapshot(stamps, frozenset(), {}, ()), objtree=OBJ, version=(7, 2))
    assert only(verdict).reasons == (
        Reason(ReasonKind.NEWER_PREREQUISITE, True, "/s/lib.rs", 3 * SECOND + 1, 3 * SECOND),
    )


def test_a_missing_target_is_the_only_reason() -> None:
    """Without the target there is nothing to compare with."""
    verdict = judged((KERNEL,), {"/s/lib.rs": 9})
    assert only(verdict).reasons == (Reason(ReasonKind.MISSING_TARGET, True, "/o/rust/kernel.o"),)


def test_a_missing_prerequisite_is_seen_by_a_make_that_notices() -> None:
    """Whether Kbuild sees that a header is gone depends on the make that runs it; stale it is."""
    stamps = {path: at for path, at in FRESH.items() if path != "/s/lib.rs"}
    for notices in (True, False):
        reasons = only(judged((KERNEL,), stamps, notices_deleted=notices)).reasons
        assert reasons == (Reason(ReasonKind.MISSING_PREREQUISITE, notices, "/s/lib.rs", None, 3 * SECOND),)


def test_missing_metadata_is_not_seen_by_kbuild() -> None:
    """libkernel.rmeta has no rule of its own: gone or empty, prepare does nothing."""
    stamps = {path: at for path, at in FRESH.items() if path != "/o/rust/libkernel.rmeta"}
    (reason,) = only(judged((KERNEL,), stamps)).reasons
    assert (reason.kind, reason.kbuild, reason.detail) == (ReasonKind.MISSING_OUTPUT, False, "it is gone")
    (reason,) = only(judged((KERNEL,), FRESH, empty=frozenset(["/o/rust/libkernel.rmeta"]))).reasons
    assert (reason.kind, reason.kbuild, reason.detail) == (ReasonKind.MISSING_OUTPUT, False, "it is empty")


def test_metadata_newer_than_its_object_is_a_broken_off_compile() -> None:
    """rustc writes the metadata first; newer than the object it is of a compile that never ended."""
    (reason,) = only(judged((KERNEL,), FRESH | {"/o/rust/libkernel.rmeta": 4})).reasons
    assert (reason.kind, reason.kbuild) == (ReasonKind.INTERRUPTED, False)


def test_a_left_over_d_file_is_a_broken_off_compile() -> None:
    """Kbuild deletes the .d file after success; one newer than the record was left by a failure."""
    left = "/o/rust/.kernel.o.d"
    verdict = judged((KERNEL,), FRESH | {left: 4}, leftovers=frozenset([left]))
    (reason,) = only(verdict).reasons
    assert (reason.kind, reason.kbuild, reason.path) == (ReasonKind.INTERRUPTED, False, left)
    assert judged((KERNEL,), FRESH | {left: 2}, leftovers=frozenset([left])).status is Status.FRESH


def test_each_state_of_a_record_and_who_sees_it() -> None:
    """An empty or cut-off command changes the command; a cut-off list is forgotten silently; helpers.o is blind."""
    seen = {
        RecordState.COMPLETE: None,
        RecordState.COMMAND_ONLY: None,
        RecordState.EMPTY: (ReasonKind.INTERRUPTED, True),
        RecordState.CUT_COMMAND: (ReasonKind.INTERRUPTED, True),
        RecordState.CUT_LIST: (ReasonKind.INTERRUPTED, False),
        RecordState.BROKEN: (ReasonKind.MISSING_RECORD, False),
        None: (ReasonKind.MISSING_RECORD, True),
    }
    assert {*seen} == {*RecordState, None}
    for state, expected in seen.items():
        verdict = judged((KERNEL._replace(state=state),), FRESH)
        reasons = [(r.kind, r.kbuild) for s in verdict.stale for r in s.reasons]
        assert reasons == ([expected] if expected else []), state
    helpers = rule("/o/rust/helpers/helpers.o", state=None)
    for version, kbuild in (((7, 2), False), ((6, 12), True)):
        verdict = judged((helpers,), {"/o/rust/helpers/helpers.o": 1}, version=version)
        assert only(verdict).reasons[0].kbuild is kbuild


def test_a_source_that_only_a_pattern_rule_finds_may_vanish_unseen() -> None:
    """Without nova_core.rs no pattern matches, and make uses the old object without a word."""
    module = rule(
        "/m/nova_core.o", ("/o/rust/libkernel.rmeta",), owner=Owner.MODULE,
        source="/m/nova_core.rs", optional_prerequisites=("/m/nova_core.rs",),
    )  # fmt: skip
    verdict = judged((module,), {"/m/nova_core.o": 1, "/o/rust/libkernel.rmeta": 2})
    (state,) = verdict.stale
    assert state.silent
    assert [(r.kind, r.kbuild, r.path) for r in state.reasons] == [
        (ReasonKind.MISSING_PREREQUISITE, False, "/m/nova_core.rs")
    ]


def test_a_configuration_stamp_is_a_prerequisite_while_it_exists() -> None:
    """A newer include/config/PCI makes stale; a symbol without a stamp file does nothing."""
    kernel = KERNEL._replace(config=("PCI", "NONE"))
    verdict = judged((kernel,), FRESH, config={OBJ: {"PCI": 4 * SECOND}})
    assert [(r.kind, r.kbuild, r.path) for r in only(verdict).reasons] == [
        (ReasonKind.NEWER_PREREQUISITE, True, "/o/include/config/PCI")
    ]
    assert judged((kernel,), FRESH, config={OBJ: {"PCI": 3 * SECOND}}).status is Status.FRESH


def test_a_module_does_not_follow_the_configuration() -> None:
    """From 6.13 on a module's record looks for the stamp in the module's folder, so Kbuild never sees it."""
    module = rule("/m/a.o", owner=Owner.MODULE, config=("PCI",), config_dir="/m")
    verdict = judged((module,), {"/m/a.o": 1}, config={OBJ: {"PCI": 2 * SECOND}, "/m": {}})
    (state,) = verdict.stale
    assert state.silent
    assert [(r.kind, r.kbuild) for r in state.reasons] == [(ReasonKind.CONFIG_NOT_FOLLOWED, False)]
    assert verdict.status is Status.STALE


MODULE = rule("/m/drv.o", ("/o/rust/libkernel.rmeta", "/m/drv.rs"), owner=Owner.MODULE)
LINK = rule("/m/drv.ko", ("/m/drv.o",), owner=Owner.MODULE)
BUILT = FRESH | {"/m/drv.rs": 1, "/m/drv.o": 4, "/m/drv.ko": 5}


def test_a_stale_crate_makes_the_module_silently_stale() -> None:
    """The crate is edited: crate and module are silently stale, for M= will rebuild neither."""
    verdict = judged((LINK, MODULE, KERNEL), BUILT | {"/s/lib.rs": 9})
    assert [(s.rule.name, s.silent, s.direct) for s in verdict.stale] == [
        ("rust/kernel.o", True, True),
        ("drv.o", True, False),
        ("drv.ko", True, False),
    ]
    assert verdict.pending == ()
    assert verdict.status is Status.STALE


def test_what_the_module_build_rebuilds_itself_is_pending_not_stale() -> None:
    """The module's own source is edited: M= sees that, and all is well."""
    verdict = judged((LINK, MODULE, KERNEL), BUILT | {"/m/drv.rs": 9})
    assert verdict.stale == ()
    assert [s.rule.name for s in verdict.pending] == ["drv.o", "drv.ko"]
    assert verdict.status is Status.FRESH


def test_a_pending_module_on_a_stale_crate_is_still_stale() -> None:
    """Both are edited: M= rebuilds the module, on the old crate."""
    verdict = judged((LINK, MODULE, KERNEL), BUILT | {"/m/drv.rs": 9, "/s/lib.rs": 9})
    assert [s.rule.name for s in verdict.stale] == ["rust/kernel.o"]
    assert [s.rule.name for s in verdict.pending] == ["drv.o", "drv.ko"]
    assert verdict.status is Status.STALE


def test_a_kernel_rule_that_no_module_reads_is_stale_but_not_silent() -> None:
    """A host program that the module build does not use: listed, and no reason to refuse."""
    other = rule("/o/scripts/sorttable", ("/s/sorttable.c",))
    verdict = judged((LINK, MODULE, KERNEL, other), BUILT | {"/o/scripts/sorttable": 1, "/s/sorttable.c": 2})
    assert [(s.rule.name, s.silent) for s in verdict.stale] == [("scripts/sorttable", False)]
    assert verdict.status is Status.FRESH


def test_behind_a_filechk_step_staleness_is_only_possible() -> None:
    """asm-offsets.h is replaced only if its content differs: who reads it is possibly stale."""
    offsets = rule("/o/k/asm-offsets.s", ("/s/device.h",))
    header = rule(
        "/o/g/asm-offsets.h", ("/o/k/asm-offsets.s",), action=Action.FILECHK,
        replaced_if_changed=frozenset(["/o/g/asm-offsets.h"]), state=None,
    )  # fmt: skip
    reader = rule("/m/drv.o", ("/o/g/asm-offsets.h",), owner=Owner.MODULE)
    stamps = {"/s/device.h": 9, "/o/k/asm-offsets.s": 2, "/o/g/asm-offsets.h": 1, "/m/drv.o": 3}
    verdict = judged((reader, header, offsets), stamps)
    assert [(s.rule.target, s.certainty) for s in verdict.stale] == [
        ("/o/k/asm-offsets.s", Certainty.CERTAIN),
        ("/o/g/asm-offsets.h", Certainty.POSSIBLE),
        ("/m/drv.o", Certainty.POSSIBLE),
    ]


def test_records_that_feed_each_other_are_unknown_not_fresh() -> None:
    """make drops such an edge with a warning; kdeps cannot judge it and says so."""
    a, b = rule("/o/a.o", ("/o/b.o",)), rule("/o/b.o", ("/o/a.o",))
    verdict = judged((a, b), {"/o/a.o": 1, "/o/b.o": 1})
    assert verdict.status is Status.UNKNOWN
    assert [p.path for p in verdict.problems] == ["/o/.a.o.cmd", "/o/.b.o.cmd"]


def test_an_input_newer_than_the_metadata_was_not_read() -> None:
    """rustc has read all its sources by the time that it writes the metadata; make only compares the object."""
    times = FRESH | {"/s/lib.rs": 3}
    (reason,) = only(judged((KERNEL,), times)).reasons
    assert (reason.kind, reason.kbuild) == (ReasonKind.NEWER_PREREQUISITE, False)
    assert judged((KERNEL,), times | {"/o/rust/libkernel.rmeta": 3}).status is Status.FRESH
