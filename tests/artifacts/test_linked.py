# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A module that was linked from other objects, or for other symbol versions, than those there now."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from kdeps.formats.elf import find_functions, parse_elf
from kdeps.formats.symvers import parse_symvers, parse_versions
from tests.conftest import RunKdeps
from tests.support.elf_objects import compile_object, put, vermagic
from tests.support.miniature import MODULE, Miniature
from tests.support.schemas import read_json


def issues_of(kdeps: RunKdeps, tree: Miniature) -> tuple[int, list[Any], list[str]]:
    done = kdeps(tree, "ci", "--format=json", f"M={MODULE}")
    report = read_json(done.stdout)
    return done.returncode, report["issues"], report["cure"]


# -- links ----------------------------------------------------------------------------

PART = 'int part(int x) {{ return x * {factor} + 1; }}\n__attribute__((section(".modinfo"), used)) static const char m[] = "{info}";\n'


@pytest.fixture
def linked(tree: Miniature, tmp_path: Path) -> Miniature:
    """A module whose object and whose .ko are real, the one linked from the other; all times as they were."""
    if shutil.which("ld") is None:
        pytest.skip("needs ld")
    put(tree.module / "nova-core.o", compile_object(tmp_path, PART.format(factor=3, info="a=b")))
    (tmp_path / "magic.c").write_text("")
    magic = tmp_path / "magic"
    magic.mkdir()
    compile_object(
        magic,
        f'__attribute__((section(".modinfo"), used)) static const char m[] = "vermagic={vermagic(tree)}";',
    )
    subprocess.run(
        ["ld", "-r", "-o", tmp_path / "x.ko", tree.module / "nova-core.o", magic / "module.o"], check=True
    )
    put(tree.module / "nova-core.ko", (tmp_path / "x.ko").read_bytes())
    return tree


def test_a_module_holds_its_objects(linked: Miniature, kdeps: RunKdeps) -> None:
    """Nothing but the host's gcc, which is not the miniature's, is worth a note."""
    status, issues, _ = issues_of(kdeps, linked)
    assert status == 0
    assert {issue["kind"] for issue in issues} <= {"other-compiler", "missing-symvers"}


@pytest.mark.parametrize("what", ["code", "modinfo", "function"])
def test_an_object_of_another_build(linked: Miniature, kdeps: RunKdeps, tmp_path: Path, what: str) -> None:
    """Replaced behind its mtime: make sees nothing, the module does not hold it; both have to go."""
    more = "int another_function(void) { return 7; }\n" if what == "function" else ""
    source = PART.format(factor=5 if what == "code" else 3, info="a=c" if what == "modinfo" else "a=b") + more
    put(linked.module / "nova-core.o", compile_object(tmp_path, source))
    assert kdeps(linked, "check", f"M={MODULE}").returncode == 0
    status, issues, cure = issues_of(kdeps, linked)
    assert status == 1
    (issue,) = [issue for issue in issues if issue["verdict"] == "stale"]
    assert issue["kind"] == "mixed-builds"
    assert "nova-core.ko was linked from another build of nova-core.o" in issue["message"]
    assert cure[0] == f"rm -f {linked.module}/nova-core.ko {linked.module}/nova-core.o"


def test_another_machine_is_left_alone(linked: Miniature, kdeps: RunKdeps, tmp_path: Path) -> None:
    """Where addends stand in the code, a link changes it; nothing is said of such."""
    data = bytearray(compile_object(tmp_path, PART.format(factor=5, info="a=b")))
    data[18:20] = (40).to_bytes(2, "little")
    put(linked.module / "nova-core.o", bytes(data))
    assert issues_of(kdeps, linked)[0] == 0
    elf = parse_elf(lambda at, size: bytes(data)[at : at + size])
    assert elf is not None
    assert not elf.keeps_code
    assert {name for name, _ in find_functions(elf)} == {"part"}


# -- versions of symbols ------------------------------------------------------------------

VERSIONS = """
struct v {{ unsigned long crc; char name[64 - sizeof(unsigned long)]; }};
__attribute__((section("__versions"), used)) static const struct v versions[] = {{ {{ {crc}, "mutex_lock" }} }};
__attribute__((section("__version_ext_crcs"), used)) static const unsigned int crcs[] = {{ 7, {crc} }};
__attribute__((section("__version_ext_names"), used)) static const char names[] = "long_one\\0long_two";
__attribute__((section(".modinfo"), used)) static const char m[] = "vermagic={magic}";
"""


@pytest.mark.parametrize("crc", [0x1234, 0x4321])
def test_a_module_linked_for_other_versions(
    tree: Miniature, kdeps: RunKdeps, tmp_path: Path, crc: int
) -> None:
    """With MODVERSIONS; of symbols that no list has, nothing is said here."""
    for name, line in {
        "include/config/auto.conf": "CONFIG_MODVERSIONS=y",
        ".config": "CONFIG_MODVERSIONS=y",
        "include/generated/autoconf.h": "#define CONFIG_MODVERSIONS 1",
        "include/generated/rustc_cfg": '--cfg=CONFIG_MODVERSIONS\n--cfg=CONFIG_MODVERSIONS="y"',
    }.items():
        put(tree.objtree / name, f"{(tree.objtree / name).read_text()}{line}\n".encode())
    rows = "".join(f"0x00001234\t{name}\tvmlinux\tEXPORT_SYMBOL\t\n" for name in ("mutex_lock", "long_two"))
    (tree.objtree / "Module.symvers").write_text(rows)
    tree.make(f"M={MODULE}")
    put(tree.module / "nova-core.o", b"no object")
    put(
        tree.module / "nova-core.ko",
        compile_object(tmp_path, VERSIONS.format(crc=hex(crc), magic=vermagic(tree))),
    )
    status, issues, _ = issues_of(kdeps, tree)
    stale = [issue for issue in issues if issue["verdict"] == "stale"]
    if crc == 0x1234:
        assert (status, stale) == (0, [])
        return
    (issue,) = stale
    assert issue["kind"] == "mixed-builds"
    assert "other versions of mutex_lock, long_two than Module.symvers has" in issue["message"]
    # modpost writes .mod.c again, which has the versions, where the module's own list is gone.
    (cure,) = [line for line in kdeps(tree, "ci", f"M={MODULE}").stdout.splitlines() if "rm -f" in line]
    assert f"{MODULE}/Module.symvers" in cure


def test_lists_of_symbols_and_of_versions(tmp_path: Path) -> None:
    """Columns, not blanks; what is no line is passed over; nothing is no version."""
    listed = parse_symvers(
        "0x0000000f\ta\tvmlinux\tEXPORT_SYMBOL\t\nzz\tb\tx\tE\t\nshort\n0x1\ta\tdrivers/m\tE\t\n"
    )
    assert listed == {"a": 1}
    data = compile_object(tmp_path, "int x;")
    elf = parse_elf(lambda at, size: data[at : at + size])
    assert elf is not None
    assert parse_versions(elf) == {}
