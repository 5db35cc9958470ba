# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What make makes of a record, whole, cut off or odd, is what kdeps makes of it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from kdeps.formats.cmdfile import Record, RecordState, parse_record, unescape
from tests.support.cmdfile import RECORDS, as_make_has_it, captured, command_line, needs_make
from tests.support.gnu_make import Case, Reading, read_records

NAMES = sorted(path.stem for path in RECORDS.glob("*.cmd"))


def renamed(data: bytes, number: int) -> tuple[str, bytes]:
    """The same record for another target, with a name of the same length: so one make can read many."""
    target = parse_record(data).target
    name = f"{target[:-6]}{number:06d}"
    return name, data.replace(target.encode(), name.encode())


@needs_make
@pytest.mark.parametrize("name", NAMES)
def test_make_reads_the_same_from_a_whole_record(name: str, tmp_path: Path) -> None:
    """Prerequisites and command are what make has after it read the file."""
    data = captured(name)
    found = parse_record(data)
    reading = read_records(tmp_path, [Case(found.target, data, command_line(data))])[found.target]
    assert reading == Reading("", " ".join(unescape(found.command).split()), False, as_make_has_it(found))


def states_for(reading: Reading, whole: Record) -> set[RecordState]:
    """The states that fit what make did with a record that was cut off."""
    if reading.stopped:
        return {RecordState.BROKEN}
    if reading.command_differs:
        return {RecordState.EMPTY, RecordState.CUT_COMMAND}
    if any(name == "$" for name in reading.prerequisites):
        return {RecordState.BROKEN}  # "No rule to make target '$'"
    if whole.prerequisites and not reading.prerequisites:
        return {RecordState.CUT_LIST, RecordState.COMMAND_ONLY}
    return {whole.state}


def is_excused(cut: bytes, line: bytes, whole: Record) -> bool:
    """The cuts of which only who knows the whole record can tell what make makes of them.

    * behind the whole command, or in the blanks after it: make finds the command unchanged;
    * behind a ``%``: Kbuild takes the recorded command for a pattern, which still fits;
    * in objtool's line, before its ``$(``: make accepts it, and all else is there.
    """
    last = cut.rpartition(b"\n")[2]
    if last and line.startswith(last):
        return len(last) >= len(line.rstrip()) or last.endswith(b"%")
    return cut.rstrip().endswith(b"\n" + whole.target.encode() + b":")


@needs_make
@pytest.mark.parametrize("name", NAMES)
def test_a_record_cut_off_anywhere_is_what_make_takes_it_for(name: str, tmp_path: Path) -> None:
    """For every number of bytes that may be left of a record, make and the parser agree.

    Those that make accepts are read by one make, all of them. Where the parser
    says that make stops, a make is needed for each: a sample is taken.
    """
    original = captured(name)
    whole = parse_record(original)
    accepted: list[Case] = []
    stopping: dict[str, list[Case]] = {}
    for length in range(len(original)):
        target, data = renamed(original, length)
        case = Case(target, data[:length], command_line(data))
        found = parse_record(case.data)
        if found.state is RecordState.BROKEN:
            stopping.setdefault(found.record_problem, []).append(case)
        else:
            accepted.append(case)
    readings = read_records(tmp_path, accepted)
    for case in spread(stopping.values()):
        readings.update(read_records(tmp_path, [case]))

    for case in [*accepted, *spread(stopping.values())]:
        found = parse_record(case.data)
        reading = readings[case.target]
        if is_excused(case.data, case.whole, parse_record(renamed(original, len(case.data))[1])):
            assert found.state in (RecordState.CUT_COMMAND, RecordState.CUT_LIST), case.data[-80:]
            assert not reading.stopped
            continue
        assert found.state in states_for(reading, whole), (case.data[-80:], reading)
        if found.state not in (RecordState.BROKEN, RecordState.EMPTY, RecordState.CUT_COMMAND):
            assert as_make_has_it(found) == reading.prerequisites, case.data[-80:]


def spread(groups: Iterable[list[Case]]) -> list[Case]:
    """First and last of every group, but of no more than some eight groups."""
    chosen: list[Case] = []
    known = list(groups)
    for group in known[:4] + known[4:][-4:]:
        chosen += dict.fromkeys((group[0], group[-1]))
    return chosen


@needs_make
@pytest.mark.parametrize(
    "character", ["$x", "$", "#", "%", ":", ";", "\\", "~", "'", "&", "=", ",", "*", "(", ")", "é"]
)
def test_a_special_character_in_a_name_is_what_make_takes_it_for(character: str, tmp_path: Path) -> None:
    """fixdep writes names raw, so make may read other names, or stop: the parser says which."""
    name = f"dir/a{character}b.h"
    data = captured("7.2-nova_core.o").replace(b"driver.rs", name.encode())
    found = parse_record(data)
    reading = read_records(tmp_path, [Case("nova_core.o", data, command_line(data))])["nova_core.o"]
    if found.state is RecordState.BROKEN:
        # Before 4.4 make called `%` "deprecated syntax" and went on.
        assert reading.stopped or character == "%"
    else:
        assert (found.state, found.prerequisites) == (RecordState.COMPLETE, reading.prerequisites), (
            reading.stopped
        )


@needs_make
@pytest.mark.parametrize(
    "line",
    [
        b"  a\nb \\\n", b"  a\n", b"   \\\n", b" \\\n", b"\\\n", b"  a\\\n", b"\ta \\\n", b"a \\\n", b" a \\\n", b"  a b \\\n",
        b"  a \\ \n", b"  a \\\\\n", b"    $(wildcard include/config/) \\\n", b"    $(wildcard include/config/ K) \\\n",
        b"    $(wildcard include/config/A)x \\\n", b"    $(wildcard include/config/A B) \\\n", b"    $(wildcard nothing) \\\n",
        b"    $(wildcard include/config/A \\\n", b"    $(wildcard include/config/A)) \\\n", b"  $$a \\\n", b"  ${a}b \\\n", b"# a \\\n",
    ],
)  # fmt: skip
def test_an_odd_line_in_the_list_is_what_make_takes_it_for(line: bytes, tmp_path: Path) -> None:
    """Whatever stands between two entries, the parser has the names that make has, or says that there is damage."""
    data = captured("7.2-nova_core.o").replace(b"  driver.rs", line + b"  driver.rs")
    found = parse_record(data)
    reading = read_records(tmp_path, [Case("nova_core.o", data, command_line(data))])["nova_core.o"]
    if found.state is RecordState.BROKEN:
        assert reading.stopped
    else:
        assert not reading.stopped
        assert found.prerequisites == reading.prerequisites
        assert (found.state is RecordState.COMPLETE) is bool(reading.prerequisites)
