# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Fuzz every parser: no bytes may make one raise, or give a value that contradicts itself.

    pip install atheris
    python -m tests.fuzz.parsers record -max_total_time=300 -dict=tests/fuzz/kbuild.dict

The first word is the parser (``record``, ``depfile``, ``command``, ``arguments``, ``kconfig``
or ``all``), the rest belongs to libFuzzer. The captured records are the first inputs.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris  # type: ignore[import-not-found, import-untyped, unused-ignore]

with atheris.instrument_imports():
    from kdeps.formats.cmdfile import RecordState, parse_record, unescape
    from kdeps.formats.command import find_depfile, find_emitted, find_externs, parse_command, parse_members
    from kdeps.formats.depfile import parse_depfile
    from kdeps.formats.kconfig import parse_config_inputs, parse_value
    from kdeps.formats.makeargs import parse_make_args, working_directory

RECORDS = Path(__file__).parent.parent / "data" / "records"
WHOLE = (RecordState.COMPLETE, RecordState.COMMAND_ONLY)


def fuzz_record(data: bytes) -> None:
    found = parse_record(data)
    assert (found.state in WHOLE) is not bool(found.record_problem), found
    assert found.target or found.state not in WHOLE, found
    for name in (*found.prerequisites, *found.optional, *found.config):
        assert name, found
        assert not set(name) & set(" \n"), found
    if found.state in (RecordState.EMPTY, RecordState.CUT_COMMAND, RecordState.BROKEN):
        assert not found.prerequisites, found
        assert not found.config, found
    unescape(found.command)
    # What was read from the command's line does not depend on what stands behind it.
    if found.state is RecordState.COMPLETE and data.startswith(b"saved"):
        assert parse_record(data.partition(b"\n")[0] + b"\n").command == found.command


def fuzz_depfile(data: bytes) -> None:
    found = parse_depfile(data)
    assert len(set(found)) == len(found), found
    assert all(found), found
    assert not any("\n" in name for name in found), found


def fuzz_command(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    found = parse_command(text, "a.o")
    assert "a.o" not in found.inputs, found
    assert len(set(found.inputs)) == len(found.inputs), found
    assert {*found.responses} - {"a.o"} <= {*found.inputs}, found
    assert {*found.tools} - {"a.o"} <= {*found.inputs}, found
    assert {*found.unlisted} <= {*found.inputs}, found
    find_emitted(text), find_externs(text), find_depfile(text), parse_members(text)


def fuzz_arguments(data: bytes) -> None:
    words = tuple(data.decode("utf-8", "surrogateescape").split("\0"))
    found = parse_make_args(words)
    assert found.words == words, found
    assert {*found.goals, *found.kept} <= {*words}, found
    working_directory(found, "/k")


def fuzz_kconfig(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    found = parse_config_inputs(text)
    assert all(found.files), found
    parse_value(text, "A")


FUZZERS: dict[str, Callable[[bytes], None]] = {
    "record": fuzz_record,
    "depfile": fuzz_depfile,
    "command": fuzz_command,
    "arguments": fuzz_arguments,
    "kconfig": fuzz_kconfig,
}


def fuzz_all(data: bytes) -> None:
    for fuzz in FUZZERS.values():
        fuzz(data)


def main() -> None:
    chosen = FUZZERS.get(sys.argv[1], fuzz_all) if len(sys.argv) > 1 else fuzz_all
    with tempfile.TemporaryDirectory() as corpus:
        for record in RECORDS.glob("*.cmd"):
            (Path(corpus) / record.name).write_bytes(record.read_bytes())
        atheris.Setup([sys.argv[0], *sys.argv[2:], corpus], chosen)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
