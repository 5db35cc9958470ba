# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Make's command line, taken apart as make itself does it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdeps.formats.makeargs import MakeArgs, parse_make_args, without_place, working_directory
from tests.support.gnu_make import MAKE, REASON

needs_make = pytest.mark.skipif(MAKE is None, reason=REASON)

VARIABLES = ("M", "O", "KCFLAGS", "LLVM")

MAKEFILE = """\
$(info @)$(info $(CURDIR))$(info $(MAKECMDGOALS))\
$(foreach name,{names},$(info $(if $(filter command,$(word 1,$(origin $(name)))),$(name)=$($(name)))))
.DEFAULT: ;
.PHONY: all
all: ;
"""


def parse(*words: str) -> MakeArgs:
    return parse_make_args(words)


# -- by hand -----------------------------------------------------------------


def test_a_usual_command_line_is_taken_apart() -> None:
    """Directories, variables and goals; what is the module's alone is not kept."""
    words = ("-C", "/k/linux", "-j8", "O=../build", "LLVM=1", "M=drivers/gpu/nova-core", "modules", "V=1")
    assert parse(*words) == MakeArgs(
        words=words,
        directories=("/k/linux",),
        variables={"O": "../build", "LLVM": "1", "M": "drivers/gpu/nova-core", "V": "1"},
        goals=("modules",),
        kept=("-C", "/k/linux", "-j8", "O=../build", "LLVM=1", "V=1"),
        letters="Cj",
        modules=("drivers/gpu/nova-core",),
    )


def test_blanks_before_an_assignment_are_passed_over() -> None:
    """make takes ``" M=folder"`` for an assignment, as a script with ``"$ARGS"`` gives it."""
    parsed = parse(" M=folder", "\tO=../build", " goal")
    assert (parsed.variables, parsed.goals) == ({"M": "folder", "O": "../build"}, (" goal",))


def test_nothing_at_all() -> None:
    """Plain ``make``."""
    assert parse() == MakeArgs((), (), {}, (), ())


def test_what_make_reads_and_where_it_stands() -> None:
    """``-f`` in all its spellings; a command for somebody who stands elsewhere has neither it nor ``-C``."""
    words = ("-f", "a", "-sfb", "--file=c", "--makefile", "d", "-fe", "-C", "f", "V=1", "all")
    assert parse(*words).files == ("a", "b", "c", "d", "e")
    assert without_place((*words, "-kC", "g", "-Ih", "-I", "-C")) == ("V=1", "all", "-Ih", "-I", "-C")


@pytest.mark.parametrize(
    ("words", "directories", "goals"),
    [
        (("-Cdir", "all"), ("dir",), ("all",)),
        (("-C", "a", "-C", "b"), ("a", "b"), ()),
        (("-skC", "dir", "all"), ("dir",), ("all",)),
        (("-skCdir",), ("dir",), ()),
        (("--directory", "dir", "all"), ("dir",), ("all",)),
        (("--directory=dir",), ("dir",), ()),
        (("--dir=dir",), ("dir",), ()),
        (("--direc", "dir"), ("dir",), ()),
        (("-f", "x", "all"), (), ("all",)),
        (("-fC", "x", "all"), (), ("x", "all")),
        (("-I", "-C", "all"), (), ("all",)),
        (("-W", "file", "-o", "other", "all"), (), ("all",)),
        (("--what-if", "file", "--assume-old=other", "all"), (), ("all",)),
        (("-j", "8", "all"), (), ("all",)),
        (("-j", "all"), (), ("all",)),
        (("-j8", "9"), (), ("9",)),
        (("-kj", "8", "all"), (), ("all",)),
        (("--jobs", "8", "all"), (), ("all",)),
        (("--jobs=8", "9"), (), ("9",)),
        (("-l", "2.5", "all"), (), ("all",)),
        (("-l", ".5"), (), ()),
        (("--load-average", "2", "all"), (), ("all",)),
        (("-j", "-C", "dir"), ("dir",), ()),
        (("-O", "line", "all"), (), ("line", "all")),
        (("-Oline", "all"), (), ("all",)),
        (("--", "-C", "dir"), (), ("-C", "dir")),
        (("--debug", "v"), (), ("v",)),
    ],
)
def test_options_take_their_values_as_make_gives_them(
    words: tuple[str, ...], directories: tuple[str, ...], goals: tuple[str, ...]
) -> None:
    """What belongs to an option is no goal, and what looks like one may belong to an option."""
    found = parse(*words)
    assert (found.directories, found.goals) == (directories, goals)


@pytest.mark.parametrize(
    ("word", "name", "value"),
    [
        ("M=x", "M", "x"),
        ("M:=x", "M", "x"),
        ("M::=x", "M", "x"),
        ("M?=x", "M", "x"),
        ("KCFLAGS+=-g", "KCFLAGS", "-g"),
        ("KCFLAGS=-DA=b -g", "KCFLAGS", "-DA=b -g"),
        ("M=", "M", ""),
        ("M=a\nb", "M", "a\nb"),
        ("M=~/x", "M", "~/x"),
    ],
)
def test_every_kind_of_assignment_is_one(word: str, name: str, value: str) -> None:
    """make's operators, and values with anything in them."""
    found = parse(word)
    assert (found.variables, found.goals) == ({name: value}, ())


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (("M=a", "all", "-k", "M=b"), "b"),
        (("M=a", "M+=b"), "a b"),
        (("M+=b",), "b"),
        (("M=a", "M?=b"), "a"),
        (("M?=b",), "b"),
    ],
)
def test_of_several_assignments_the_last_counts(words: tuple[str, ...], value: str) -> None:
    """A variable given twice has its last value, but ``+=`` adds to the first and ``?=`` yields to it."""
    assert parse(*words).variables == {"M": value}


@pytest.mark.parametrize(
    ("words", "incomplete"),
    [
        (("-C",), "-C"),
        (("M=x", "-kC"), "-kC"),
        (("--dir",), "--dir"),
        (("-j",), ""),
        (("-C", "x"), ""),
        ((), ""),
    ],
)
def test_an_option_without_its_value_is_told(words: tuple[str, ...], incomplete: str) -> None:
    """What make would refuse for want of a value, so that nobody judges another folder instead."""
    assert parse(*words).incomplete == incomplete


def test_jobs_stay_with_their_number() -> None:
    """``-j 8`` on a refresh must not become ``-j``: that would start every job there is at once."""
    assert parse("-j", "8", "M=x", "LLVM=1").kept == ("-j", "8", "LLVM=1")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), "/home/k"),
        (("-C", "linux"), "/home/k/linux"),
        (("-C", "/abs/"), "/abs"),
        (("-C", "a", "-C", "/b", "-C", "./c"), "/b/c"),
        (("-C", ".."), "/home"),
    ],
)
def test_make_stands_where_every_c_has_led(words: tuple[str, ...], expected: str) -> None:
    """Each ``-C`` is relative to the one before."""
    assert working_directory(parse(*words), "/home/k") == expected


def test_the_parent_of_a_link_is_the_parent_of_what_it_leads_to(tmp_path: Path) -> None:
    """``-C link/..`` is what chdir makes of it."""
    (tmp_path / "far/away").mkdir(parents=True)
    (tmp_path / "link").symlink_to("far/away")
    assert working_directory(parse("-C", "link/.."), str(tmp_path)) == str(tmp_path / "far")


# -- make --------------------------------------------------------------------


def make_says(folder: Path, words: tuple[str, ...]) -> tuple[str, tuple[str, ...], dict[str, str]] | None:
    """Where make stood, its goals and the variables it was given; ``None``: it refused."""
    makefile = MAKEFILE.format(names=" ".join(VARIABLES))
    for place in (folder, folder / "sub", folder / "sub/sub"):
        place.mkdir(exist_ok=True)
        (place / "Makefile").write_text(makefile)
    assert MAKE is not None
    done = subprocess.run(
        [MAKE, *words],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.split("\n")
    if done.returncode or "@" not in lines:
        return None
    at = lines.index("@")
    given = dict(line.split("=", 1) for line in lines[at + 3 : at + 3 + len(VARIABLES)] if line)
    return lines[at + 1], tuple(lines[at + 2].split()), given


TEXT = """-C sub . -Csub -kC --directory --directory=sub --dir -j 8 -j8 -j4 -l 2.5 .5 -kj --jobs --jobs=3 --load-average --max-load
    -k -s -O -Oline line -I -W -o --what-if --new-file x --assume-old=x --no-print-directory -r -R --warn-undefined-variables
    M=a M:=b M?=c M= O=../b KCFLAGS=-g KCFLAGS+=-h LLVM=1 all modules -- --debug=n --trace --eval --eval=A=1 - 7"""
WORDS = st.sampled_from(TEXT.split())


@needs_make
@settings(max_examples=120, deadline=None)
@given(st.lists(WORDS, max_size=6).map(tuple))
def test_any_command_line_is_what_make_takes_it_for(
    tmp_path_factory: pytest.TempPathFactory, words: tuple[str, ...]
) -> None:
    """Where make accepts the words, it stands where we say, with these goals and these variables."""
    folder = Path(os.path.realpath(tmp_path_factory.mktemp("make")))
    said = make_says(folder, words)
    found = parse_make_args(words)
    if said is None:
        return
    assert not found.incomplete
    if len(set(found.directories)) < len(found.directories):
        return  # make 4.4 follows the same -C only once, older ones twice
    goals = tuple(goal for goal in found.goals if goal != "-")
    variables = {name: value for name, value in found.variables.items() if name in VARIABLES}
    assert (working_directory(found, str(folder)), goals, variables) == said


@given(st.lists(st.text(max_size=8) | WORDS, max_size=8).map(tuple))
def test_taking_apart_never_raises(words: tuple[str, ...]) -> None:
    """Whatever the words are: what make would refuse, make shall refuse."""
    found = parse_make_args(words)
    assert found.words == words
    assert {*found.goals, *found.kept} <= {*words}
