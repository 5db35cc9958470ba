# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What a module build needs, is not there, and no rule of the tree makes: never "its own to rebuild"."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from kdeps.refresh.plan import plan_refresh
from kdeps.staleness.check import check_build
from kdeps.staleness.reasons import Status
from tests.campaigns.watch.coverage import find_uncovered
from tests.conftest import RunKdeps
from tests.support.miniature import MODULE, Miniature, Snapshot

CRATES = [
    *(
        f"lib{name}.rmeta"
        for name in ("core", "compiler_builtins", "ffi", "pin_init", "build_error", "bindings")
    ),
    *("libuapi.rmeta", "libzerocopy.rmeta", "libkernel.rmeta"),
    *("libmacros.so", "libpin_init_internal.so", "libzerocopy_derive.so"),
]


@pytest.fixture
def headers(tree: Miniature) -> Miniature:
    """The miniature as a distribution lays headers out: crates without records, objects or sources."""
    for path in (tree.srctree / "rust").rglob("*.rs"):
        path.unlink()
    for path in [*(tree.objtree / "rust").rglob(".*.cmd"), *(tree.objtree / "rust").glob("*.o")]:
        path.unlink()
    return tree


def answer(kdeps: RunKdeps, tree: Miniature, command: str = "check") -> tuple[str, str]:
    """The status and what was printed."""
    option = "--format=json" if command == "check" else "--format=text"
    said = kdeps(tree, command, option, f"M={MODULE}")
    status = {0: "fresh", 1: "stale", 2: "unknown"}[said.returncode]
    return status, said.stdout + said.stderr


def test_headers_with_all_crates_are_fresh(headers: Miniature, kdeps: RunKdeps) -> None:
    """Nothing is missed of a module that is built against them, nor of one that never was."""
    assert answer(kdeps, headers)[0] == "fresh"
    clean(headers)
    assert answer(kdeps, headers)[0] == "fresh"


def clean(tree: Miniature) -> None:
    for path in (tree.srctree / MODULE).iterdir():
        if path.suffix not in (".rs", "") or path.name.startswith("."):
            path.unlink()


@pytest.mark.parametrize("name", CRATES)
@pytest.mark.parametrize("built", [True, False], ids=["built", "never built"])
def test_headers_that_lack_a_crate_are_unknown(
    headers: Miniature, kdeps: RunKdeps, name: str, *, built: bool
) -> None:
    """Installed headers make nothing, so the file is named and no build is announced."""
    if not built:
        clean(headers)
    (headers.objtree / "rust" / name).unlink()
    status, said = answer(kdeps, headers)
    assert (status, name in said) == ("unknown", True), said


@pytest.mark.parametrize(
    "name",
    ["include/generated/rustc_cfg", "scripts/target.json", "include/generated/utsrelease.h", "scripts/mod/modpost",
     "scripts/basic/fixdep", "scripts/module.lds", "include/generated/autoconf.h"],
)  # fmt: skip
def test_headers_that_lack_a_file_are_unknown(headers: Miniature, kdeps: RunKdeps, name: str) -> None:
    """Whatever a command or a record names: flags, generated headers, tools."""
    (headers.objtree / name).unlink()
    status, said = answer(kdeps, headers)
    assert (status, name in said) == ("unknown", True), said


FIRST = [
    *(f"rust/{name}" for name in CRATES),
    "include/generated/rustc_cfg", "include/generated/utsrelease.h", "scripts/target.json", "scripts/module-common.c",
    "include/linux/kconfig.h", "include/linux/vermagic.h",
]  # fmt: skip


@pytest.fixture(scope="module")
def arch_like(tmp_path_factory: pytest.TempPathFactory, in_source: Snapshot) -> Miniature:
    """Headers as Arch and Fedora lay them out, in one tree and without rust/Makefile, and a module never built."""
    tree = in_source.put(tmp_path_factory.mktemp("arch"))
    tree.make(f"M={MODULE}", "clean")
    for path in sorted((tree.srctree / "rust").rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
        elif path.is_file() and (path.name not in CRATES):
            path.unlink()
    for path in [*tree.srctree.glob("scripts/**/.*.cmd"), *tree.srctree.glob("scripts/**/*.script")]:
        path.unlink()
    return tree


def judge(tree: Miniature, *words: str) -> tuple[Status, list[str]]:
    """The verdict on a module, and the paths of its findings."""
    result = check_build(
        (*tree.tree_args, *(words or (f"M={MODULE}",))), str(tree.srctree), tree.environment()
    )
    return result.verdict.status, [finding.path for finding in result.verdict.findings]


@pytest.mark.parametrize("name", FIRST)
def test_headers_without_rust_makefile_lack_what_the_first_build_reads(
    arch_like: Miniature, name: str
) -> None:
    """What Makefiles pass to compilers, and what the crates themselves load, must be there."""
    assert judge(arch_like)[0] is Status.FRESH
    path = arch_like.srctree / name
    data, before = path.read_bytes(), path.stat()
    path.unlink()
    try:
        assert judge(arch_like) == (Status.UNKNOWN, [str(path)])
        if not name.startswith("rust/libzerocopy"):
            assert arch_like.make(f"M={MODULE}", check=False).returncode != 0
            arch_like.make(f"M={MODULE}", "clean")
    finally:
        path.write_bytes(data)
        path.chmod(before.st_mode)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_whatever_the_first_build_reads_is_watched(arch_like: Miniature) -> None:
    """An answer that is kept holds no longer once one of these files comes, goes or changes."""
    assert find_uncovered((f"M={MODULE}",), str(arch_like.srctree), arch_like.environment()) == []


def test_a_crate_for_the_first_build_is_damaged(arch_like: Miniature) -> None:
    """A package that was unpacked onto a full disk."""
    path = arch_like.srctree / "rust/libbindings.rmeta"
    data, before = path.read_bytes(), path.stat()
    zero(path)
    try:
        assert judge(arch_like) == (Status.UNKNOWN, [str(path)])
    finally:
        path.write_bytes(data)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("name", ["scripts/module-common.c", "include/linux/kconfig.h"])
def test_a_source_that_every_first_build_reads_is_gone(tree: Miniature, name: str) -> None:
    """A tree that can be built cannot make its sources."""
    clean(tree)
    assert judge(tree)[0] is Status.FRESH
    (tree.srctree / name).unlink()
    status, paths = judge(tree)
    assert status is not Status.FRESH
    assert str(tree.srctree / name) in paths


def zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def zero_behind_the_magic(path: Path) -> None:
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:12] + bytes(size - 12))


def zero_within_the_number(path: Path) -> None:
    """Of a rustc 1.97 only 1.9 is left, which wrote no footer."""
    data = path.read_bytes()
    at = data.index(b"rustc 1.9") + 9
    path.write_bytes(data[:at] + bytes(len(data) - at))


def zero_within_the_version(path: Path) -> None:
    data = path.read_bytes()
    at = data.index(b"rustc 1.") + 4
    path.write_bytes(data[:at] + bytes(len(data) - at))


@pytest.mark.parametrize(
    "damage", [zero, cut, zero_behind_the_magic, zero_within_the_version, zero_within_the_number]
)
@pytest.mark.parametrize("command", ["check", "ci"])
def test_metadata_that_is_none_is_not_fresh(
    tree: Miniature, kdeps: RunKdeps, damage: object, command: str
) -> None:
    """A crash leaves NULs or half a file, with a time that says nothing; making the crate again cures it."""
    path = tree.objtree / "rust/libkernel.rmeta"
    stamp = path.stat()
    damage(path)  # type: ignore[operator]
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    status, said = answer(kdeps, tree, command)
    assert (status, "libkernel.rmeta" in said) == ("stale", True), said
    assert kdeps(tree, "make", f"M={MODULE}").returncode == 0
    assert answer(kdeps, tree)[0] == "fresh"


@pytest.mark.parametrize("damage", [zero, cut])
def test_damaged_metadata_of_headers_is_unknown(headers: Miniature, kdeps: RunKdeps, damage: object) -> None:
    """There nothing can be made again."""
    damage(headers.objtree / "rust/libbindings.rmeta")  # type: ignore[operator]
    status, said = answer(kdeps, headers)
    assert (status, "libbindings.rmeta" in said) == ("unknown", True), said


def test_a_generated_header_that_is_gone_is_the_kernels(tree: Miniature, kdeps: RunKdeps) -> None:
    """No record names what makes utsrelease.h; a module build cannot, and modules_prepare does."""
    (tree.objtree / "include/generated/utsrelease.h").unlink()
    status, said = answer(kdeps, tree)
    assert (status, "utsrelease.h" in said) == ("stale", True), said
    assert kdeps(tree, "make", f"M={MODULE}").returncode == 0
    assert answer(kdeps, tree)[0] == "fresh"


def versioned(tree: Miniature) -> Path:
    """Give the module's record symbol versions, and the tree the tool that makes them."""
    tool = tree.objtree / "scripts/genksyms/genksyms"
    tool.parent.mkdir()
    shutil.copy2(tree.objtree / "scripts/mod/modpost", tool)
    (tool.parent / ".genksyms.cmd").write_text(
        "savedcmd_scripts/genksyms/genksyms := gcc -o scripts/genksyms/genksyms scripts/mod/modpost.o\n\n"
    )
    record = tree.srctree / MODULE / ".nova_core.o.cmd"
    stamp = record.stat()
    record.write_text(f"{record.read_text()}#SYMVER nova_add 0x12345678\n")
    os.utime(record, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    return tool


def test_the_tool_of_symbol_versions_is_an_input(tree: Miniature, kdeps: RunKdeps) -> None:
    """Kbuild runs it behind the recorded command and compares nothing with it."""
    tool = versioned(tree)
    assert answer(kdeps, tree)[0] == "fresh"
    tree.touch(tool)
    status, said = answer(kdeps, tree)
    assert (status, "genksyms" in said) == ("stale", True), said
    tool.unlink()
    status, said = answer(kdeps, tree)
    assert (status, "genksyms" in said) == ("stale", True), said


@pytest.mark.parametrize(
    ("name", "symbols", "with_vmlinux"),
    [
        ("scripts/recordmcount", ("FTRACE_MCOUNT_USE_RECORDMCOUNT", "HAVE_C_RECORDMCOUNT"), False),
        ("tools/bpf/resolve_btfids/resolve_btfids", ("DEBUG_INFO_BTF_MODULES",), True),
    ],
)
def test_a_tool_that_no_record_names_is_an_input(
    name: str, symbols: tuple[str, ...], with_vmlinux: bool, tree: Miniature, kdeps: RunKdeps
) -> None:
    """The configuration says that Kbuild runs it on each module."""
    tree.edit(f"{MODULE}/Kbuild", "obj-m := nova_core.o driver.o\n")
    tree.edit(f"{MODULE}/driver.c", "int driver;\n")
    tool = tree.objtree / name
    tool.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(tree.objtree / "scripts/mod/modpost", tool)
    command = f"savedcmd_{name} := gcc -o {name} {tree.objtree}/scripts/mod/modpost.o\n\n"
    (tool.parent / f".{tool.name}.cmd").write_text(command)
    if with_vmlinux:
        shutil.copy2(tool, tree.objtree / "vmlinux")
    tree.append("Kconfig", "".join(f"\nconfig {symbol}\n\tbool\n\tdefault y\n" for symbol in symbols))
    tree.make("modules_prepare")
    tree.make(f"M={MODULE}")
    status, said = answer(kdeps, tree)
    assert status == "fresh", said
    tree.touch(tool)
    status, said = answer(kdeps, tree)
    assert (status, tool.name in said) == ("stale", True), said
    tool.unlink()
    status, said = answer(kdeps, tree)
    assert (status, tool.name in said) == ("stale", True), said
    tree.set_config(**{symbols[-1]: "n"})
    tree.make("modules_prepare")
    tree.make(f"M={MODULE}")
    status, said = answer(kdeps, tree)
    assert status == "fresh", said


def test_a_plugin_of_the_compiler_is_needed(tree: Miniature, kdeps: RunKdeps) -> None:
    """Options name it, the compiler's list does not: once it is gone, no part of the module in C can be compiled."""
    plugin = tree.objtree / "scripts/gcc-plugins/randomize_layout_plugin.so"
    plugin.parent.mkdir()
    plugin.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(57))
    tree.edit(tree.module / "part.c", "int part(void) {\n")
    tree.append(tree.module / "Makefile", f"nova-core-y += part.o\nCFLAGS_part.o := -fplugin={plugin}\n")
    tree.make(f"M={MODULE}")
    assert answer(kdeps, tree)[0] == "fresh"
    tree.touch(plugin)
    assert "part.o" not in tree.rebuilds(f"M={MODULE}")
    status, said = answer(kdeps, tree)
    assert (status, plugin.name in said) == ("stale", True), said
    plugin.unlink()
    status, said = answer(kdeps, tree)
    assert (status, plugin.name in said) == ("unknown", True), said
    tree.touch(tree.module / "part.c")
    assert tree.make(f"M={MODULE}", check=False).returncode != 0


def test_headers_without_vmlinux_need_no_tool_for_type_information(
    headers: Miniature, kdeps: RunKdeps
) -> None:
    """Debian's have neither, with DEBUG_INFO_BTF_MODULES: Kbuild skips that step."""
    for name, line in (
        ("include/config/auto.conf", "CONFIG_{}=y"),
        ("include/generated/autoconf.h", "#define CONFIG_{} 1"),
        ("include/generated/rustc_cfg", '--cfg=CONFIG_{}="y"'),
    ):
        path = headers.objtree / name
        before = path.stat()
        path.write_text(f"{path.read_text()}{line.format('DEBUG_INFO_BTF_MODULES')}\n")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert "resolve_btfids" not in answer(kdeps, headers)[1]
    shutil.copy2(headers.objtree / "scripts/mod/modpost", headers.objtree / "vmlinux")
    status, said = answer(kdeps, headers)
    assert (status, "resolve_btfids" in said) == ("unknown", True), said


def test_json_names_the_file(headers: Miniature, kdeps: RunKdeps) -> None:
    """A pipeline finds the path in the findings."""
    (headers.objtree / "rust/libkernel.rmeta").unlink()
    found = json.loads(kdeps(headers, "check", "--format=json", f"M={MODULE}").stdout)
    assert any("libkernel.rmeta" in finding["path"] for finding in found["findings"]), found["findings"]


@pytest.mark.parametrize("name", ["libmacros.so", "libpin_init_internal.so", "libproc_macro2.rlib"])
@pytest.mark.parametrize("how", ["zeroed", "cut off", "another file"])
def test_a_library_of_macros_that_is_none_is_stale(tree: Miniature, name: str, how: str) -> None:
    """As a crash leaves it: its size and its time are right, and rustc cannot read it."""
    path = tree.objtree / "rust" / name
    before = path.stat()
    elf = (
        b"\x7fELF\x02\x01"
        + bytes(34)
        + (10**6).to_bytes(8, "little")
        + bytes(10)
        + b"\x40\0\x09\0"
        + bytes(2)
    )
    path.write_bytes(
        {"zeroed": bytes(4096), "cut off": elf, "another file": b"version https://git-lfs\n"}[how]
    )
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    words = (*tree.tree_args, f"M={MODULE}")
    result = check_build(words, str(tree.srctree), tree.environment())
    reasons = {(r.path, r.detail) for state in result.verdict.stale for r in state.reasons}
    assert (str(path), "it is damaged or cut off") in reasons
    assert str(path) in plan_refresh(result).remove


@pytest.mark.parametrize("text", ['#define UTS_RELEASE "7.0.0-other"\n', "\0" * 40])
def test_a_release_that_is_not_that_of_the_tree_is_stale(tree: Miniature, text: str) -> None:
    """utsrelease.h is what modules are compiled with; modules_prepare would write it anew."""
    path = tree.objtree / "include/generated/utsrelease.h"
    path.write_text(text)
    os.utime(path, ns=(0, 10**18))
    result = check_build((*tree.tree_args, f"M={MODULE}"), str(tree.srctree), tree.environment())
    assert result.verdict.status is Status.STALE
    assert [finding.path for finding in result.verdict.findings] == [str(path)]
    tree.make("modules_prepare")
    result = check_build((*tree.tree_args, f"M={MODULE}"), str(tree.srctree), tree.environment())
    assert result.verdict.findings == ()
