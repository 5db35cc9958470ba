# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Makefiles in odd shapes: kdeps finds the kernels that make really builds with, or names what it cannot follow."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from kdeps.formats.makeargs import parse_make_args, working_directory
from kdeps.kbuild.make_command import NotUnderstood, builds_something, read_requests
from kdeps.kbuild.outer_make import ask_make

KERNEL = 'VERSION = 6\nPATCHLEVEL = 18\nmodules %:\n\t@echo "$(CURDIR)" >> $(LOG)\nMakefile: ;\n'
B = "make -C ../kernel M=$(CURDIR)"
M = "obj-m := a.o\n"
BASH = f"SHELL := /bin/bash\n{M}"
SUB = "KD ?= ../../kernel\nall: ; make -C $(KD) M=$(CURDIR)\n"


class Case(NamedTuple):
    """A Makefile, and whether it is understood; if not, the reason."""

    name: str
    makefile: str
    unclear: str = ""
    files: tuple[tuple[str, str], ...] = ()
    environ: tuple[tuple[str, str], ...] = ()


CASES = (
    # -- a backslash at the end of a line ----------------------------------------------
    Case("it ends a comment behind a command", f"{M}all:\n\ttrue # say \\\n\t{B}\n"),
    Case("it ends a comment behind &&", f"{M}all:\n\ttrue && # say \\\n\t{B}\n"),
    Case("it ends a comment in an if", f"{M}all:\n\tif true; then # yes \\\n\t{B}; \\\n\tfi\n"),
    Case("it ends a comment line", f"{M}all:\n\t# say \\\n\t{B}\n"),
    Case("it joins the halves of a word", f"{M}all:\n\tma\\\n\tke -C ../ker\\\n\tnel M=$(CURDIR)\n"),
    Case("it is a backslash itself", f"{M}all:\n\techo a \\\\\n\t{B}\n"),
    Case("it stands in a call of make's", f"{M}all:\n\t$(if x,true # \\\n\t{B})\n"),
    Case("it stands behind a quote", f'{M}all:\n\techo "a # b"; \\\n\t{B}\n'),
    # -- rules ------------------------------------------------------------------------
    Case("two suffixes", f"{M}all: a.o\n.c.o:\n\t{B}\n", files=(("a.c", ""),)),
    Case("a suffix of its own", f".SUFFIXES: .x .ko\n{M}all: a.ko\n.x.ko:\n\t{B}\n", files=(("a.x", ""),)),
    Case("one suffix", f".SUFFIXES: .all\n{M}x:\n.all:\n\t{B}\n", files=(("x.all", ""),)),
    Case("no suffixes that make knows", f"{M}all: a.ko\n.x.ko:\n\t{B}\na.ko:\n", files=(("a.x", ""),)),
    Case("two patterns for one name", f"{M}all: a.ko\n%.ko: %.S\n\tmake -C ../other M=$(CURDIR)\n%.ko: %.c\n\t{B}\n", files=(("a.c", ""),)),
    Case("two names in a pattern", f"{M}all: a.ko\n%.ko %.mod: %.c\n\t{B}\n", files=(("a.c", ""),)),
    Case("a chain of patterns", f"{M}all: a.ko\n%.ko: %.o\n\ttrue\n%.o: %.c\n\t{B}\n", files=(("a.c", ""),)),
    Case("all that a target needs", f"{M}all: ../kernel ../other ../kernel\n\tfor k in $^; do make -C $$k M=$(CURDIR); done\n"),
    Case("what has to be there first", f"{M}all: | ../kernel\n\tmake -C $| M=$(CURDIR)\n"),
    Case("what is newer", f"{M}all: ../kernel\n\tmake -C $? M=$(CURDIR)\n"),
    Case("an export that is taken back", f"export KD := ../../kernel\nunexport KD\n{M}all:\n\tmake -C sub\n", files=(("sub/Makefile", "KD ?= ../../other\n" + SUB),)),
    Case("an export that is given again", f"unexport KD\nexport KD := ../../other\n{M}all:\n\tmake -C sub\n", files=(("sub/Makefile", SUB),)),
    Case("a search for make", f"{M}all:\n\tcommand -v make && {B}\n"),
    # -- Makefiles that make makes ------------------------------------------------------
    Case("an included file", f"include conf.mk\n{M}all: ; true\nconf.mk:\n\t{B} && touch $@\n", "make makes conf.mk"),
    Case("one that need not be there", f"-include conf.mk\n{M}all: ; true\nconf.mk:\n\t{B} && touch $@\n", "make makes conf.mk"),
    Case("one by a pattern", f"-include conf.mk\n{M}all: ; true\n%.mk:\n\t{B} && touch $@\n", "make makes conf.mk"),
    Case("one that says which kernel", f"-include conf.mk\nKD ?= ../other\n{M}all: ; make -C $(KD) M=$(CURDIR)\nconf.mk:\n\techo KD=../kernel > $@\n", "make makes conf.mk"),
    Case("one that is always made", f"include conf.mk\n{M}all: ; true\nconf.mk: FORCE\n\t{B}\nFORCE:\n", "make makes conf.mk", files=(("conf.mk", ""),)),
    Case("one that is up to date", f"include conf.mk\n{M}all: ; {B}\nconf.mk:\n\tmake -C ../other M=$(CURDIR)\n", files=(("conf.mk", ""),)),
    Case("one that is not included", f"ifdef KERNELRELEASE\ninclude no.mk\nelse\n{M}all modules: ; {B}\n%.mk:\n\ttouch $@\nendif\n"),
    Case("the Makefile itself", f"{M}all: ; true\n%: FORCE\n\t{B}\nFORCE: ;\n", "make makes Makefile"),
    Case("a Makefile from a pipe", f"{M}all:\n\techo 'all: ; {B}' | make -f -\n", "make -f -"),
    Case("a Makefile from a file", f"{M}all:\n\tmake -f /dev/stdin < x.mk\n", "make -f /dev/stdin", files=(("x.mk", f"all: ; {B}\n"),)),
    Case("a Makefile that is written first", f"{M}all:\n\techo 'all: ; make -C ../../kernel M=$(CURDIR)' > sub/Makefile; make -C sub\n", "no Makefile is yet", files=(("sub/x", ""),)),
    Case("make's own shell", f"{M}X := $(shell {B} >&2)\nall: ;\n", "while it is read"),
    # -- the shell ----------------------------------------------------------------------
    Case("CDPATH", f"{M}all:\n\tcd kernel; make M=$(CURDIR)\n", "`cd kernel`", environ=(("CDPATH", ".."),)),
    Case("CDPATH of the Makefile", f"export CDPATH=..\n{M}all:\n\tcd kernel; make M=$(CURDIR)\n", "`cd kernel`"),
    Case("CDPATH of one command", f"{M}all:\n\tCDPATH=.. cd kernel; make M=$(CURDIR)\n", "`cd kernel`"),
    Case("CDPATH without effect", f"{M}all:\n\tcd ./sub; make -C ../../kernel M=$$PWD\n", files=(("sub/x", ""),), environ=(("CDPATH", ".."),)),
    Case("CDPATH, here first", f"{M}all:\n\tcd sub; make -C ../../kernel M=$$PWD\n", files=(("sub/x", ""),), environ=(("CDPATH", ".:.."),)),
    Case("export -n", f"{BASH}export KD := ../../other\nall:\n\texport -n KD; make -C sub\n", "only the shell knows", (("sub/Makefile", SUB),)),
    Case("declare +x", f"{BASH}export KD := ../../other\nall:\n\tdeclare +x KD; make -C sub\n", "only the shell knows", (("sub/Makefile", SUB),)),
    Case("declare -x", f"{BASH}all:\n\tdeclare -x KD=../../other; make -C sub\n", files=(("sub/Makefile", SUB),)),
    Case("set -a", f"{M}all:\n\tset -a; KD=../../other; make -C sub\n", files=(("sub/Makefile", SUB),)),
    Case("a script that exports", f"{M}all:\n\t. ./env.sh; make -C sub\n", "may export", (("sub/Makefile", SUB), ("env.sh", "export KD=../../other\n"))),
    Case("an alias", f"{M}.ONESHELL:\nall:\n\talias mk='make -C ../kernel'\n\tmk M=$(CURDIR)\n", "alias"),
    Case("a pattern of names", f"{M}all:\n\tmake -C ../ker* M=$(CURDIR)\n", "`../ker*`"),
    Case("a pattern in a variable", f"{M}all:\n\tk=../ker*; make -C $$k M=$(CURDIR)\n", "`$k`"),
    Case("braces", f"{BASH}all:\n\tfor k in ../{{kernel,other}}; do make -C $$k M=$(CURDIR); done\n", "kernel,other"),
    Case("C's quotes", f"{BASH}all:\n\tmake -C $$'../kernel' M=$(CURDIR)\n", "only the shell knows"),
    Case("something appended", f"{BASH}all:\n\tk=..; k+=/kernel; make -C $$k M=$(CURDIR)\n"),
    Case("printf -v", f"{BASH}all:\n\tk=../other; printf -v k ../kernel; make -C $$k M=$(CURDIR)\n", "`$k`"),
    Case("let", f"{BASH}all:\n\tk=1; let k=2; make -C ../kernel M=$(CURDIR)/$$k\n", "$k"),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_build_is_found_or_said_to_be_unknown(case: Case, tmp_path: Path) -> None:
    """make itself says which kernels it builds with."""
    for name in ("kernel", "other", "m"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "Makefile").write_text(case.makefile if name == "m" else KERNEL)
    here, log = tmp_path / "m", tmp_path / "log"
    for name, text in case.files:
        (here / name).parent.mkdir(exist_ok=True)
        (here / name).write_text(text)
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PWD": str(here), **dict(case.environ)}
    answer = ask_make((), str(here), environ)
    makes = map(parse_make_args, answer.kernel_makes)
    found = {working_directory(args, str(here)) for args in makes if builds_something(args)}
    subprocess.run(["make"], cwd=here, env={**environ, "LOG": str(log)}, stdin=subprocess.DEVNULL, capture_output=True, check=False)  # fmt: skip
    built = set(log.read_text().split()) if log.exists() else set()
    assert case.unclear in answer.unclear
    assert answer.unclear != "" if case.unclear else found == built, (found, built, answer)


def test_a_makefile_from_a_pipe_is_not_understood(tmp_path: Path) -> None:
    with pytest.raises(NotUnderstood, match="make -f -"):
        read_requests(("-f", "-"), str(tmp_path), {"PATH": os.environ["PATH"]})
