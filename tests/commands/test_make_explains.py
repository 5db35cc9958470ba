# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps make`` explains a failure below make's own message, and stays silent where it cannot."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT
from tests.support.elf_objects import compile_object
from tests.support.miniature import MODULE, Miniature
from tests.support.program import run_text
from tests.support.schemas import read_sarif, validate

OBJECTS = CHECKOUT / "tests/data/objects"
M = f"M={MODULE}"


def _run(tree: Miniature, tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environ = tree.environment({"PYTHONPATH": str(CHECKOUT), "XDG_CACHE_HOME": str(tmp_path / "cache")})
    return run_text((*words, *tree.tree_args, M), cwd=tree.srctree, env=environ)


def _break_modpost(tree: Miniature) -> None:
    """Let the module's object be a real one that has assertions left, and let the step behind it fail."""
    _replace(tree.module / "nova_core.o", OBJECTS / "driver-x86.o")


def _replace(path: Path, by: Path) -> None:
    """Give a file other contents and leave its time."""
    stamp = path.stat().st_mtime_ns
    shutil.copy(by, path)
    os.utime(path, ns=(stamp, stamp))


def test_a_failure_that_the_objects_explain_is_explained(tree: Miniature, tmp_path: Path) -> None:
    """make's own output and status come first; then each assertion with its place."""
    assert _run(tree, tmp_path, "make").returncode == 0
    _break_modpost(tree)
    tree.append(
        MODULE + "/Makefile",
        "\n$(obj)/nova-core.o: $(obj)/undefined\n$(obj)/undefined:\n\t@echo undefined! >&2; exit 1\n",
    )

    done = _run(tree, tmp_path, "make")

    assert done.returncode == 2
    below = done.stderr.partition("undefined!\n")[2]
    assert "error: a `build_assert!` is left in the code: assertion failed: offset + 4 <= SIZE\n" in below
    assert "error: a `build_assert!` is left in the code: the table has 8 entries\n" in below
    assert below.index("Error 2") < below.index("build_assert!")


def test_an_error_of_rustc_is_explained_by_the_verdict(tree: Miniature, tmp_path: Path) -> None:
    """E0463 with --on-stale=warn: what `check` would have said stands below it, with the cure."""
    assert _run(tree, tmp_path, "make").returncode == 0
    (tree.objtree / "rust/libkernel.rmeta").unlink()
    tree.append(MODULE + "/nova_core.rs", "// edited\n")

    done = _run(tree, tmp_path, "make", "--on-stale=warn")

    assert done.returncode == 2
    below = done.stderr.rpartition("Error 2\n")[2]
    assert "stale[missing-output]: rust/libkernel.rmeta" in below.replace("build/", "").replace("../", "")
    assert "E0463" in below
    assert "modules_prepare" in below


def test_a_forgotten_o_is_said(tree: Miniature) -> None:
    """Without O= make looks for a configuration where none is."""
    environ = tree.environment({"PYTHONPATH": str(CHECKOUT)})
    done = run_text(("make", M), cwd=tree.srctree, env=environ)
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"kdeps: explain: {tree.srctree}: no .config, so nothing was ever built here")


def test_an_object_that_is_older_than_its_source_explains_nothing(tree: Miniature, tmp_path: Path) -> None:
    """The compile failed, so the object is that of an earlier source: make's message is all there is."""
    assert _run(tree, tmp_path, "make").returncode == 0
    _break_modpost(tree)
    tree.append(MODULE + "/nova_core.rs", "{\n")

    done = _run(tree, tmp_path, "make")

    assert done.returncode == 2
    assert "build_assert" not in done.stderr
    assert "explain:" not in done.stderr


def test_explain_says_the_same_and_where_it_cannot_look(tree: Miniature, tmp_path: Path) -> None:
    """The command reports what is in the objects, exits 1, and changes nothing in the tree."""
    assert _run(tree, tmp_path, "make").returncode == 0
    _break_modpost(tree)
    before = sorted((str(p), p.lstat().st_mtime_ns) for p in tree.root.rglob("*"))

    done = _run(tree, tmp_path, "explain")

    assert done.returncode == 1, done.stderr
    assert "3 build_assert!s left in the code" in done.stdout
    assert sorted((str(p), p.lstat().st_mtime_ns) for p in tree.root.rglob("*")) == before


def test_json_keeps_to_its_schema(tree: Miniature, tmp_path: Path) -> None:
    """Assertions and undefined symbols, and the frames of a build that cannot be measured."""
    assert _run(tree, tmp_path, "make").returncode == 0
    _break_modpost(tree)
    _replace(tree.module / "nova-core.o", OBJECTS / "clean-x86.o")
    for options, name in ((("--no-replay",), "explain"), (("--frames",), "frames")):
        done = _run(tree, tmp_path, "explain", *options, "--format=json")
        document = json.loads(done.stdout)
        validate(document, name)
        if name == "explain":
            assert len(document["assertions"]) == 3
            assert [(u["symbol"], u["cause"]) for u in document["undefined"]] == [("printk_it", "no-symvers")]
        else:
            assert done.returncode == 2
            assert len(document["problems"]) == 1
    done = _run(tree, tmp_path, "explain", "--frames", "--format=sarif")
    (invocation,) = read_sarif(done.stdout)["invocations"]
    assert done.returncode == invocation["exitCode"] == 2
    assert invocation["executionSuccessful"] is False
    assert [note["message"]["text"] for note in invocation["toolExecutionNotifications"]] == document[
        "problems"
    ]
    done = _run(tree, tmp_path, "explain", "--format=sarif")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--format sarif is for --frames" in done.stderr


def test_without_a_module_the_kernels_own_crates_are_looked_at(tree: Miniature) -> None:
    """An assertion that is left in a crate, which is in the kernel and in no module."""
    for path in (tree.objtree / "rust").glob("*.o"):
        _replace(path, OBJECTS / ("driver-x86.o" if path.name == "kernel.o" else "clean-x86.o"))
    environ = tree.environment({"PYTHONPATH": str(CHECKOUT)})
    done = run_text(("explain", "--no-replay", *tree.tree_args), cwd=tree.srctree, env=environ)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "explain: the kernel: 3 build_assert!s left in the code" in done.stdout


def _link_kernel(tree: Miniature) -> None:
    """Let the tree have what is there when vmlinux is linked: real crates, the archive, vmlinux.o; the link fails."""
    for path in (tree.objtree / "rust").glob("*.o"):
        _replace(path, OBJECTS / ("driver-x86.o" if path.name == "kernel.o" else "clean-x86.o"))
    for name, command in (
        ("vmlinux.a", "ar cDPrST vmlinux.a rust/kernel.o"),
        ("vmlinux.o", "ld -r -o vmlinux.o vmlinux.a"),
    ):
        shutil.copy(OBJECTS / "clean-x86.o", tree.objtree / name)
        (tree.objtree / f".{name}.cmd").write_text(f"savedcmd_{name} := {command}\n")
    tree.append("Makefile", "\nvmlinux:\n\t@echo undefined symbol: rust_build_error >&2; exit 1\n")


def test_a_kernel_that_cannot_be_linked_is_explained(tree: Miniature, tmp_path: Path) -> None:
    """Without M= the linker fails: each assertion of built-in code, and what the linker calls undefined, with the cause."""
    _link_kernel(tree)
    environ = tree.environment(
        {"PYTHONPATH": str(Path(__file__).parent.parent), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    )
    done = run_text(("make", *tree.tree_args, "vmlinux"), cwd=tree.srctree, env=environ)
    assert done.returncode == 2
    below = done.stderr.partition("rust_build_error\n")[2]
    assert "error: a `build_assert!` is left in the code: the table has 8 entries\n" in below
    assert (
        "error: 1 undefined symbol: no Module.symvers, vmlinux or neighbour module has them\n   = C: printk_it\n"
        in below
    )
    assert below.endswith("explain: the kernel: 3 build_assert!s left in the code, 1 undefined symbol\n")


@pytest.mark.parametrize("goal", ["defconfig", "clean", "kernelrelease"])
def test_a_make_that_builds_no_kernel_is_not_explained(goal: str, tree: Miniature) -> None:
    """Whatever such a make fails of, the objects do not tell it."""
    _link_kernel(tree)
    tree.append("Makefile", f"\n{goal}: stops\nstops:\n\t@exit 1\n")
    environ = tree.environment({"PYTHONPATH": str(Path(__file__).parent.parent)})
    done = run_text(("make", *tree.tree_args, goal), cwd=tree.srctree, env=environ)
    assert done.returncode == 2
    assert "build_assert" not in done.stderr


def test_an_assertion_that_panics_at_run_time_is_a_warning(tree: Miniature, tmp_path: Path) -> None:
    """With RUST_BUILD_ASSERT_ALLOW=y the build passes, and the call panics when it runs: said, and exit 0."""
    assert _run(tree, tmp_path, "make").returncode == 0
    _break_modpost(tree)
    _replace(tree.module / "nova-core.o", OBJECTS / "driver-x86.o")
    (tree.objtree / "Module.symvers").write_text("0x00000000\trust_build_error\tvmlinux\tEXPORT_SYMBOL\t\n")
    for name, line in (
        (".config", "CONFIG_RUST_BUILD_ASSERT_ALLOW=y\n"),
        ("include/config/auto.conf", "CONFIG_RUST_BUILD_ASSERT_ALLOW=y\n"),
        ("include/generated/autoconf.h", "#define CONFIG_RUST_BUILD_ASSERT_ALLOW 1\n"),
        ("include/generated/rustc_cfg", '--cfg=CONFIG_RUST_BUILD_ASSERT_ALLOW="y"\n'),
    ):
        path = tree.objtree / name
        stamp = path.stat().st_mtime_ns
        path.write_text(path.read_text() + line)
        os.utime(path, ns=(stamp, stamp))

    done = _run(tree, tmp_path, "explain", "--no-replay")

    assert done.returncode == 0, done.stdout
    assert "warning: a `build_assert!` is left in the code: the table has 8 entries\n" in done.stdout
    assert (
        "note: RUST_BUILD_ASSERT_ALLOW=y, so the module is built; this call panics when it runs\n"
        in done.stdout
    )


def test_without_a_demangler_names_are_mangled_and_one_note_says_so(tree: Miniature, tmp_path: Path) -> None:
    """Neither llvm-cxxfilt nor c++filt is on PATH."""
    assert _run(tree, tmp_path, "make").returncode == 0
    names = ["_RNvNtCsb5MLIFMWygY_6kernel5print11call_printk", "_RNvNtCsb5MLIFMWygY_6kernel5error9to_result"]
    source = "".join(f"extern int {name}(void);\n" for name in names)
    source += f"int probe(void) {{ return {' + '.join(f'{name}()' for name in names)}; }}\n"
    stamp = (tree.module / "nova-core.o").stat().st_mtime_ns
    (tree.module / "nova-core.o").write_bytes(compile_object(tmp_path, source))
    os.utime(tree.module / "nova-core.o", ns=(stamp, stamp))
    environ = tree.environment({"PYTHONPATH": str(CHECKOUT), "PATH": str(tree.toolchain / "bin")})

    done = run_text(("explain", "--no-replay", *tree.tree_args, M), cwd=tree.srctree, env=environ)

    assert done.returncode == 1, done.stdout + done.stderr
    assert all(name in done.stdout for name in names)
    assert done.stdout.count("c++filt") == 1


@pytest.mark.parametrize("option", [(), ("--no-replay",)])
def test_nothing_to_explain_is_exit_0(option: tuple[str, ...], tree: Miniature, tmp_path: Path) -> None:
    """A build that works; what its objects want from elsewhere, Module.symvers has."""
    assert _run(tree, tmp_path, "make").returncode == 0
    for name in ("nova_core.o", "nova-core.o"):
        _replace(tree.module / name, OBJECTS / "clean-x86.o")
    (tree.objtree / "Module.symvers").write_text("0x00000000\tprintk_it\tvmlinux\tEXPORT_SYMBOL\t\n")
    done = _run(tree, tmp_path, "explain", *option)
    assert (done.returncode, done.stdout) == (
        0,
        f"explain: {MODULE}: nothing in its records and objects explains a failure\n",
    )


def test_objects_that_cannot_be_read_are_exit_2(tree: Miniature, tmp_path: Path) -> None:
    """The miniature's own objects are text: exit 2, because nothing was read."""
    assert _run(tree, tmp_path, "make").returncode == 0
    done = _run(tree, tmp_path, "explain")
    assert done.returncode == 2
    assert "nova_core.o: not an ELF file; remove it and build again" in done.stdout
    assert done.stdout.endswith("cannot tell, see above\n")
