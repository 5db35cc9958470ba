# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Slips of the hand: one line says what was meant and what to type, and nothing is called fresh."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from kdeps.formats.makeargs import parse_make_args
from kdeps.kbuild.slips import find_slip, find_slip_of_make
from kdeps.kbuild.suggest import did_you_mean, suggest_folder
from tests.conftest import CHECKOUT, RunKdeps
from tests.support.miniature import MODULE, Miniature
from tests.support.program import run_text

M = f"M={MODULE}"
TYPO = MODULE[:-1]


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ((MODULE,), f"did you mean `M={MODULE}`?"),
        ((f"{MODULE}/",), f"did you mean `M={MODULE}`?"),
        ((TYPO,), f"did you mean `M={MODULE}`?"),
        ((f"{MODULE}/nova_core.rs",), f"did you mean `M={MODULE}`?"),
        ((f"m={MODULE}",), f"did you mean `M={MODULE}`?"),
        ((f"kbuild_extmod={MODULE}",), f"did you mean `KBUILD_EXTMOD={MODULE}`?"),
        (("M", "=", MODULE), f"did you mean `M={MODULE}`?"),
        (("M=", MODULE), f"did you mean `M={MODULE}`?"),
        (("M", f"={MODULE}"), "write NAME=VALUE as one word"),
        ((f"SUBDIRS={MODULE}",), f"did you mean `M={MODULE}`?"),
        ((f"M={TYPO}",), f"did you mean `M={MODULE}`?"),
        (("M=.",), "the kernel's own tree and no module"),
        (("M=rust",), "the kernel's core and no module"),
        (("M=rust/kernel",), "the kernel's core and no module"),
        ((M, "M=samples/rust"), "make takes the last one only"),
        (("-o", "out.json", M), "did you mean `> out.json` or `O=out.json`?"),
        (("-f", "json", M), "did you mean `--format=json`?"),
        (("-fsarif", M), "did you mean `--format=sarif`?"),
        (("-f", "makefile.mk", M), "there is no such Makefile"),
        (("nova_cor.o", M), "nothing in the module's folder is compiled to it"),
        (("sub/other.ko", M), "nothing in the module's folder is compiled to it"),
        (("-v", M), "did you mean `kdeps --version`"),
        (("-q", M), "for the exit status alone"),
        ((f"-M={MODULE}",), f"did you mean `M={MODULE}`?"),
        (("-x", M), "neither make nor kdeps has this option"),
        (("-M", MODULE), f"did you mean `M={MODULE}`?"),
        ((f"--M={MODULE}",), f"did you mean `M={MODULE}`?"),
        ((f"M={MODULE}/nova_core.rs",), f"did you mean `M={MODULE}`?"),
        (("M=",), "it names no folder"),
        ((f"MODULE={MODULE}",), f"did you mean `M={MODULE}`?"),
        ((f"DIR=./{MODULE}",), f"did you mean `M=./{MODULE}`?"),
        ((M, "samples/rust"), "with `M=samples/rust`"),
        ((f"-j4{M}",), f"did you mean `-j4 {M}`?"),
        (("-jk", M), "make wants a number behind -j"),
        (("--output=report", M), "did you mean `> report`?"),
        (("nova-core",), "a module is named with `M=FOLDER`"),
        (("nova_core.rs", M), "did you mean `kdeps why nova_core.rs`?"),
        (("nova-core", M), "neither the kernel's Makefile nor kdeps knows such a goal"),
        (("module", M), "did you mean `modules`?"),
        (("modules_prepar", M), "did you mean `modules_prepare`?"),
        (("source", M), "neither the kernel's Makefile nor kdeps knows such a goal"),
        (("samples/other", M), "neither the kernel's Makefile nor kdeps knows such a goal"),
        (("0=../build", M), "did you mean `O=../build`?"),
        (("LLVN=1", M), "did you mean `LLVM=1`?"),
        (("CORSS_COMPILE=x-", M), "did you mean `CROSS_COMPILE=x-`?"),
        (("KCFLAG=-g", M), "did you mean `KCFLAGS=-g`?"),
        ((M, "--", "--format=json"), "behind `--` every word is make's"),
        (("\N{EN DASH}format=json", M), "did you mean `--format=json`?"),
        ((f'"{M}"',), f"its quotes are part of the word; did you mean `{M}`?"),
        ((f"\N{LEFT DOUBLE QUOTATION MARK}{M}\N{RIGHT DOUBLE QUOTATION MARK}",), f"did you mean `{M}`?"),
        (("MO=../objects",), "no `M=FOLDER` names the module"),
        (("-t", M), "did you mean `kdeps settle`"),
        (("--touch", M), "did you mean `kdeps settle`"),
        (("clean",), "it compiles nothing, so nothing is judged"),
        (("defconfig",), "it compiles nothing, so nothing is judged"),
        ((M, "clean"), "it compiles nothing, so nothing is judged"),
    ],
)
def test_a_slip_gets_one_line_and_status_2(
    words: tuple[str, ...], meant: str, tree: Miniature, kdeps: RunKdeps
) -> None:
    """The line names the word as it was typed, and what to type instead."""
    done = kdeps(tree, "check", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert meant in done.stderr


@pytest.mark.parametrize(
    ("command", "names"),
    [("ci", ()), ("explain", ()), ("graph", ()), ("loaded", ()), ("ninja", ()), ("settle", ()), ("watch", ()), ("doctor", ()),
     ("why", ("kernel",)), ("affected", ("rust/kernel/io.rs",))],
)  # fmt: skip
@pytest.mark.parametrize("word", [f"m={MODULE}", "-q", f"--M={MODULE}"])
def test_every_command_refuses_a_slip(
    command: str, names: tuple[str, ...], word: str, tree: Miniature
) -> None:
    """What ``check`` refuses, no other command takes for something else."""
    done = _kdeps(tree, command, f"O={tree.objtree}", *names, word)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


@pytest.mark.parametrize(
    ("word", "meant"), [("llvm=1", "LLVM=1"), ("o=/x", "O=/x"), ("kdir=/x", "KDIR=/x"), ("LLVN=1", "LLVM=1")]
)
def test_make_says_that_a_variable_is_misspelled(word: str, meant: str, tree: Miniature) -> None:
    """The build that make would run is not the one that was meant, so it is not checked, and refused under fail."""
    done = _kdeps(tree, "make", f"O={tree.objtree}", M, word, "--on-stale=fail")
    assert done.returncode == 1
    assert f"did you mean `{meant}`?" in done.stderr


def test_make_says_that_an_option_is_misspelled(tree: Miniature) -> None:
    """Before make prints its own fifty lines."""
    done = _kdeps(tree, "make", f"O={tree.objtree}", M, "--on-stael=fail")
    assert done.returncode == 2
    assert "--on-stael=fail: neither make nor kdeps has this option" in done.stderr


@pytest.mark.parametrize("words", [("-t", M), ("-st", M), ("--touch", M), ("-t",)])
def test_make_says_that_a_touch_builds_nothing(words: tuple[str, ...], tree: Miniature) -> None:
    """Afterwards no date tells what is stale."""
    done = _kdeps(tree, "make", f"O={tree.objtree}", *words, "--on-stale=fail")
    assert done.returncode == 1
    assert "make reads this as --touch" in done.stderr


def test_a_touch_of_a_program_is_of_no_interest(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("all:\n")
    assert find_slip_of_make(("-t",), str(tmp_path)) is None


def test_a_variable_that_the_modules_makefile_reads_is_no_slip(tree: Miniature) -> None:
    """It is spelled nearly as one of Kbuild's, but it is the module's own."""
    assert find_slip((M, "LLVMX=1"), str(tree.srctree)) is not None
    tree.append(f"{MODULE}/Makefile", "ccflags-$(LLVMX) += -DX\n")
    assert find_slip((M, "LLVMX=1"), str(tree.srctree)) is None


@pytest.mark.parametrize("word", ["newer-prerequisit", "samplez"])
def test_a_page_that_is_not_there_is_said(word: str, tree: Miniature) -> None:
    done = _kdeps(tree, "explain", word)
    assert done.returncode == 2
    assert "no page has that name" in done.stderr


@pytest.mark.parametrize(
    "word", ["KRUSTFLAGS=-Cdebuginfo=1", "KCFLAGS=-g", "RUSTFLAGS_nova_core.o=-g", "ccflags-y=-g", "W=1", "C=2", "CLIPPY=1", "CONFIG_X=m", "-e"]
)  # fmt: skip
def test_a_word_that_changes_commands_gets_a_note(word: str, tree: Miniature) -> None:
    """Records tell nothing of it; Kbuild, once asked, does."""
    words = (f"O={tree.objtree}", M, word)
    done = _kdeps(tree, "check", *words)
    assert f"note[command-changed]: {word} may change commands" in done.stdout
    assert "--exact" in done.stdout
    for quiet in (_kdeps(tree, "check", "--exact", *words), _kdeps(tree, "check", *words[:2], "V=1")):
        assert "may change commands" not in quiet.stdout


def test_a_typo_in_the_object_tree_is_shown(tree: Miniature) -> None:
    """``O=`` names no folder, but nearly one."""
    wrong = f"{tree.objtree}x"
    done = _kdeps(tree, "check", f"O={wrong}", M)
    assert done.returncode == 2
    assert f"did you mean `O={tree.objtree}`?" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        (M, "-j8"),
        (M, "-C.", "V=1"),
        ("modules",),
        ("clean", "modules"),
        (M, "modules_install"),
        ("-k", "-s", "modules_prepare"),
        (M, "nova_core.o"),
        (M, "nova_core.ko"),
        (M, "-f", "Makefile"),
        (M, "other.ko", "NAME=other"),
        (M, "KV=6.1", "MOD=x"),
    ],
)
def test_what_make_understands_is_no_slip(words: tuple[str, ...], tree: Miniature) -> None:
    """Goals, folders of ``-C`` and usual options stay what they are."""
    assert find_slip(words, str(tree.srctree)) is None
    assert find_slip_of_make(words, str(tree.srctree)) is None


def test_make_builds_a_folder_with_a_slash(tree: Miniature) -> None:
    """``make drivers/gpu/nova-core/`` is a build of make's own; without the slash make does nothing."""
    assert find_slip_of_make((f"{MODULE}/",), str(tree.srctree)) is None
    slip = find_slip_of_make((MODULE,), str(tree.srctree))
    assert slip is not None
    assert f"`M={MODULE}`" in slip


def test_a_command_is_asked_for(tree: Miniature) -> None:
    """``kdeps M=…`` names no command."""
    done = _kdeps(tree, M)
    assert done.returncode == 2
    assert f"did you mean `kdeps check {M}`" in done.stderr


@pytest.mark.parametrize(
    ("command", "option"),
    [("graph", "--output"), ("ninja", "--output"), ("graph", "--format=json")],
)
def test_options_are_taken_behind_the_words_of_make(
    command: str, option: str, tree: Miniature, tmp_path: Path
) -> None:
    """``kdeps graph M=… --output=FILE`` writes FILE; it was taken for an option of make, and nothing was written."""
    target = tmp_path / "out.json"
    words = [f"{option}={target}"] if option == "--output" else [option]
    done = _kdeps(tree, command, f"O={tree.objtree}", M, *words)
    assert done.returncode == 0, done.stderr
    text = target.read_text() if option == "--output" else done.stdout
    assert len(text) > 100
    if option != "--output":
        json.loads(text)


def test_options_of_check_and_make_are_taken_behind_the_words(tree: Miniature) -> None:
    """The two commands that go around click have the same grammar."""
    tree.touch("rust/kernel/io.rs")
    place = f"O={tree.objtree}"
    assert json.loads(_kdeps(tree, "check", place, M, "--format", "json").stdout)["verdict"] == "stale"
    for words in (("--on-stale=fail",), ("--on-stale", "fail"), ("--with=make", "--on-stale=fail")):
        done = _kdeps(tree, "make", place, M, *words)
        assert done.returncode == 1
        assert "make was not run" in done.stderr


def test_every_module_that_is_named_is_kept() -> None:
    """make takes the last; whoever judges one has to see that there were two."""
    args = parse_make_args(("M=a", "-so", "x", "M=b"))
    assert (args.modules, args.old_files, args.letters) == (("a", "b"), ("x",), "so")


def test_a_path_is_suggested_only_where_each_part_has_a_neighbour(tmp_path: Path) -> None:
    """Of a path that has nothing near it nothing is guessed."""
    (tmp_path / "drivers/gpu/nova-core").mkdir(parents=True)
    assert suggest_folder(f"{tmp_path}/driver/gpu/nova_core") == f"{tmp_path}/drivers/gpu/nova-core"
    assert suggest_folder(f"{tmp_path}/sound/soc") is None
    hint = did_you_mean("M", "drivers/gpu/nova", f"{tmp_path}/drivers/gpu/nova")
    assert hint in ("", "; did you mean `M=drivers/gpu/nova-core`?")


def _kdeps(tree: Miniature, *words: str) -> subprocess.CompletedProcess[str]:
    """Run kdeps with its words exactly in this order."""
    return run_text(
        words,
        cwd=tree.srctree,
        env=tree.environment({**{"PYTHONPATH": str(CHECKOUT)}, "HOME": os.environ.get("HOME", "/")}),
    )


def test_a_modules_own_makefile_may_read_any_variable(tree: Miniature, tmp_path: Path) -> None:
    """A variable is a slip only in a kernel's own folder, where kdeps knows what make reads."""
    (tmp_path / "Makefile").write_text("obj-m := hello.o\n")
    for value in (tree.srctree, tree.srctree / MODULE):
        assert find_slip((f"KERNEL_TREE={value}",), str(tmp_path)) is None
    assert find_slip((f"KERNEL_TREE={tree.srctree}",), str(tree.srctree)) is None


@pytest.mark.parametrize(
    "word",
    [
        "RUSTC=nice rustc",
        "RUSTC=TOOLS/rustc",
        "RUSTC=env A=1 rustc",
        "BINDGEN=TOOLS/bindgen",
        "RUST_LIB_SRC=TOOLS/library",
    ],
)
def test_a_tool_in_other_words_is_a_question_for_kbuild(word: str, tree: Miniature, kdeps: RunKdeps) -> None:
    """It is the same tool by its answer, and another command to Kbuild: `kdeps make` asks, `check` says that it did not."""
    word = word.replace("TOOLS", str(tree.toolchain / "bin"))
    library = next(tree.toolchain.rglob("core/src/lib.rs")).parents[2]
    shutil.copytree(library, tree.toolchain / "bin/library")
    done = kdeps(tree, "check", word, M)
    assert done.returncode == 0
    assert f"note[command-changed]: {word} may change commands" in done.stdout
    assert kdeps(tree, "check", "--exact", word, M).returncode == 1
    assert kdeps(tree, "make", "--on-stale=fail", word, M).returncode == 1


def test_tools_in_the_words_of_the_configuration_are_none(tree: Miniature, kdeps: RunKdeps) -> None:
    """Neither those that Kbuild takes anyway, nor those that the tree was built with."""
    library = next(tree.toolchain.rglob("core/src/lib.rs")).parents[2]
    for word in ("RUSTC=rustc", "CC=gcc", "BINDGEN=bindgen", f"RUST_LIB_SRC={library}"):
        assert "may change commands" not in kdeps(tree, "check", word, M).stdout
    other = "RUSTC=nice rustc"
    tree.make(other, "modules_prepare")
    tree.make(other, M)
    assert "may change commands" not in kdeps(tree, "check", other, M).stdout
