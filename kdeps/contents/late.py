# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Inputs that were put in place late, with an old time, where nothing is remembered that could tell what they had."""

from __future__ import annotations

import os

from kdeps import TYPE_CHECKING
from kdeps.contents.digest import is_copied
from kdeps.kbuild.rule import Owner, Rule
from kdeps.staleness.judge import direct_reasons
from kdeps.staleness.reasons import Finding, ReasonKind, Status
from kdeps.staleness.snapshot import CRATES

if TYPE_CHECKING:
    from collections.abc import Callable

    from kdeps.contents.arrivals import Arrival
    from kdeps.staleness.check import CheckResult

_MAX_LATE = 10
"""More files than this were not put in place one by one."""
_SOURCES = (".rs", ".c", ".h", ".S", "Makefile", "Kbuild", "Kconfig")


def find_late(result: CheckResult, is_known: Callable[[Rule], bool]) -> dict[str, Rule]:
    """Find the inputs that were put in place late, with an old time, and are not remembered: path → step that read
    another.

    Such a file has a later ctime than what was made from it, and no later mtime. After ``chmod -R``, hard links or a
    restored backup most files look like that; then there is none. Nor is there one where the artifact itself was
    copied or unpacked, because its ctime does not tell when it was made, or where something else was found about the
    file.

    ``is_known`` tells whether the memory has what an artifact was built from, as it is there now.
    """
    stats, producers = result.snapshot.stats, result.graph.producers
    named = {finding.path for finding in result.verdict.findings}
    made = list_made(result)
    first_ns = min((st.st_ctime_ns for _, st in made), default=0)
    # Few files or none: most were there before anything was built.
    # What a step of this build makes is no such file, but a crate may come from another build.
    suspects = {path for path, st in stats.items() if st.st_ctime_ns > first_ns} - named
    suspects.difference_update(path for path in producers if not path.endswith(CRATES))
    late: dict[str, Rule] = {}
    for rule, target in made if suspects else ():
        for path in suspects.intersection((*rule.prerequisites, *rule.optional_prerequisites)):
            st = stats[path]
            is_late = st.st_ctime_ns > target.st_ctime_ns and st.st_mtime_ns <= target.st_mtime_ns
            if is_late and path not in late and not is_known(rule):
                late[path] = rule
    late = {path: rule for path, rule in late.items() if not is_copied(rule.record or "")}
    return {} if len(late) > _MAX_LATE and not result.tree.prebuilt else late


def list_made(result: CheckResult) -> list[tuple[Rule, os.stat_result]]:
    """List the steps whose artifacts are in order, with what stat says of the target of each."""
    stats, stale = result.snapshot.stats, direct_reasons(result.verdict)
    return [
        (rule, stats[rule.target])
        for rule in result.graph.rules
        if rule.record is not None
        and rule.target in stats
        and not stale.get(rule.target)
        and (rule.owner is Owner.MODULE or not result.tree.prebuilt)
    ]


def note_late(result: CheckResult, late: dict[str, Rule]) -> CheckResult:
    """Add a note for each input that was put in place late, if it did not come with all in its folder.

    A package that is installed again brings all its headers, dated by its own build. They get one note.
    """
    stats = result.snapshot.stats
    if result.tree.prebuilt:
        notes = _package_note(result.tree.objtree, late)
        return result._replace(verdict=result.verdict._replace(findings=(*result.verdict.findings, *notes)))
    late = {p: rule for p, rule in late.items() if _came_alone(p, stats[rule.target].st_ctime_ns)}
    notes = tuple(_late_note(path, rule) for path, rule in sorted(late.items()))
    return result._replace(verdict=result.verdict._replace(findings=(*result.verdict.findings, *notes)))


def note_arrivals(result: CheckResult, found: dict[str, Arrival]) -> CheckResult:
    """Add a note for each thing that came after what was made without it."""
    notes = tuple(_arrival_note(path, arrival) for path, arrival in sorted(found.items()))
    return result._replace(verdict=result.verdict._replace(findings=(*result.verdict.findings, *notes)))


def _arrival_note(path: str, arrival: Arrival) -> Finding:
    if arrival.is_link:
        message = f"is a link that was put in place after {arrival.rule.name} was built, and leads to older files: no make looks into it"
        help_text = f"touch {arrival.replaced} if it differs from what was built"
    else:
        message = (
            f"came after {arrival.rule.name} was built, which read {arrival.replaced}: no make looks for it"
        )
        help_text = f"touch {arrival.replaced}, so that make builds what reads it; or remove the new file"
    return Finding(ReasonKind.OLD_MTIME, path, message, help_text, Status.FRESH)


def _came_alone(path: str, made_ns: int) -> bool:
    """Whether a file came without those around it: another source in its folder was left as it was.

    A folder without another source shows nothing; then the one above it decides.
    """
    folder = os.path.dirname(path)
    while folder != os.path.dirname(folder):
        try:
            with os.scandir(folder) as entries:
                others = [
                    entry.stat(follow_symlinks=False).st_ctime_ns
                    for entry in entries
                    if entry.name.endswith(_SOURCES) and entry.path != path and entry.is_file()
                ]
        except OSError:
            return True
        if others:
            return min(others) <= made_ns
        folder = os.path.dirname(folder)
    return True


def _package_note(headers: str, late: dict[str, Rule]) -> tuple[Finding, ...]:
    if not late:
        return ()
    files = "1 file that the module reads" if len(late) == 1 else f"{len(late)} files that the module reads"
    message = f"has {files} from after the module was built, with older times: no make looks into them"
    help_text = "clean the module and build it again, if these headers are other ones"
    return (Finding(ReasonKind.OLD_MTIME, headers, message, help_text, Status.FRESH),)


def _late_note(path: str, rule: Rule) -> Finding:
    message = f"was put in place after {rule.name} was built, with an older time: no make looks into it"
    help_text = "touch it if it differs; after one `kdeps make`, contents are compared"
    return Finding(ReasonKind.OLD_MTIME, path, message, help_text, Status.FRESH)
