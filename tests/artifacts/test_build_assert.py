# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What the machine code of a driver tells about its assertions. The objects are rustc's own."""

from __future__ import annotations

import contextlib
import os
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from kdeps.artifacts.assertions import find_assertions
from kdeps.artifacts.build_assert import Location, find_sites
from kdeps.artifacts.failure import Measured
from kdeps.artifacts.inline_chain import InlineChains
from kdeps.artifacts.object_file import ObjectError, parse_object, read_object
from kdeps.artifacts.rust_object import RustObject
from kdeps.artifacts.stack_frames import StackFrame, measure_frames, parse_limit
from kdeps.kbuild.replay import RecordedCommand, redirect
from kdeps.report.formats.sarif import Place, frames_sarif
from tests.conftest import CHECKOUT
from tests.support.schemas import read_sarif

OBJECTS = CHECKOUT / "tests/data/objects"
WRITE = "assertion failed: offset + 4 <= SIZE"
TABLE = "the table has 8 entries"
MACHINES = ("x86", "arm")


@pytest.mark.parametrize("machine", MACHINES)
def test_the_object_alone_has_function_text_and_place(machine: str) -> None:
    """Without debug information, each call is found with what rustc passes to it."""
    sites = find_sites(read_object(str(OBJECTS / f"driver-{machine}.o")))

    assert [(s.function, s.text, s.location) for s in sites] == [
        ("probe", WRITE, Location("rust/io.rs", 23, 9)),
        ("twice", WRITE, Location("rust/io.rs", 23, 9)),
        ("dynamic", TABLE, Location("driver.rs", 31, 9)),
        ("plain", "never 3", Location("driver.rs", 40, 5)),
    ]
    assert not any(site.is_ambiguous for site in sites)


@pytest.mark.parametrize("machine", MACHINES)
def test_line_tables_lead_to_the_driver(machine: str) -> None:
    """The inline chain ends in the driver's line, and a call that LLVM merged has none.

    LLVM leaves out a function into which nothing was inlined (``plain``); its line table is enough.
    """
    path = str(OBJECTS / f"driver-{machine}-lines.o")
    chains = InlineChains((OBJECTS / f"driver-{machine}-lines.o").read_bytes(), path)
    found = {
        site.function: [
            (Path(f.file).name, f.line) for f in chains.find_chain(site.function, site.section, site.offset)
        ]
        for site in find_sites(read_object(path))
    }

    assert found == {
        "probe": [("io.rs", 7), ("driver.rs", 14)],
        "twice": [("io.rs", 7), ("driver.rs", 0)],
        "dynamic": [("io.rs", 12), ("driver.rs", 34)],
        "plain": [("io.rs", 12)],
    }


def test_an_offset_outside_the_function_has_no_chain() -> None:
    """A place that no function covers gives no chain."""
    data = (OBJECTS / "driver-x86-lines.o").read_bytes()
    assert InlineChains(data, "x.o").find_chain("probe", 3, 100_000) == ()
    assert InlineChains(data, "x.o").find_chain("nothing", 3, 0) == ()


def _patched(at: int, form: str, value: int) -> bytes:
    data = bytearray((OBJECTS / "driver-x86.o").read_bytes())
    struct.pack_into(form, data, at, value)
    return bytes(data)


def _stripped() -> bytes:
    """Without the symbol table and the relocations, as strip leaves it."""
    data = bytearray((OBJECTS / "driver-x86.o").read_bytes())
    (start,) = struct.unpack_from("<Q", data, 40)
    size, count = struct.unpack_from("<HH", data, 58)
    for at in range(start, start + size * count, size):
        if struct.unpack_from("<I", data, at + 4)[0] in (2, 4):
            struct.pack_into("<I", data, at + 4, 0)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"int main;\n" * 20, "not an ELF file"),
        (b"BC\xc0\xde" + bytes(60), "LTO"),
        (b"\xde\xc0\x17\x0b" + bytes(60), "LTO"),
        ((OBJECTS / "driver-x86.o").read_bytes()[:900], "cut off"),
        ((OBJECTS / "driver-x86.o").read_bytes()[:40], "cut off"),
        (_patched(4, "<B", 1), "only x86-64 and arm64"),
        (_patched(5, "<B", 2), "only x86-64 and arm64"),
        (_patched(18, "<H", 243), "EM_RISCV"),
        (_patched(16, "<H", 2), "already linked"),
        (_patched(40, "<Q", 1 << 60), "cut off"),
        (_stripped(), "stripped"),
    ],
    ids=["empty", "text", "bitcode", "wrapped-bitcode", "half", "header", "32-bit", "big-endian", "riscv", "linked", "far", "stripped"],
)  # fmt: skip
def test_an_object_that_cannot_be_read_is_one_clear_line(data: bytes, words: str) -> None:
    """The message names the file and what is wrong with it."""
    with pytest.raises(ObjectError, match=words) as caught:
        parse_object(data, "drivers/x.o")
    assert str(caught.value).startswith("drivers/x.o: ")
    assert "\n" not in str(caught.value)


def test_no_damage_ends_in_anything_but_a_line() -> None:
    """Every byte of the headers and every cut gives an answer or an ``ObjectError``."""
    whole = (OBJECTS / "driver-x86-lines.o").read_bytes()
    damaged = [whole[:at] for at in range(0, len(whole), 97)]
    for at in range(0, len(whole), 13):
        changed = bytearray(whole)
        changed[at] ^= 0xFF
        damaged.append(bytes(changed))
    for data in damaged:
        with contextlib.suppress(ObjectError):
            sites = find_sites(parse_object(data, "x.o"))
            chains = InlineChains(data, "x.o")
            for site in sites:
                chains.find_chain(site.function, site.section, site.offset)


def test_a_compound_command_is_redirected_as_a_whole() -> None:
    """RUST_INLINE_HELPERS: what rustc writes, llvm-link reads, and no name of the tree is written."""
    command = (
        "OBJTREE=/b RUST_MODFILE=./m rustc --edition=2021 --out-dir ./ --emit=dep-info=./.m.o.d --emit=llvm-bc=m.bc m.rs"
        " ;llvm-link-19 --internalize --suppress-warnings m.bc /b/rust/helpers/helpers_module.bc -o m.m.bc;"
        " clang --target=x86_64-linux-gnu -O2 -Wno-override-module -c m.m.bc -o m.o ; ./tools/objtool/objtool --link m.o"
    )
    found = redirect(command, "/tmp/f", ("-Cdebuginfo=1",))

    assert found.command == (
        "OBJTREE=/b RUST_MODFILE=./m rustc --edition=2021 --out-dir /tmp/f --emit=dep-info=/tmp/f/.m.o.d"
        " --emit=llvm-bc=/tmp/f/m.bc m.rs -Cdebuginfo=1;"
        " llvm-link-19 --internalize --suppress-warnings /tmp/f/m.bc /b/rust/helpers/helpers_module.bc -o /tmp/f/m.m.bc;"
        " clang --target=x86_64-linux-gnu -O2 -Wno-override-module -c /tmp/f/m.m.bc -o /tmp/f/m.o"
    )
    assert found.outputs["m.o"] == "/tmp/f/m.o"


def _compile(folder: Path, more: str = "") -> RustObject:
    """Build the driver as Kbuild would, with more functions, and return what its record contains."""
    for name in ("build_error.rs", "driver.rs", "rust/io.rs"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(OBJECTS / name, folder / name)
    with (folder / "driver.rs").open("a") as file:
        file.write(more)
    flags = (
        "--edition=2021 -Cpanic=abort -Copt-level=2 -Ccodegen-units=1 -Crelocation-model=static"
        " -Csymbol-mangling-version=v0 -Cforce-unwind-tables=n"
    )
    subprocess.run(
        ["sh", "-ec", f"rustc {flags} --crate-type=rlib --crate-name=build_error build_error.rs"],
        cwd=folder, check=True,
    )  # fmt: skip
    command = (
        f"OBJTREE={folder} rustc {flags} --crate-type rlib -L . --extern build_error --out-dir ./"
        " --emit=dep-info=./.driver.o.d --emit=obj=driver.o driver.rs"
    )
    subprocess.run(["sh", "-ec", command], cwd=folder, check=True)
    return RustObject(
        str(folder / "driver.o"), RecordedCommand(str(folder), command), (str(folder),), str(folder / "rust")
    )


def _listing(folder: Path) -> list[tuple[str, int, int]]:
    return sorted((str(p), p.stat().st_mtime_ns, p.stat().st_size) for p in folder.rglob("*"))


@pytest.mark.skipif(shutil.which("rustc") is None, reason="needs rustc")
def test_a_replay_names_the_drivers_line_and_leaves_the_tree_alone(tmp_path: Path) -> None:
    """The record runs again in a temporary folder; two calls that LLVM merged are apart there."""
    rust = _compile(tmp_path)
    before = _listing(tmp_path)

    found, problem = find_assertions(rust, dict(os.environ))

    assert problem == ""
    assert _listing(tmp_path) == before
    assert [(a.functions, a.driver and a.driver.line, a.is_certain) for a in found] == [
        (("dynamic",), 31, True),
        (("plain",), 40, True),
        (("probe",), 14, True),
        (("twice",), 21, True),
        (("twice",), 23, True),
    ]
    assert [frame.line for frame in found[0].frames] == [31, 34]


@pytest.mark.skipif(shutil.which("rustc") is None, reason="needs rustc")
def test_a_record_that_fails_leaves_what_the_object_tells(tmp_path: Path) -> None:
    """A source that was broken since cannot run again. Only an assertion in the driver has its own place."""
    rust = _compile(tmp_path)
    (tmp_path / "driver.rs").write_text("fn broken(")

    found, problem = find_assertions(rust, dict(os.environ))

    assert "failed when it ran again" in problem
    assert {(a.location and a.location.line, a.is_certain) for a in found} == {
        (23, False),
        (31, True),
        (40, True),
    }
    assert {a.driver and a.driver.line for a in found} == {None, 31, 40}


@pytest.mark.skipif(shutil.which("rustc") is None, reason="needs rustc")
def test_a_second_replay_that_fails_leaves_what_the_first_one_found(tmp_path: Path) -> None:
    """An LLVM without the flag that keeps calls apart: what is certain stays so, the merged call is "about here"."""
    rust = _compile(tmp_path)
    wrapper = tmp_path / "bin/rustc"
    wrapper.parent.mkdir()
    wrapper.write_text(
        '#!/bin/sh\ncase "$*" in *hoist-common*) echo "error: unknown"; exit 1;; esac\n'
        f'exec {shutil.which("rustc")} "$@"\n'
    )
    wrapper.chmod(0o755)

    found, problem = find_assertions(rust, {**os.environ, "PATH": f"{wrapper.parent}:{os.environ['PATH']}"})

    assert problem.endswith("error: unknown")
    assert [(a.functions, a.driver and a.driver.line, a.is_certain) for a in found][2:] == [
        (("probe",), 14, True),
        (("twice",), 19, False),
    ]


def test_calls_are_kept_apart_where_clang_makes_the_object(tmp_path: Path) -> None:
    """RUST_INLINE_HELPERS: clang optimises what rustc wrote, and would merge the calls again. A stand-in notes its words."""
    for name, line in (("rustc", ":"), ("clang", f'echo "$@" >> {tmp_path}/words; cp "$KEPT" "$4"')):
        tool = tmp_path / "bin" / name
        tool.parent.mkdir(exist_ok=True)
        tool.write_text(f"#!/bin/sh\n{line}\n")
        tool.chmod(0o755)
    shutil.copy(OBJECTS / "driver-x86.o", tmp_path / "driver.o")
    command = "rustc --emit=llvm-bc=driver.bc driver.rs; clang -c driver.bc -o driver.o"
    rust = RustObject(
        str(tmp_path / "driver.o"), RecordedCommand(str(tmp_path), command), (str(tmp_path),), ""
    )
    kept = str(OBJECTS / "driver-x86-lines.o")

    find_assertions(rust, {**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "KEPT": kept})

    assert (tmp_path / "words").read_text().splitlines()[0].endswith(" -mllvm -enable-tail-merge=false")


SEVERAL = """
#[no_mangle]
pub fn arms(bar: &Mmio<0x1000>, which: u32) {
    match which {
        0 => bar.write32(1, 0x3000),
        1 => bar.write32(2, 0x4000),
        2 => bar.write32(3, 0x5000),
        _ => bar.write32(4, 0x10),
    }
}
#[no_mangle]
pub fn all(bar: &Mmio<0x1000>, which: u32) {
    if which == 0 {
        bar.write32(5, 0x3000)
    } else if which == 1 {
        bar.write32(6, 0x4000)
    } else {
        bar.write32(7, 0x5000)
    }
}
"""


@pytest.mark.skipif(shutil.which("rustc") is None, reason="needs rustc")
def test_three_lines_of_one_assertion(tmp_path: Path) -> None:
    """Merged at the end they are certain. Merged early each is "about here": the replay does not prove which are left."""
    rust = _compile(tmp_path, SEVERAL)
    lines = (tmp_path / "driver.rs").read_text().splitlines()

    found, _ = find_assertions(rust, dict(os.environ))

    assert {
        (a.functions, lines[a.driver.line - 1].strip().partition("(")[2][0], a.is_certain)
        for a in found
        if a.functions in (("arms",), ("all",)) and a.driver
    } == {(("arms",), str(n), True) for n in (1, 2, 3)} | {(("all",), str(n), False) for n in (5, 6, 7)}


@pytest.mark.skipif(shutil.which("rustc") is None, reason="needs rustc")
def test_stack_frames_are_those_of_the_machine_code(tmp_path: Path) -> None:
    """A buffer on the stack is measured, with the line of its function; the tree stays as it is."""
    rust = _compile(tmp_path)
    with (tmp_path / "driver.rs").open("a") as file:
        file.write(
            "#[no_mangle]\npub fn big(at: usize) -> u8 {\n    core::hint::black_box([1u8; 4096])[at & 15]\n}\n"
        )
    line = (tmp_path / "driver.rs").read_text().splitlines().index("pub fn big(at: usize) -> u8 {") + 1
    before = _listing(tmp_path)

    frames = measure_frames(rust, {**os.environ, "RUSTC_BOOTSTRAP": "1"})

    assert _listing(tmp_path) == before
    largest = frames[0]
    assert (largest.function, Path(largest.file).name, largest.line) == ("big", "driver.rs", line)
    assert 4096 <= largest.size < 4096 + 64 or 8192 <= largest.size < 8192 + 64
    assert {frame.function for frame in frames} >= {"probe", "twice", "dynamic", "plain"}


def test_large_frames_are_results_of_sarif(tmp_path: Path) -> None:
    """Those above the limit, at the line of their function, with the rule's page; none without a limit."""
    large = StackFrame(4104, "_RNvCs1234_1a\x1b3big", "/o/rust/a.o", f"{tmp_path}/rust/a.rs", 7)
    unknown = StackFrame(2048, "_RNv2", "/o/rust/a.o", "", 0)
    small = StackFrame(64, "_RNv3", "/o/rust/a.o", f"{tmp_path}/rust/a.rs", 9)
    place = Place(str(tmp_path), {"objtree": "/o"})

    def rendered(limit: int, *problems: str) -> Any:
        measured = Measured(limit, (large, unknown, small), problems)
        return read_sarif(frames_sarif(measured, {large.function: "a::big"}, place))

    run = rendered(1280)
    first, second = run["results"]
    assert (first["ruleId"], first["level"]) == ("large-frame", "warning")
    assert (
        first["message"]["text"] == "the stack frame of a::big has 4104 bytes, above CONFIG_FRAME_WARN=1280"
    )
    where = first["locations"][0]["physicalLocation"]
    assert where["artifactLocation"] == {"uri": "rust/a.rs", "uriBaseId": "%SRCROOT%"}
    assert where["region"] == {"startLine": 7}
    assert second["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "rust/a.o"
    assert first["partialFingerprints"] != second["partialFingerprints"]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["large-frame"]
    assert run["invocations"][0]["exitCode"] == 1
    assert rendered(0)["results"] == []
    assert rendered(0)["invocations"][0]["exitCode"] == 0
    assert rendered(1280, "/o/b.o: cannot be read")["invocations"][0]["exitCode"] == 2


@pytest.mark.parametrize(
    ("text", "limit"), [("CONFIG_FRAME_WARN=1280\n", 1280), ("CONFIG_X=1\n", 0), ("", 0)]
)
def test_the_limit_is_that_of_the_configuration(text: str, limit: int) -> None:
    """Without one nothing is too large."""
    assert parse_limit(text) == limit
