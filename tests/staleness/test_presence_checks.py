# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What is there and cannot be used: what a crash, a full disk or a slip of the hand leaves."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import RunKdeps
from tests.support.elf_objects import foreign_program
from tests.support.miniature import MODULE, Miniature
from tests.support.verdict import M, judged, kinds


def _keep_time(path: Path, data: bytes) -> None:
    st = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(st.st_atime_ns, st.st_mtime_ns))


def _unset(tree: Miniature) -> None:
    """The symbol of the module, by an edit of .config that was synced."""
    for name, line in (
        (".config", b"CONFIG_NOVA_CORE=m\n"),
        ("include/config/auto.conf", b"CONFIG_NOVA_CORE=m\n"),
        ("include/generated/autoconf.h", b"#define CONFIG_NOVA_CORE_MODULE 1\n"),
        ("include/generated/rustc_cfg", b'--cfg=CONFIG_NOVA_CORE="m"\n'),
    ):
        path = tree.objtree / name
        assert line in path.read_bytes()
        _keep_time(path, path.read_bytes().replace(line, b""))


def _build_in(tree: Miniature) -> None:
    tree.set_config(NOVA_CORE="y")
    tree.make("modules_prepare")


def _date_ahead(tree: Miniature) -> None:
    os.utime(tree.objtree / ".config", (2**32, 2**32))


def _put_back(tree: Miniature) -> None:
    """As by ``cp -p saved .config``."""
    path = tree.objtree / ".config"
    text = path.read_bytes()
    assert b"CONFIG_64BIT=y\n" in text
    _keep_time(path, text.replace(b"CONFIG_64BIT=y\n", b"# CONFIG_64BIT is not set\n"))


def _mount_nothing(tree: Miniature) -> None:
    """As ``docker -v`` makes a folder of a file that is not there."""
    (tree.objtree / ".config").unlink()
    (tree.objtree / ".config").mkdir()


UNUSABLE: dict[str, tuple[Callable[[Miniature], object], int, str]] = {
    "an emptied Makefile": (lambda tree: (tree.module / "Makefile").write_text(""), 2, "has no obj-m"),
    "a Kbuild of comments before it": (lambda tree: (tree.module / "Kbuild").write_text("# none\n"), 2, "Kbuild has no obj-m"),
    "no Makefile": (lambda tree: (tree.module / "Makefile").unlink(), 2, "there is no Kbuild and no Makefile"),
    "a symbol that is not set": (_unset, 2, "asks for CONFIG_NOVA_CORE, not set in this kernel"),
    "a symbol that is built in": (_build_in, 2, "its objects are part of the kernel"),
    "no root of the core crate": (lambda tree: (tree.srctree / "rust/kernel/lib.rs").unlink(), 1, "rust/kernel/lib.rs is gone"),
    "no Makefile for the last step": (lambda tree: (tree.srctree / "scripts/Makefile.modfinal").unlink(), 2, "it is gone or empty"),
    "an empty Makefile of Kbuild": (lambda tree: (tree.srctree / "scripts/Makefile.build").write_text(""), 2, "it is gone or empty"),
    "a configuration of the future": (_date_ahead, 1, "in the future: syncconfig runs again and again, and make never ends"),
    "a configuration from before 1970": (
        lambda tree: os.utime(tree.objtree / ".config", (-(10**8), -(10**8))), 1, "before 1970, which make takes for the far future",
    ),
    "a configuration that was cut off": (
        lambda tree: os.truncate(tree.objtree / "include/config/auto.conf", 95), 1, "is damaged or cut off",
    ),
    "a configuration without its last bytes": (
        lambda tree: os.truncate(tree.objtree / "include/config/auto.conf", (tree.objtree / "include/config/auto.conf").stat().st_size - 3),
        1, "is damaged or cut off",
    ),
    "an emptied header of the configuration": (
        lambda tree: _keep_time(tree.objtree / "include/generated/autoconf.h", b""), 1, "0 in autoconf.h",
    ),
    "an emptied list for rustc": (
        lambda tree: _keep_time(tree.objtree / "include/generated/rustc_cfg", b""), 1, "0 in rustc_cfg",
    ),
    "a list for rustc that lost its end": (
        lambda tree: os.truncate(tree.objtree / "include/generated/rustc_cfg", 200), 1, "is damaged or cut off",
    ),
    "an empty release": (
        lambda tree: _keep_time(tree.objtree / "include/generated/utsrelease.h", b""), 1, "is empty and does not name",
    ),
    "a list of symbols of zeros": (
        lambda tree: (tree.objtree / "Module.symvers").write_bytes(bytes(50)), 2, "is no list of symbols",
    ),
    "a configuration that was put back with its time": (_put_back, 1, "CONFIG_64BIT: y → n"),
    "a linker script of zeros": (
        lambda tree: _keep_time(tree.objtree / "scripts/module.lds", bytes(50)), 1, "links with rubbish",
    ),
    "an empty linker script": (
        lambda tree: _keep_time(tree.objtree / "scripts/module.lds", b""), 1, "it is empty",
    ),
    "an empty target": (
        lambda tree: _keep_time(tree.objtree / "scripts/target.json", b""), 1, "it is empty",
    ),
    "a folder in place of .config": (_mount_nothing, 2, "is a folder, so Kbuild cannot bring this tree up to date"),
    "a tool that may not be run": (lambda tree: (tree.objtree / "scripts/basic/fixdep").chmod(0o644), 1, "nobody may run it"),
    "a tool of zeros": (
        lambda tree: _keep_time(tree.objtree / "scripts/mod/modpost", bytes(500)), 1, "is damaged",
    ),
    "a tool for another machine": (
        lambda tree: _keep_time(tree.objtree / "scripts/mod/modpost", foreign_program()), 1, "was built for another machine",
    ),
    "a tool without its loader": (
        lambda tree: _keep_time(tree.objtree / "scripts/basic/fixdep", b"#!/nonexistent/sh\n"), 1,
        "fixdep wants /nonexistent/sh, which is not there",
    ),
    "an empty list of objects": (
        lambda tree: _keep_time(tree.module / "nova-core.mod", b""), 1, "nova-core.mod, cannot be used: it is empty",
    ),
    "an empty list of modules": (
        lambda tree: _keep_time(tree.module / "modules.order", b""), 1, "modules.order, cannot be used: it is empty",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", UNUSABLE)
def test_what_is_there_and_cannot_be_used_is_not_fresh(case: str, tree: Miniature, kdeps: RunKdeps) -> None:
    """A folder where make builds nothing, files that a crash or a full disk left: make fails, or says nothing."""
    change, status, words = UNUSABLE[case]
    change(tree)
    done = kdeps(tree, "check", M)
    assert (done.returncode, words in done.stdout) == (status, True), done.stdout


def test_a_list_of_empty_lists_is_empty(tree: Miniature, kdeps: RunKdeps) -> None:
    """Folders in which nothing is configured, as most below drivers/gpu/drm."""
    tree.append(f"{MODULE}/Makefile", "obj-y += above/\n")
    tree.edit(f"{MODULE}/above/Makefile", "obj-y += below/\n")
    tree.edit(f"{MODULE}/above/below/Makefile", "obj-$(CONFIG_NONE) += none.o\n")
    tree.make(M)
    assert (tree.module / "above/modules.order").read_bytes() == b""
    done = kdeps(tree, "check", M)
    assert done.returncode == 0, done.stdout


def test_a_symbol_on_the_command_line_is_set(tree: Miniature, kdeps: RunKdeps) -> None:
    """An external module's own symbol is in no configuration."""
    _unset(tree)
    assert kdeps(tree, "check", M, "CONFIG_NOVA_CORE=m").returncode == 0


@pytest.mark.parametrize("module", ["Rust", "C", ""])
def test_crates_that_are_left_over_without_rust(module: str, tree: Miniature, kdeps: RunKdeps) -> None:
    """CONFIG_RUST is switched off by make itself where no rustc fits: nothing builds the crates from then on."""
    tree.set_config(RUST="n")
    tree.make("modules_prepare")
    assert tree.kernel_answer("modules_prepare") == []
    tree.touch("rust/kernel/io.rs")
    words = [M] if module == "Rust" else []
    if module == "C":
        tree.edit(tree.root / "c/Kbuild", "obj-m := c.o\n")
        tree.edit(tree.root / "c/c.c", "#include <linux/types.h>\nint f(void) {\n")
        words = [f"M={tree.root}/c"]
    verdict = judged(kdeps, tree, *words)
    assert verdict["verdict"] == ("unknown" if module == "Rust" else "fresh")
    assert (kinds(verdict) == ["file-without-record"]) == (module == "Rust")


def test_a_folder_that_is_not_clean_is_told(tree: Miniature, kdeps: RunKdeps, tmp_path: Path) -> None:
    """With MO= make stops where the module was built in its own folder."""
    words = (M, f"MO={tmp_path}/objects")
    (tmp_path / "objects").mkdir()
    done = kdeps(tree, "check", *words)
    assert (done.returncode, "left over of a build without MO=" in done.stdout) == (2, True), done.stdout
    assert tree.make(*words, check=False).returncode != 0
    tree.make(M, "clean")
    assert kdeps(tree, "check", *words).returncode == 0
    tree.make(*words)
    assert kdeps(tree, "check", *words).returncode == 0
