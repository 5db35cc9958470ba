# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A ledger as a file: the same contents are the same bytes, and what is damaged is refused."""

from __future__ import annotations

import gzip
import json
import os
import random
from pathlib import Path

import pytest

from kdeps.contents.ledger import Ledger, LedgerError
from kdeps.contents.ledger_file import format_ledger, read_ledger, write_ledger
from tests.conftest import RunKdeps
from tests.support.ledger import record
from tests.support.miniature import MODULE, Miniature


@pytest.fixture(scope="module")
def ledger(pristine: Miniature, tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    """What damage is done to."""
    return record(pristine, tmp_path_factory.mktemp("cache"))


# -- the file ------------------------------------------------------------------------


def test_the_same_contents_are_the_same_bytes(tree: Miniature, tmp_path: Path) -> None:
    """Whatever the times, and however often it is written; compressed too."""
    ledger = record(tree, tmp_path)
    first = format_ledger(ledger)
    os.utime(tree.path("rust/kernel/io.rs"), ns=(1, 1))
    assert format_ledger(record(tree, tmp_path / "other")) == first
    for name in ("plain", "packed.gz"):
        write_ledger(str(tmp_path / name), ledger)
        assert read_ledger(str(tmp_path / name)) == ledger
    assert gzip.decompress((tmp_path / "packed.gz").read_bytes()) == first
    # Nothing in it says where it was written but `roots`, and where the compiler's own library lies.
    body = json.loads(first)
    del body["roots"]
    assert str(tree.root) not in json.dumps(body).replace(str(tree.toolchain), "")


@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_ledger_is_an_error_or_what_it_was(ledger: Ledger, tmp_path: Path, seed: int) -> None:
    """Cut off, bits flipped, bytes inserted: never a crash, never another ledger."""
    path = tmp_path / ("ledger.gz" if seed % 2 else "ledger")
    write_ledger(str(path), ledger)
    rng = random.Random(seed)
    data = bytearray(path.read_bytes())
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(data))
        kind = rng.randrange(3)
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del data[at:]
            if not data:
                break
        else:
            data[at:at] = rng.randbytes(3)
    path.write_bytes(bytes(data))
    try:
        again = read_ledger(str(path))
    except LedgerError:
        return
    assert again == ledger


def test_one_flipped_bit_is_never_believed(ledger: Ledger, tmp_path: Path) -> None:
    """Anywhere in it: in a digest above all, where it would still be a ledger."""
    path = tmp_path / "ledger"
    write_ledger(str(path), ledger)
    whole = path.read_bytes()
    for seed in range(300):
        rng = random.Random(seed)
        data = bytearray(whole)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(bytes(data))
        with pytest.raises(LedgerError):
            read_ledger(str(path))


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", '{"schema": "kdeps.ledger/2"}', '{"schema": "kdeps.ledger/1"}']
)
def test_what_is_no_ledger_is_refused(tree: Miniature, kdeps: RunKdeps, tmp_path: Path, text: str) -> None:
    """One line, exit 2: never taken for an empty one."""
    path = tmp_path / "ledger"
    path.write_text(text)
    done = kdeps(tree, "ci", f"--against={path}", f"M={MODULE}")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
