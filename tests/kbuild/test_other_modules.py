# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Modules that read what other ``make M=…`` builds made: crates, and lists of symbols."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from kdeps.kbuild.rules import read_rules
from kdeps.kbuild.tree import find_tree
from tests.conftest import RunKdeps
from tests.support.miniature import MODULE, Miniature
from tests.support.program import run_text


@pytest.fixture
def lib(tree: Miniature) -> Path:
    """A module whose crate another one uses, and a third module whose symbols that one is given."""
    root = tree.external.parent
    symbols, lib, user = (root / name for name in ("symbols", "clib", "user"))
    for folder in (symbols, lib, user):
        folder.mkdir()
    (symbols / "Kbuild").write_text("obj-m := sym.o\n")
    (symbols / "sym.rs").write_text("pub fn sym() {}\n")
    (lib / "Kbuild").write_text("obj-m := clib.o\nRUSTFLAGS_clib.o := --emit=metadata=$(obj)/libclib.rmeta\n")
    (lib / "clib.rs").write_text("mod part;\npub fn clib() {}\n")
    (lib / "part.rs").write_text("pub fn part() {}\n")
    (user / "Kbuild").write_text(
        f"obj-m := user.o\nRUSTFLAGS_user.o := -L {lib} --extern clib={lib}/libclib.rmeta\n"
    )
    (user / "user.rs").write_text("use clib::clib;\n")
    for folder in (symbols, lib):
        tree.make(f"M={folder}")
    tree.make(*words(tree))
    return lib


def words(tree: Miniature) -> tuple[str, str]:
    root = tree.external.parent
    return f"M={root / 'user'}", f"KBUILD_EXTRA_SYMBOLS={root / 'symbols'}/Module.symvers"


def check(kdeps: RunKdeps, tree: Miniature) -> tuple[int, str]:
    said = kdeps(tree, "check", *words(tree))
    return said.returncode, said.stdout


def test_a_module_that_reads_others_is_fresh_when_they_are(
    lib: Path, tree: Miniature, kdeps: RunKdeps
) -> None:
    """Reading their records raises no alarm."""
    assert lib.is_dir()
    status, said = check(kdeps, tree)
    assert status == 0, said


def test_a_command_of_another_module_runs_where_make_stood(lib: Path, tree: Miniature) -> None:
    """Its names are relative to that folder: that of its own output from 6.13 on, and not of the module that reads it."""
    found = find_tree((*tree.tree_args, *words(tree)), str(tree.srctree), tree.environment())
    places = {rule.config_dir for rule in read_rules(found).rules if rule.target.startswith(f"{lib}/")}
    assert places == {str(lib) if found.version >= (6, 13) else str(tree.objtree)}


def test_an_edited_crate_of_another_module_is_stale(lib: Path, tree: Miniature, kdeps: RunKdeps) -> None:
    """make M=user uses the old metadata; the chain and the build that has to come first are printed."""
    tree.append(lib / "part.rs", "pub fn more() {}\n")
    assert "user.o" not in tree.rebuilds(*words(tree))
    status, said = check(kdeps, tree)
    assert status == 1, said
    assert "part.rs" in said
    assert "crate `clib`" in said
    assert f"M={lib}" in said[: said.rindex("make")], "the other module is built first"


def test_kdeps_make_builds_the_other_module_first(lib: Path, tree: Miniature, kdeps: RunKdeps) -> None:
    """Then the module is built on the new crate."""
    tree.append(lib / "part.rs", "pub fn inlined_marker() {}\n")
    said = kdeps(tree, "make", *words(tree))
    assert said.returncode == 0, said.stderr
    assert "inlined_marker" in (lib.parent / "user/user.o").read_text()
    assert check(kdeps, tree)[0] == 0


def test_a_changed_command_of_another_module_is_found_where_kbuild_is_asked(
    lib: Path, tree: Miniature, kdeps: RunKdeps
) -> None:
    """Its own make would build the crate anew; make M=user never looks, and neither do the records."""
    assert kdeps(tree, "check", "--exact", *words(tree)).returncode == 0
    assert kdeps(tree, "make", "--on-stale=fail", *words(tree)).returncode == 0
    for flag in ("FOO", "BAR"):  # the second time, what Kbuild has confirmed must not count any more
        tree.append(lib / "Kbuild", f"rustflags-y += --cfg={flag}\n")
        exact = kdeps(tree, "check", "--exact", *words(tree))
        assert (exact.returncode, f"M={lib}" in exact.stdout) == (1, True), exact.stdout
        assert kdeps(tree, "make", "--on-stale=fail", *words(tree)).returncode == 1
        said = kdeps(tree, "make", *words(tree))
        assert said.returncode == 0, said.stderr
        assert f"--cfg={flag}" in (lib / ".clib.o.cmd").read_text()
        assert "clib.o" not in tree.rebuilds(f"M={lib}")
        assert kdeps(tree, "check", "--exact", *words(tree)).returncode == 0


def test_another_module_that_was_built_by_other_words_is_fresh(
    lib: Path, tree: Miniature, kdeps: RunKdeps
) -> None:
    """What its own build was given is not this one's; only a changed Makefile changes its commands."""
    tree.append(lib / "Kbuild", "rustflags-$(FEATURE) += --cfg=FEATURE\n")
    tree.make(f"M={lib}", "FEATURE=y", "KBUILD_MODPOST_WARN=1")
    tree.make(*words(tree))
    assert "--cfg=FEATURE" in (lib / ".clib.o.cmd").read_text()
    exact = kdeps(tree, "check", "--exact", *words(tree))
    assert exact.returncode == 0, exact.stdout
    assert kdeps(tree, "make", "--on-stale=fail", *words(tree)).returncode == 0


def test_a_makefile_of_another_module_that_stops_make_is_no_alarm_of_make(
    lib: Path, tree: Miniature, kdeps: RunKdeps
) -> None:
    """It wants a word that only its own build is given: --exact cannot tell, and kdeps make goes on."""
    tree.append(lib / "Kbuild", "$(if $(FEATURE),,$(error FEATURE is not given))\n")
    exact = kdeps(tree, "check", "--exact", *words(tree))
    assert (exact.returncode, "FEATURE is not given" in exact.stdout) == (2, True), exact.stdout
    assert kdeps(tree, "make", "--on-stale=fail", *words(tree)).returncode == 0


def test_an_old_list_of_symbols_is_stale(lib: Path, tree: Miniature, kdeps: RunKdeps) -> None:
    """The list is older than the sources of its module, and no prerequisite of anything."""
    symbols = lib.parent / "symbols"
    tree.append(symbols / "sym.rs", "pub fn more() {}\n")
    status, said = check(kdeps, tree)
    assert (status, "sym.rs" in said, f"M={symbols}" in said) == (1, True, True), said
    assert kdeps(tree, "make", *words(tree)).returncode == 0
    assert check(kdeps, tree)[0] == 0


@pytest.mark.parametrize("content", [None, "", "\0" * 400], ids=["gone", "empty", "zeroed"])
def test_a_crate_whose_record_is_lost_is_no_plain_file(
    lib: Path, tree: Miniature, kdeps: RunKdeps, content: str | None
) -> None:
    """What it was made from is not known any more; its own build makes it, and the record, again."""
    record = lib / ".clib.o.cmd"
    record.unlink()
    if content is not None:
        record.write_text(content)
    status, said = check(kdeps, tree)
    assert (status, "clib" in said) == (1, True)
    assert kdeps(tree, "make", *words(tree)).returncode == 0
    assert check(kdeps, tree)[0] == 0


def test_a_crate_that_is_gone_with_its_record_is_unknown(lib: Path, tree: Miniature, kdeps: RunKdeps) -> None:
    """What made it is not known any more: the file is named."""
    for path in lib.iterdir():
        if path.suffix not in (".rs", "") or path.name.startswith("."):
            path.unlink()
    status, said = check(kdeps, tree)
    assert (status, "libclib.rmeta" in said) == (2, True), said


def test_paste_what_check_prints(lib: Path, tree: Miniature, kdeps: RunKdeps) -> None:
    """The commands, pasted one after the other, leave nothing stale."""
    tree.append(lib / "part.rs", "pub fn more() {}\n")
    said = check(kdeps, tree)[1]
    commands = [line.strip() for line in said.splitlines() if line.startswith("    ")]
    subprocess.run(
        ["sh", "-ec", "\n".join(commands)],
        cwd=tree.srctree,
        env=tree.environment(),
        check=True,
        capture_output=True,
    )
    assert check(kdeps, tree)[0] == 0, commands


def test_json_says_whose_a_stale_step_is(lib: Path, tree: Miniature, kdeps: RunKdeps) -> None:
    """Steps of another module have a scope of their own."""
    tree.append(lib / "part.rs", "pub fn more() {}\n")
    found = json.loads(kdeps(tree, "check", "--format=json", *words(tree)).stdout)
    scopes = {state["target"]: state["scope"] for state in found["stale"]}
    assert scopes[str(lib / "clib.o")] == "other"


def test_another_kernel_is_no_module(tree: Miniature) -> None:
    """A module that was last built for one kernel and is judged for another: the first one is never built from here."""
    tree.make("all")
    tree.make(f"M={MODULE}")
    other = tree.root / "other"
    shutil.copytree(tree.objtree, other, symlinks=True)
    tree.edit(other / "Module.symvers", (other / "Module.symvers").read_text())
    done = run_text(("check", f"O={other}", f"M={MODULE}"), cwd=tree.srctree, env=tree.environment())
    assert f"{tree.objtree.name}/Module.symvers is older" not in done.stdout
    assert f"MO={tree.objtree}" not in done.stdout


def test_a_module_that_was_cleaned_is_built_first(lib: Path, tree: Miniature, kdeps: RunKdeps) -> None:
    """Without its list modpost would only warn."""
    symbols = lib.parent / "symbols"
    tree.make(f"M={symbols}", "clean")
    assert check(kdeps, tree)[0] == 1
    assert kdeps(tree, "make", *words(tree)).returncode == 0
    assert (symbols / "Module.symvers").exists()
    assert check(kdeps, tree)[0] == 0


def test_modules_that_share_one_list_come_to_rest(tree: Miniature, kdeps: RunKdeps) -> None:
    """Each is given the symbols of all, its own among them: whichever is built last has the newest list."""
    folders = [tree.external.parent / name for name in ("one", "two", "three")]
    symbols = "KBUILD_EXTRA_SYMBOLS=" + " ".join(f"{folder}/Module.symvers" for folder in folders)
    for folder in folders:
        folder.mkdir()
        (folder / "Kbuild").write_text(f"obj-m := {folder.name}.o\n")
        (folder / f"{folder.name}.rs").write_text("pub fn f() {}\n")
    for _ in range(2):
        for folder in folders:
            tree.make(f"M={folder}", symbols)
    for folder in (*folders, *folders):
        assert kdeps(tree, "make", f"M={folder}", symbols).returncode == 0
    for folder in folders:
        done = kdeps(tree, "check", f"M={folder}", symbols)
        assert (done.returncode, done.stdout.count("stale")) == (0, 1), (
            done.stdout
        )  # "no stale kernel artifact"
    tree.append(folders[1] / "two.rs", "pub fn g() {}\n")
    done = kdeps(tree, "check", f"M={folders[0]}", symbols)
    assert (done.returncode, "two.rs" in done.stdout) == (1, True), done.stdout


@pytest.fixture
def symbols(lib: Path) -> Path:
    """The list of symbols that the module is given."""
    return lib.parent / "symbols/Module.symvers"


def test_a_link_to_an_old_list_of_symbols_is_stale(symbols: Path, tree: Miniature, kdeps: RunKdeps) -> None:
    """The records are where the link leads to."""
    link = symbols.parents[1] / "user/extra.symvers"
    link.symlink_to(symbols)
    given = (words(tree)[0], f"KBUILD_EXTRA_SYMBOLS={link}")
    tree.make(*given)
    assert kdeps(tree, "check", *given).returncode == 0
    tree.append(symbols.parent / "sym.rs", "pub fn more() {}\n")
    said = kdeps(tree, "check", *given)
    assert (said.returncode, "sym.rs" in said.stdout) == (1, True), said.stdout


@pytest.mark.parametrize("is_built", [True, False])
def test_an_old_list_that_no_record_has_yet_is_stale(
    is_built: bool, symbols: Path, tree: Miniature, kdeps: RunKdeps
) -> None:
    """The user names it for the first time, or the module was never built: modpost would read the old one."""
    user = symbols.parents[1] / "user"
    if is_built:
        tree.make(words(tree)[0])
    else:
        for path in (
            *user.glob(".*.cmd"),
            *user.glob("*.o"),
            *user.glob("*.ko"),
            *user.glob("*.mod*"),
            user / "Module.symvers",
        ):
            path.unlink(missing_ok=True)  # fmt: skip
        (user / "modules.order").unlink()
    assert check(kdeps, tree)[0] == 0
    tree.append(symbols.parent / "sym.rs", "pub fn more() {}\n")
    status, said = check(kdeps, tree)
    assert (status, "sym.rs" in said) == (1, True), said


def test_an_old_list_without_a_record_is_told(symbols: Path, tree: Miniature, kdeps: RunKdeps) -> None:
    """A module whose sources came without records shows only by its times."""
    for record in symbols.parent.glob(".*.cmd"):
        record.unlink()
    assert "old-symvers" not in check(kdeps, tree)[1]
    tree.append(symbols.parent / "sym.rs", "pub fn more() {}\n")
    status, said = check(kdeps, tree)
    assert (status, "Module.symvers is older than sym.rs beside it" in said) == (0, True), said


GOOD = b"0x12345678\tsym\tsym\tEXPORT_SYMBOL_GPL\t\n"


@pytest.mark.parametrize(
    "data", [GOOD + b"0x12\tfoo", GOOD + bytes(50), bytes(100), b"\x7fELF\n", GOOD + b"\n" + GOOD]
)
def test_a_garbled_list_of_symbols_is_unknown(data: bytes, symbols: Path, tree: Miniature, kdeps: RunKdeps) -> None:  # fmt: skip
    """modpost would stop at it, or take its first half for all of it."""
    before = symbols.stat()
    for text, status in ((GOOD, 0), (data, 2)):
        symbols.write_bytes(text)
        os.utime(symbols, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert check(kdeps, tree)[0] == status


def test_a_list_that_is_not_there_is_told(tree: Miniature, kdeps: RunKdeps, tmp_path: Path) -> None:
    """modpost stops where it cannot open one."""
    done = kdeps(tree, "check", f"M={MODULE}", f"KBUILD_EXTRA_SYMBOLS={tmp_path}/Module.symvers")
    assert (done.returncode, "modpost stops without it" in done.stdout) == (2, True), done.stdout
