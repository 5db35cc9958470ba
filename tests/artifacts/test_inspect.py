# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What artifacts say of themselves, in real object files; no damage to one is more than "it does not say"."""

from __future__ import annotations

import errno
import os
import random
import subprocess
from pathlib import Path

import pytest

from kdeps.artifacts.inspect import inspect_artifacts
from kdeps.formats.elf import find_compilers, find_metadata_compiler, find_undefined, parse_elf, parse_modinfo
from kdeps.staleness.check import check_build
from tests.conftest import RunKdeps
from tests.support.elf_objects import RELEASE, compile_module, configured, find_compiler, put, vermagic
from tests.support.miniature import MODULE, Miniature
from tests.support.schemas import read_json


@pytest.fixture(scope="module", autouse=True)
def _compiler() -> None:
    find_compiler()


def parse(data: bytes):  # type: ignore[no-untyped-def]
    return parse_elf(lambda at, size: data[at : at + size])


def test_an_object_says_who_made_it_and_what_it_wants(tmp_path: Path) -> None:
    """Both compilers, the pairs of .modinfo, and the symbols that are not weak."""
    elf = parse(compile_module(tmp_path))
    said = find_compilers(elf)
    assert "rustc version 1.0" in said
    assert any(line.startswith("GCC: (") for line in said)
    assert parse_modinfo(elf) == {"vermagic": f"{RELEASE} SMP mod_unload ", "name": "nova_core"}
    assert set(find_undefined(elf)) == {"known", "_RNvMNtCsb5MLIFMWygY_6kernel5errorNtB2_5Error10from_errno"}


def test_damage_is_never_a_crash(tmp_path: Path) -> None:
    """Cut off or with flipped bits, 400 seeded times; headers above all."""
    whole = compile_module(tmp_path)
    for seed in range(400):
        rng = random.Random(seed)
        data = bytearray(whole)
        for _ in range(rng.randrange(1, 8)):
            at = rng.randrange(64) if rng.random() < 0.5 else rng.randrange(len(data))
            data[at] ^= 1 << rng.randrange(8)
        if rng.random() < 0.3:
            del data[rng.randrange(len(data)) :]
        elf = parse(bytes(data))
        if elf is not None:
            find_compilers(elf)
            parse_modinfo(elf)
            find_undefined(elf)


def test_symbols_that_nothing_here_can_tell_of(tree: Miniature, kdeps: RunKdeps, tmp_path: Path) -> None:
    """In a tree that was only prepared a note; whoever asks whether the module is right gets no "consistent"."""
    rustc = configured(tree, "CONFIG_RUSTC_VERSION_TEXT").removeprefix("rustc ")
    put(tree.module / "nova-core.ko", compile_module(tmp_path, vermagic(tree), rustc))
    assert not (tree.objtree / "Module.symvers").exists()
    said = kdeps(tree, "check", f"M={MODULE}")
    assert (said.returncode, said.stdout.count("note[missing-symvers]")) == (0, 1)
    assert "whether the kernel has the symbols" in said.stdout
    said = kdeps(tree, "ci", f"M={MODULE}")
    assert (said.returncode, said.stdout.count("cannot tell")) == (0, 1)
    done = kdeps(tree, "ci", "--built", "--format=json", f"M={MODULE}")
    report = read_json(done.stdout)
    assert (done.returncode, report["verdict"]) == (2, "unknown")
    (issue,) = [issue for issue in report["issues"] if issue["verdict"] == "unknown"]
    assert issue["kind"] == "missing-symvers"
    assert "nova-core.ko needs 2 symbols" in issue["message"]


def test_metadata_names_its_compiler() -> None:
    """In its first bytes; what is no metadata says nothing."""
    head = b"rust\0\0\0\x09" + bytes(8) + b"\x36rustc 1.85.1 (4eb161250 2025-03-15)\xc1" + bytes(40)
    assert find_metadata_compiler(head) == "1.85.1 (4eb161250 2025-03-15)"
    assert find_metadata_compiler(b"ELF" + head) is None
    assert find_metadata_compiler(b"rust\0\0\0\x09") is None


@pytest.mark.parametrize("case", ["right", "rustc", "release", "flag", "symbol", "crate"])
def test_artifacts_that_do_not_fit(tree: Miniature, kdeps: RunKdeps, tmp_path: Path, case: str) -> None:
    """Each is found alone and by its kind, behind an mtime that says nothing; what fits is not."""
    rustc = configured(tree, "CONFIG_RUSTC_VERSION_TEXT").removeprefix("rustc ")
    magic = vermagic(tree)
    if case == "release":
        magic = magic.replace(RELEASE, "7.2.12")
    if case == "flag":
        magic = magic.replace("SMP ", "") if "SMP " in magic else f"{magic}SMP "
    ko = compile_module(tmp_path, magic, "1.0 (other)" if case == "rustc" else rustc)
    symvers = tree.objtree / "Module.symvers"
    rows = [
        "known",
        *([] if case == "symbol" else ["_RNvMNtCsb5MLIFMWygY_6kernel5errorNtB2_5Error10from_errno"]),
    ]
    listed = "".join(f"0x00000000\t{row}\tvmlinux\tEXPORT_SYMBOL_GPL\t\n" for row in rows)
    if symvers.exists():
        put(symvers, listed.encode())
    else:
        symvers.write_text(listed)
        tree.make(f"M={MODULE}")
    put(tree.module / "nova-core.ko", ko)
    if case == "crate":
        put(
            tree.objtree / "rust/libkernel.rmeta", b"rust\0\0\0\x09" + bytes(8) + b"\x0arustc 1.0 (other)\xc1"
        )
    done = kdeps(tree, "ci", "--format=json", f"M={MODULE}")
    issues = read_json(done.stdout)["issues"]
    # The host's gcc is not the miniature's: a note.
    wrong = {issue["kind"] for issue in issues if issue["verdict"] == "stale"}
    expected = {
        "right": set(), "rustc": {"other-compiler"}, "release": {"other-kernel"}, "flag": {"other-kernel"},
        "symbol": {"undefined-symbol"}, "crate": {"other-compiler"},
    }[case]  # fmt: skip
    assert wrong == expected, done.stdout
    assert done.returncode == (0 if case == "right" else 1)
    if case == "symbol":
        assert any("<kernel::error::Error>::from_errno" in issue["message"] for issue in issues)
    if case == "crate":
        said = kdeps(tree, "check", f"M={MODULE}")
        assert (said.returncode, said.stdout.count("libkernel.rmeta made by rustc 1.0 (other)")) == (1, 1)
        for line in read_json(done.stdout)["cure"]:
            subprocess.run(line, shell=True, cwd=tree.srctree, env=tree.environment(), check=True)
        assert kdeps(tree, "ci", f"M={MODULE}").returncode == 0


def test_flags_that_do_not_go_together(tree: Miniature, kdeps: RunKdeps) -> None:
    """A module's record with another target CPU than the crates'."""
    record = tree.module / ".nova_core.o.cmd"
    text = record.read_text()
    kernel = tree.objtree / "rust/.kernel.o.cmd"
    if "--target=" not in text:
        put(record, text.replace("--emit=", "--target=x --emit=", 1).encode())
    if "--target=" not in kernel.read_text():
        put(kernel, kernel.read_text().replace("--emit=", "--target=x --emit=", 1).encode())
    assert kdeps(tree, "ci", f"M={MODULE}").returncode == 0
    put(record, record.read_text().replace("--emit=", "-Ctarget-cpu=native --emit=", 1).encode())
    done = kdeps(tree, "ci", "--format=json", f"M={MODULE}")
    assert [issue["kind"] for issue in read_json(done.stdout)["issues"]] == ["flags-differ"]
    assert done.returncode == 1


@pytest.mark.parametrize("name", ["nova-core.ko", "nova_core.o"])
def test_an_artifact_that_cannot_be_asked_is_not_fresh(tree: Miniature, kdeps: RunKdeps, name: str) -> None:
    """A folder lies in its place, with its time: nobody knows what is in it."""
    path = tree.module / name
    times = path.stat()
    path.unlink()
    path.mkdir()
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    done = kdeps(tree, "ci", "--format=json", f"M={MODULE}")
    assert done.returncode == 2
    (issue,) = read_json(done.stdout)["issues"]
    assert issue["paths"][0]["path"] == str(path)
    assert "there is a folder where this file belongs" in issue["message"]


def test_an_artifact_that_may_not_be_read_is_told(tree: Miniature, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is not there is not: the verdict knows that already."""
    result = check_build((*tree.tree_args, f"M={MODULE}"), str(tree.srctree), tree.environment())

    def refuse(path: str, _flags: int) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr("kdeps.artifacts.reading.open_nonblocking", refuse)
    problems = inspect_artifacts(result).problems
    assert f"{tree.module}/nova-core.ko" in [problem.path for problem in problems]
    assert {problem.message for problem in problems} == {"Permission denied: cannot tell what is in it"}
    monkeypatch.undo()
    (tree.module / "nova-core.ko").unlink()
    assert not inspect_artifacts(result).problems
