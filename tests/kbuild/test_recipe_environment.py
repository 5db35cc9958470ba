# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The environment of a recipe is what make exports, and a recipe is one however its lines begin."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from kdeps.kbuild.outer_make import OuterMake, ask_make

TELL = 'all:\n\t@echo "$$KD"\n'
"""What a recipe sees, for make itself to say."""
BUILD = "obj-m := a.o\nall:\n\tmake -C $$KD M=$(CURDIR)\n"
MAKEFILES = [
    "",
    "KD := kernel\n",
    "KD ?= kernel\n",
    "export KD := kernel\n",
    "KD := kernel\nexport KD\n",
    "export\nKD := kernel\n",
    "LIST := KD\nKD := kernel\nexport $(LIST)\n",
    "override KD := kernel\n",
    ".EXPORT_ALL_VARIABLES:\nKD := kernel\n",
    "define KD\nkernel\nendef\n",
    "all: KD := kernel\n",
    "all: export KD := kernel\n",
    "KD := kernel\nunexport KD\n",
    "undefine KD\n",
    "OTHER := kernel\n",
]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A module's folder, with two kernels in it."""
    for name in ("kernel", "other", "sub"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "Makefile").write_text("VERSION = 6\nPATCHLEVEL = 18\n")
    return tmp_path


def ask(here: Path, makefile: str, *words: str, **environ: str) -> OuterMake:
    (here / "Makefile").write_text(makefile)
    return ask_make(words, str(here), {"PATH": os.environ["PATH"], **environ})


@pytest.mark.parametrize("words", [(), ("KD=other",)], ids=str)
@pytest.mark.parametrize("given", ["", "other"])
@pytest.mark.parametrize("makefile", MAKEFILES)
def test_a_recipe_sees_what_make_exports(
    makefile: str, given: str, words: tuple[str, ...], here: Path
) -> None:
    """make itself is asked what it exports: a variable of the environment is, with the value of the Makefile."""
    environ = {"KD": given} if given else {}
    (here / "Makefile").write_text(makefile + TELL)
    seen = subprocess.run(
        ["make", "-s", *words], cwd=here, env={"PATH": os.environ["PATH"], **environ}, capture_output=True, check=True, text=True
    ).stdout.strip()  # fmt: skip
    answer = ask(here, makefile + BUILD, *words, **environ)
    if seen:
        assert [make[:2] for make in answer.kernel_makes] == [("-C", str(here / seen))], answer
    else:
        assert "only the shell knows `$KD`" in answer.unclear


@pytest.mark.parametrize(
    ("export", "kernel"),
    [
        ("export KD := ../kernel\n", "kernel"),
        ("KD := ../kernel\n", "kernel"),
        ("unexport KD\n", "sub/none"),
        ("", "other"),
    ],
)
def test_another_makefile_sees_it_as_well(export: str, kernel: str, here: Path) -> None:
    (here / "sub" / "Makefile").write_text("KD ?= none\nall:\n\t$(MAKE) -C $(KD) M=$(CURDIR)\n")
    answer = ask(here, f"{export}all:\n\t$(MAKE) -C sub\n", KD="../other")
    assert answer.unclear == ""
    assert [make[:2] for make in answer.kernel_makes] == [("-C", str(here / kernel))]


def test_another_makefile_sees_what_the_shell_exports(here: Path) -> None:
    (here / "sub" / "Makefile").write_text("KD ?= none\nall:\n\t$(MAKE) -C $(KD) M=$(CURDIR)\n")
    for line in ("export KD=../kernel; $(MAKE) -C sub", "KD=../kernel $(MAKE) -C sub"):
        answer = ask(here, f"all:\n\t{line}\n")
        assert [make[:2] for make in answer.kernel_makes] == [("-C", str(here / "kernel"))]
    answer = ask(here, "all:\n\texport KD=$$(cat x); $(MAKE) -C sub\n")
    assert "only the shell knows" in answer.unclear


@pytest.mark.parametrize(
    "line",
    ["unset KD; make", "env -u KD make", "env -uKD make", "env --unset=KD make", "env -i PATH=$(PATH) make"],
)
def test_another_makefile_does_not_see_what_is_taken_away(line: str, here: Path) -> None:
    """Only that Makefile knows what it uses instead."""
    (here / "sub" / "Makefile").write_text("KD ?= none\nall:\n\t$(MAKE) -C $(KD) M=$(CURDIR)\n")
    answer = ask(here, f"all:\n\t{line} -C sub\n", KD="../other")
    assert "only the shell knows" in answer.unclear


def test_what_make_reads_first_of_all_is_read(here: Path) -> None:
    (here / "first.mk").write_text("KD := ../kernel\n")
    (here / "sub" / "Makefile").write_text("KD ?= none\nall:\n\t$(MAKE) -C $(KD) M=$(CURDIR)\n")
    answer = ask(here, "export MAKEFILES := $(CURDIR)/first.mk\nall:\n\t$(MAKE) -C sub\n")
    assert [make[:2] for make in answer.kernel_makes] == [("-C", str(here / "kernel"))]


@pytest.mark.parametrize(
    "makefile",
    [
        ".RECIPEPREFIX = >\nall:\n>make -C kernel M=$(CURDIR)\n",
        ".RECIPEPREFIX = >\nall:\n> @make -C kernel \\\n>   M=$(CURDIR)\n.RECIPEPREFIX =\nb:\n\ttrue\n",
        "a:\n\ttrue\n.RECIPEPREFIX = >\nall: a\n>make -C kernel M=$(CURDIR)\n.DEFAULT_GOAL := all\n",
        ".RECIPEPREFIX := $(subst ,, ) #\nall:\n make -C kernel M=$(CURDIR)\n",
    ],
)
def test_a_recipe_may_begin_with_another_character(makefile: str, here: Path) -> None:
    answer = ask(here, makefile)
    assert [make[:2] for make in answer.kernel_makes] == [("-C", str(here / "kernel"))]


@pytest.mark.parametrize(
    "recipe",
    [
        ". ./build.sh", "source build.sh", "cd . && . ./build.sh", "$(CURDIR)/build.sh", "sudo ./build.sh",
        "nice -n 5 ./build.sh", "python3 build.py", "bash < build.sh", "eval \"$$(cat build.sh)\"", "test -d x || ./build.sh",
        "if true; then sh build.sh; fi",
    ],
)  # fmt: skip
def test_a_script_may_build_the_module(recipe: str, here: Path) -> None:
    """Whatever runs it: where it is a module's Makefile, what is not read is not understood."""
    assert "may call make itself" in ask(here, f"obj-m := a.o\nall:\n\t{recipe}\n").unclear
    assert ask(here, f"all:\n\t{recipe}\n").unclear == "", "no module is here"


def test_a_recipe_of_no_shell_is_not_read(here: Path) -> None:
    answer = ask(
        here,
        ".ONESHELL:\nSHELL := /usr/bin/python3\nobj-m := a.o\nall:\n\timport os\n\tos.system('make -C kernel M=x')\n",
    )
    assert "/usr/bin/python3" in answer.unclear


@pytest.mark.parametrize(
    "recipe",
    [
        "k=kernel; test -d x && k=other; make -C $$k M=$(CURDIR)",
        "cd kernel || cd other; make M=$(CURDIR)",
        "test -d x && export ARCH=arm64; make -C kernel M=$(CURDIR)",
    ],
)
def test_more_than_one_way_is_not_understood(recipe: str, here: Path) -> None:
    answer = ask(here, f"obj-m := a.o\nall:\n\t{recipe}\n")
    assert "only the shell knows whether it runs `make " in answer.unclear


def test_two_ways_to_one_kernel_are_one(here: Path) -> None:
    """What the shell decides besides matters to nobody; and a program that is no kernel is of no interest."""
    for recipe in (
        "test -d x && cd sub; make -C $(CURDIR)/kernel M=$(CURDIR)",
        "k=kernel; test -d x && k=$(CURDIR)/kernel; make -C $$k M=$(CURDIR)",
        "t=tool; test -d x && t=tool2; make -C $$t; make -C kernel M=$(CURDIR)",
    ):
        answer = ask(here, f"obj-m := a.o\nall:\n\t{recipe}\n")
        assert (answer.unclear, len(answer.kernel_makes)) == ("", 1), recipe


@pytest.mark.parametrize("name", ["CC", "RUSTC", "LD", "O", "MO"])
def test_a_kernel_does_not_read_all_of_its_environment(name: str, here: Path) -> None:
    """Its Makefile assigns the tools, and takes O= and MO= from its arguments alone."""
    for makefile in (f"export {name} := x\n", f"{name} := x\n"):
        answer = ask(here, f"{makefile}all:\n\tmake -C kernel M=$(CURDIR)\n", **{name: "y"})
        assert answer.kernel_makes == (("-C", str(here / "kernel"), f"M={here}"),)
    answer = ask(here, f"all:\n\tmake -C kernel M=$(CURDIR) {name}=x\n")
    assert f"{name}=x" in answer.kernel_makes[0]
