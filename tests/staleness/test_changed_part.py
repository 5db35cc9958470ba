# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A whole tree with few changes: which records are read again, and that the answer stays right."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kdeps.artifacts.inspect import inspect_artifacts
from kdeps.kbuild.records import RecordReader
from kdeps.staleness.whole_tree import TreeResult, check_tree
from tests.support.elf_objects import put
from tests.support.miniature import Miniature
from tests.support.whole_tree import archive, record

pytestmark = pytest.mark.usefixtures("cache")
OBJECTS = ("alpha/one", "alpha/two", "beta/one", "beta/two")


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every record is old enough to be remembered."""
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + 1_500_000_000)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The records that are read."""
    paths: list[str] = []
    original = RecordReader.read

    def reading(reader: RecordReader, path: str) -> object:
        paths.append(os.path.basename(path))
        return original(reader, path)

    monkeypatch.setattr(RecordReader, "read", reading)
    return paths


def look(tree: Miniature, **environ: str) -> TreeResult:
    environment = tree.environment(environ)
    return check_tree(tuple(tree.tree_args), str(tree.srctree), environment, inspect_artifacts)


def told(result: TreeResult) -> tuple[object, ...]:
    """All parts of a result that a user can see, without times."""
    verdict = result.result.verdict
    stale = [(state.rule.name, state.reasons) for state in (*verdict.stale, *verdict.pending)]
    return (
        verdict.status,
        stale,
        verdict.findings,
        verdict.problems,
        result.findings,
        result.problems,
        result.rules,
    )


def compile_again(tree: Miniature, name: str, *more: str) -> None:
    """What make does for one object: a new object and record, then every archive and link above it."""
    source = tree.srctree / f"{name}.c"
    (tree.objtree / f"{name}.o").unlink(missing_ok=True)  # a new file, as a compiler writes it
    folder = name.partition("/")[0]
    command = f"clang -Wp,-MMD,{folder}/.{Path(name).name}.o.d -D__KERNEL__ -c -o {name}.o {source}"
    record(tree, f"{name}.o", command, source, *(tree.srctree / path for path in more))
    record(tree, f"{folder}/built-in.a", archive(f"{folder}/built-in.a", folder, "one.o", "two.o"))
    record(tree, "built-in.a", archive("built-in.a", "", "alpha/built-in.a", "beta/built-in.a"))
    record(tree, "vmlinux", "ld -o vmlinux built-in.a")
    record(tree, "arch/x86/boot/vmlinux.bin", "llvm-objcopy -O binary vmlinux arch/x86/boot/vmlinux.bin")


@pytest.mark.usefixtures("later")
def test_after_an_edit_and_a_make_only_what_was_made_is_read(whole: Miniature, read: list[str]) -> None:
    """One object, and the chain of archives and links above it; and then nothing."""
    assert look(whole).result.verdict.status.value == "fresh"
    whole.touch("alpha/one.c")
    compile_again(whole, "alpha/one")
    read.clear()
    again = look(whole)
    assert again.kept
    assert sorted(read) == [
        ".built-in.a.cmd",
        ".built-in.a.cmd",
        ".one.o.cmd",
        ".vmlinux.bin.cmd",
        ".vmlinux.cmd",
    ]
    read.clear()
    assert look(whole).kept
    assert read == []


@pytest.mark.usefixtures("later")
def test_a_source_that_is_known_may_be_read_by_one_more(whole: Miniature, read: list[str]) -> None:
    """And from then on it counts as a reader: where only the other one is made again, this one is stale."""
    header = whole.edit(whole.srctree / "alpha/shared.h", "int y;\n")
    compile_again(whole, "alpha/two", "alpha/shared.h")
    look(whole)
    compile_again(whole, "alpha/one", "alpha/shared.h")
    read.clear()
    assert look(whole).kept
    assert len(read) == 5
    whole.touch(str(header))
    compile_again(whole, "alpha/two", "alpha/shared.h")
    stale = look(whole)
    assert [state.rule.name for state in stale.result.verdict.stale if state.rule.name.endswith(".o")] == [
        "alpha/one.o"
    ]
    compile_again(whole, "alpha/one")
    read.clear()
    assert look(whole).kept  # the answer of before was left alone meanwhile
    assert len(read) == 6


@pytest.mark.usefixtures("later")
def test_a_source_that_no_rule_read_is_judged_with_everything(whole: Miniature) -> None:
    look(whole)
    whole.edit(whole.srctree / "alpha/new.h", "int y;\n")
    compile_again(whole, "alpha/one", "alpha/new.h")
    assert not look(whole).kept
    assert look(whole).kept


def _move(path: Path, rng: random.Random) -> None:
    """Give a file another time, near that of the others."""
    if not path.exists():
        return
    mtime = path.stat().st_mtime_ns + rng.choice((-1, 1)) * rng.randrange(3_000_000_000)
    os.utime(path, ns=(mtime, mtime))


def _any_record(tree: Miniature, rng: random.Random) -> Path:
    return rng.choice(sorted(tree.objtree.rglob(".*.cmd")))


def _rewrite(tree: Miniature, rng: random.Random) -> None:
    path = _any_record(tree, rng)
    put(path, path.read_bytes().replace(b"alpha", rng.choice((b"alpha", b"beta")), 1))


def _swap(tree: Miniature, rng: random.Random) -> None:
    one, other = (_any_record(tree, rng) for _ in range(2))
    data = one.read_bytes()
    put(one, other.read_bytes())
    put(other, data)


def _sometimes_gone(tree: Miniature, rng: random.Random) -> None:
    path = rng.choice((_any_record(tree, rng), tree.objtree / f"{rng.choice(OBJECTS)}.o"))
    kept = path.with_name("kept")
    if path.exists():
        path.rename(kept)
    look(tree)
    if kept.exists():
        kept.rename(path)


def _make_some(tree: Miniature, rng: random.Random) -> None:
    """The header is edited, and what reads it is compiled again, or is not."""
    tree.touch("alpha/shared.h")
    for name in OBJECTS:
        if rng.random() < 0.7:
            compile_again(tree, name, *rng.choice(((), ("alpha/shared.h",))))


def _lose_folder(tree: Miniature, rng: random.Random) -> None:
    """The kernel is linked without one folder, so make does not visit it any more."""
    record(tree, "built-in.a", archive("built-in.a", "", f"{rng.choice(('alpha', 'beta'))}/built-in.a"))
    record(tree, "vmlinux", "ld -o vmlinux built-in.a")
    record(tree, "arch/x86/boot/vmlinux.bin", "llvm-objcopy -O binary vmlinux arch/x86/boot/vmlinux.bin")


DEEDS: dict[str, Callable[[Miniature, random.Random], object]] = {
    "edit": lambda tree, rng: tree.touch(f"{rng.choice(OBJECTS)}.c"),
    "compile": lambda tree, rng: compile_again(tree, rng.choice(OBJECTS)),
    "compile with the header": lambda tree, rng: compile_again(tree, rng.choice(OBJECTS), "alpha/shared.h"),
    "make some": _make_some,
    "touch a record": lambda tree, rng: _move(_any_record(tree, rng), rng),
    "move an object": lambda tree, rng: _move(tree.objtree / f"{rng.choice(OBJECTS)}.o", rng),
    "move the header": lambda tree, rng: _move(tree.srctree / "alpha/shared.h", rng),
    "rewrite a record": _rewrite,
    "swap two records": _swap,
    "gone for a while": _sometimes_gone,
    "a source is gone": lambda tree, rng: (tree.srctree / f"{rng.choice(OBJECTS)}.c").unlink(missing_ok=True),
    "the header is gone": lambda tree, _: (tree.srctree / "alpha/shared.h").unlink(missing_ok=True),
    "a folder less": _lose_folder,
    "touch a stamp": lambda tree, rng: tree.touch(
        str(rng.choice([p for p in sorted((tree.objtree / "include/config").rglob("*")) if p.is_file()]))
    ),
}


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_the_answer_is_that_of_reading_everything(
    seed: int, whole: Miniature, tmp_path: Path
) -> None:
    """Deeds at random, and all mended after each; each answer is compared with one without an index."""
    rng = random.Random(seed)
    whole.edit(whole.srctree / "alpha/shared.h", "int y;\n")
    for name in OBJECTS:
        compile_again(whole, name, "alpha/shared.h")
    right = take_all(whole)
    kept = 0
    for step in range(30):
        if step % 2:
            for _ in range(rng.choice((1, 1, 2))):
                DEEDS[rng.choice(sorted(DEEDS))](whole, rng)
        else:
            mend(right)
        result = look(whole)
        assert told(result) == told(look(whole, XDG_CACHE_HOME=str(tmp_path / f"none-{step}")))
        kept += result.kept
    assert 10 <= kept < 28


def take_all(tree: Miniature) -> dict[Path, tuple[bytes, int]]:
    """Every file with its time."""
    paths = [path for top in (tree.srctree, tree.objtree) for path in top.rglob("*")]
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in paths if path.is_file()}


def mend(right: dict[Path, tuple[bytes, int]]) -> None:
    """Put back what is another file now, or has another time."""
    for path, (data, mtime) in right.items():
        if not path.exists() or path.read_bytes() != data:
            path.write_bytes(data)
        if path.stat().st_mtime_ns != mtime:
            os.utime(path, ns=(mtime, mtime))
