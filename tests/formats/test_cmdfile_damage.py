# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Damaged records, and properties that hold for any."""

from __future__ import annotations

import string
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdeps.formats.cmdfile import Record, RecordState, parse_record
from tests.support.cmdfile import as_make_has_it, captured, command_line, needs_make
from tests.support.gnu_make import Case, read_records

# -- damage ------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"\n", b"\n\n", b" \n", b"\0" * 4096])
def test_nothing_in_it_is_an_empty_record(data: bytes) -> None:
    """An empty file, blank lines, and the NULs a power cut leaves are no command at all."""
    assert parse_record(data) == Record("", "", None, (), (), (), RecordState.EMPTY, "the file is empty")


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (b"\x7fELF\2\1\1\0\0\0", "line 1: no savedcmd_ line"),
        (b"\0\0\0savedcmd_a.o := cc\n", "line 1: no savedcmd_ line"),
        (b"savedcmd_a.o := cc\n\0\0\0\0", "line 1: not an assignment"),
        (b"save", "line 1: cut off before the command"),
        (b"savedcmd_a.o", "line 1: cut off inside the command"),
        (b"savedcmd_a.o := awk $(pou", "line 1: cut off inside the command"),
        (b"savedcmd_a.o\n", "line 1: not an assignment"),
        (b"<html>\n", "line 1: no savedcmd_ line"),
        (b"savedcmd_ := cc\n", "line 1: not an assignment"),
        (b"# comment\na.o b.o: a.c\n\ncmd_a.o := cc\n", "not one list of what its target is made from"),
        (b"# comment\n\ncmd_a.o := cc\n", "not one list of what its target is made from"),
        (b"# comment\na.o: a$b.c\n\ncmd_a.o := cc\n", "line 2: a name in the list stops make"),
        (b"savedcmd_a.o := cc\n<<<<<<< HEAD\n", "line 2: neither an assignment nor a rule"),
        (b"savedcmd_a.o := cc\n\nsource_a.o := a.c\n\ndeps_a.o := \\\n  b.h \\\n  $(wildcard x", "line 7: cut off, make stops there"),
        (b"# cannot find fixdep\nwhatever\n", "line 2: neither a rule nor a command"),
    ],
)  # fmt: skip
def test_what_make_cannot_read_is_broken_and_says_where(data: bytes, where: str) -> None:
    """A file that is no record names the line, and never an empty list of prerequisites."""
    found = parse_record(data)
    assert (found.state, found.record_problem, found.prerequisites) == (RecordState.BROKEN, where, ())


def test_a_list_cut_off_between_two_lines_is_never_an_empty_list() -> None:
    """The cut that make swallows without a word is told apart (kbuild-facts, fact 11)."""
    data = captured("7.2-kernel.o")
    found = parse_record(data[: data.index(b"  /root/build-7.2/rust/libuapi")])
    assert found.state is RecordState.CUT_LIST
    assert found.record_problem == "line 15: the list of prerequisites is cut off"


# -- properties --------------------------------------------------------------

LEGAL = st.text(string.ascii_letters + string.digits + "._-+,@=~()'é/", min_size=1, max_size=12).map(
    lambda text: "d/" + text.strip("/") + "x"
)
CONFIG = st.text(string.ascii_uppercase + string.digits + "_", min_size=1, max_size=12)


def written(found: Record, prefix: str = "savedcmd_") -> bytes:
    """A record as ``printf``, fixdep and objtool's ``echo`` write it."""
    target = found.target
    lines = [f"{prefix}{target} :={found.command}\n"]
    if found.source is not None:
        lines += [f"\nsource_{target} := {found.source}\n\ndeps_{target} := \\\n"]
        lines += [f"    $(wildcard include/config/{name}) \\\n" for name in found.config]
        lines += [f"  {name} \\\n" for name in found.prerequisites]
        lines += [f"\n{target}: $(deps_{target})\n\n$(deps_{target}):\n"]
    lines += [f"\n{target}: $(wildcard {name})\n" for name in found.optional]
    return "".join(lines).encode("utf-8", "surrogateescape")


@given(
    LEGAL,
    st.text("abc -/='\"@|;", max_size=30),
    st.none() | LEGAL,
    st.lists(LEGAL, max_size=6),
    st.lists(CONFIG, max_size=4),
    st.lists(st.text("abc/.", min_size=1, max_size=8), max_size=1),
)
def test_what_kbuild_would_write_reads_back(
    target: str, command: str, source: str | None, names: list[str], config: list[str], optional: list[str]
) -> None:
    """A record in Kbuild's form, of any legal names, parses to exactly what was written."""
    listed = source is not None
    expected = Record(
        target,
        f" {command}",
        source,
        tuple(names) if listed else (),
        tuple(config) if listed else (),
        tuple(optional),
        RecordState.COMPLETE if listed else RecordState.COMMAND_ONLY,
        "",
    )
    assert parse_record(written(expected)) == expected


FRAGMENTS = st.sampled_from(
    [b"savedcmd_a.o :=", b"cmd_", b"deps_a.o := \\\n", b"source_a.o := ", b"a.o: $(deps_a.o)\n", b"$(deps_a.o):\n",
     b"    $(wildcard include/config/", b"  b.h \\\n", b"\\\n", b"\n\n", b"$(", b")", b"$$", b"#", b"\0", b"\xff", b" :",
     b"# cannot find fixdep (x)\n", b"a.o: b.h \\\n", b"\r\n", b"%", b"\\"]
)  # fmt: skip


@settings(max_examples=400)
@given(st.lists(FRAGMENTS | st.binary(max_size=8), max_size=20).map(b"".join))
def test_parsing_never_raises_and_never_invents_a_whole_record(data: bytes) -> None:
    """Whatever the bytes are there is a record, whole or with the place where it is not."""
    found = parse_record(data)
    whole = found.state in (RecordState.COMPLETE, RecordState.COMMAND_ONLY)
    assert bool(found.record_problem) is not whole
    assert parse_record(data) == found


@needs_make
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_record_with_a_line_lost_or_doubled_is_never_better_than_make_has_it(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whole to the parser means: make has every prerequisite that the parser has, and no other."""
    lines = captured("7.2-single-object-module.o").splitlines(keepends=True)
    at = data.draw(st.integers(0, len(lines) - 1))
    change = data.draw(st.sampled_from(["lose", "double", "swap", "halve"]))
    if change == "lose":
        del lines[at]
    elif change == "double":
        lines.insert(at, lines[at])
    elif change == "swap":
        lines[at], lines[at - 1] = lines[at - 1], lines[at]
    else:
        lines[at] = lines[at][: len(lines[at]) // 2]
    damaged = b"".join(lines)
    found = parse_record(damaged)
    whole = command_line(captured("7.2-single-object-module.o"))
    reading = read_records(tmp_path_factory.mktemp("make"), [Case("kdeps_rs.o", damaged, whole)])[
        "kdeps_rs.o"
    ]
    if found.state in (RecordState.COMPLETE, RecordState.COMMAND_ONLY):
        assert not reading.stopped
        assert as_make_has_it(found) == reading.prerequisites
    if found.state is RecordState.CUT_LIST:
        assert not reading.stopped


@pytest.mark.parametrize(
    "unit",
    [
        b"  dir/file.h \\\n",
        b"    $(wildcard include/config/A) \\\n",
        b"$(",
        b"$((",
        b"(",
        b"#\n",
        b"\\\n",
        b"a.o:\n",
        b"\\",
        b" ",
        b"$$",
        b"\n",
    ],
)
def test_time_grows_with_the_size_and_no_faster(unit: bytes) -> None:
    """Eight times the bytes take nowhere near 64 times as long, whatever they are."""
    head = b"savedcmd_a.o := cc\n\nsource_a.o := a.c\n\ndeps_a.o := \\\n"

    def seconds(count: int) -> float:
        data = head + unit * (count // len(unit))
        started = time.process_time()
        parse_record(data)
        return time.process_time() - started

    limit = 24 * min(seconds(100_000) for _ in range(3)) + 0.02
    assert any(seconds(800_000) < limit for _ in range(3))
