# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Damage captured records at random and hold the parser to what make then has.

    python -m tests.fuzz.against_make SECONDS [SEED]

Whole, to the parser, has to mean: make reads the file and has exactly these
prerequisites. What the parser calls cut off or broken may be anything to make.
Prints each record that breaks this, and at the end how many were compared.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from pathlib import Path

from kdeps.formats.cmdfile import Record, RecordState, parse_record
from tests.formats.test_cmdfile_like_make import NAMES, renamed
from tests.support.cmdfile import captured, command_line
from tests.support.gnu_make import Case, Reading, read_records

TOKENS = (
    b"\n", b"\\\n", b"\\", b" ", b"\t", b"$", b"$$", b"$(", b")", b"#", b"\\#", b":", b":=", b"=", b";", b"%", b"|", b"&",
    b"\r\n", b"\0", b"\xff", b"$(wildcard x)", b"$(pound)", b"  x \\\n", b"\n\n", b"define\n", b"endif\n", b"include x\n",
    b"export\n", b"\xc2\xa0", b"~", b"*", b"?", b"[", b"'", b'"', b",", b"@", b"!", b"+=", b"?=", b"::",
)  # fmt: skip
WHOLE = (RecordState.COMPLETE, RecordState.COMMAND_ONLY)


def damaged(data: bytes, chance: random.Random) -> bytes:
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        # Behind the command, mostly: that is where the names are.
        low = data.find(b"\n") if chance.random() < 0.8 else 0
        at = chance.randint(max(low, 0), len(data))
        kind = chance.randrange(5)
        if kind == 0:
            data = data[:at] + chance.choice(TOKENS) + data[at:]
        elif kind == 1:
            data = data[:at] + data[at + chance.randint(1, 6) :]
        elif kind == 2:
            data = data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
        elif kind == 3:
            lines = data.split(b"\n")
            first, second = (chance.randrange(len(lines)) for _ in range(2))
            lines[first], lines[second] = lines[second], lines[first]
            data = b"\n".join(lines)
        else:
            data = data[:at]
    return data


def disagrees(case: Case, found: Record, reading: Reading) -> bool:
    # In the raw form of tools/ the source is a prerequisite like any other.
    source = (found.source,) if case.data.startswith(b"#") and found.source else ()
    return (
        bool(reading.stopped)
        or tuple(dict.fromkeys((*source, *found.prerequisites))) != reading.prerequisites
    )


def compare(folder: Path, cases: list[tuple[Case, Record]]) -> list[tuple[Case, Record, Reading]]:
    """Have one make read all of them; halve them where it stops."""
    if not cases:
        return []
    readings = read_records(folder, [case for case, _ in cases])
    if len(cases) > 1 and any(reading.stopped for reading in readings.values()):
        half = len(cases) // 2
        return compare(folder, cases[:half]) + compare(folder, cases[half:])
    return [
        (case, found, readings[case.target])
        for case, found in cases
        if disagrees(case, found, readings[case.target])
    ]


def main() -> None:
    seconds = float(sys.argv[1])
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 30)
    chance = random.Random(seed)
    compared = wrong = 0
    ends = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < ends:
            original = captured(chance.choice([name for name in NAMES if "bindings" not in name]))
            cases = []
            for number in range(60):
                target, data = renamed(original, number)
                case = Case(target, damaged(data, chance), command_line(data))
                found = parse_record(case.data)
                if found.state in WHOLE and found.target == target:
                    cases.append((case, found))
            compared += len(cases)
            for case, found, reading in compare(Path(folder), cases):
                wrong += 1
                sys.stdout.write(
                    f"--- {found.state.name} {found.prerequisites}\n{reading}\n{case.data.decode('latin-1')!r}\n"
                )
    sys.stdout.write(
        f"seed {seed}: {compared} damaged records that the parser calls whole, {wrong} that make reads otherwise\n"
    )


if __name__ == "__main__":
    main()
