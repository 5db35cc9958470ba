# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Time and memory grow with the size of what a tree contains, not with its square.

Each input is so large that the square of its size would take minutes. The work runs in a child
with a bound on processor time and memory: a slow or busy machine fails no test.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from kdeps.formats.cmdfile import RecordState, parse_record
from kdeps.formats.command import parse_command
from kdeps.formats.depfile import parse_depfile
from kdeps.formats.kconfig import parse_config_inputs
from kdeps.formats.makeflags import split_flags
from kdeps.formats.recipe import read_commands
from kdeps.kbuild import records
from kdeps.kbuild.expected import find_always
from kdeps.kbuild.make_command import NotUnderstood, read_request
from kdeps.kbuild.module_folder import read_object_names
from kdeps.kbuild.tree import find_tree
from kdeps.refresh.ninja import manifest
from kdeps.staleness.check import check_build
from kdeps.system.errors import KdepsError
from tests.conftest import CHECKOUT, RunKdeps
from tests.support.miniature import MODULE, Miniature

MB = 1 << 20
_SECONDS = 25
_BYTES = 3 << 30


def within_bounds(work: Callable[[], object]) -> None:
    """Run something in a child that is killed beyond its bounds."""
    pid = os.fork()
    if not pid:
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
            resource.setrlimit(resource.RLIMIT_AS, (_BYTES, _BYTES))
            work()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def record(rest: str, command: str = " x") -> bytes:
    return f"savedcmd_t.o :={command}\n{rest}".encode()


def _used_again_and_again() -> bytes:
    names = "".join(f"  f{number} \\\n" for number in range(200_000))
    uses = "t.o: $(deps_t.o)\n\n" * 200_000
    return record(f"\ndeps_t.o := \\\n{names}\n{uses}\n$(deps_t.o):\n$$\n")


RECORDS: dict[str, Callable[[], bytes]] = {
    "escaped hashes": lambda: record("deps_t.o := " + "\\#" * (2 * MB) + "\n"),
    "backslashes before a hash": lambda: record("deps_t.o := " + "\\" * (4 * MB) + "a#\n"),
    "backslashes": lambda: record("\\" * (4 * MB) + "#"),
    "open parentheses": lambda: record("deps_t.o := " + "$(" * MB + "\n"),
    "parentheses": lambda: record("deps_t.o := " + "$(a)" * MB + "\n"),
    "other parentheses": lambda: record("deps_t.o := " + "${)$(}" * MB + "\n"),
    "joined lines": lambda: record("deps_t.o := " + "a\\\n" * MB + "\n"),
    "a list used again and again": _used_again_and_again,
    "raw": lambda: b"# cannot find fixdep\n" + b"a a: b \\\n" * (MB // 2) + b"\ncmd_a := x\n",
    "colons": lambda: record("t.o:" * (2 * MB) + "\n"),
}


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_is_read_in_linear_time(name: str) -> None:
    within_bounds(lambda: parse_record(RECORDS[name]()))


def test_the_parser_still_knows_comments() -> None:
    """What is behind an escaped hash belongs to the name."""
    for text, names in (
        (r"a\#b c # d", ("a#b", "c")),
        ("a# b", ("a",)),
        (r"\# \#", ("#", "#")),
    ):
        read = parse_record(record(f"\ndeps_t.o := {text}\n\nt.o: $(deps_t.o)\n\n$(deps_t.o):\n"))
        assert read.prerequisites == names, text
        assert read.state is RecordState.COMPLETE


COMMANDS: dict[str, Callable[[], str]] = {
    "response files": lambda: " ld -o t.o " + " ".join(f"@r{number}" for number in range(100_000)),
    "one word": lambda: " gcc -c " + "a" * (2 * MB),
    "open quotes": lambda: " gcc " + "\"'" * (MB // 2),
    "substitutions": lambda: " gcc " + "$(" * (MB // 4),
    "steps": lambda: " ld a.o;" * (MB // 8),
    "redirections": lambda: " a" + ">a" * (MB // 8),
    "assignments": lambda: " " + "a=" * MB,
    "externs": lambda: " rustc" + " --extern a=b" * (MB // 16),
    "emitted": lambda: " rustc" + " --emit=" * (MB // 16),
    "dots": lambda: " gcc " + "./" * MB,
    "printf": lambda: " printf '%s' " + "a.o " * (MB // 8) + "| awk '{ print(\"" + "print(" * (MB // 8),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_read_in_linear_time(name: str) -> None:
    def work() -> None:
        command = COMMANDS[name]()
        parse_command(command, "t.o")
        for pattern, _ in manifest._KINDS:
            pattern.search(command)

    within_bounds(work)


@pytest.mark.parametrize("unit", ["bindgen a ", "ld a -o ", "--emit=link=", " -S -o a ", "ld"])
def test_a_step_is_named_in_linear_time(unit: str) -> None:
    command = unit * (2 * MB // len(unit))
    within_bounds(lambda: [pattern.search(command) for pattern, _ in manifest._KINDS])


@pytest.mark.parametrize("unit", ["a\\\n", "\\ ", "\\\\", "$", "a: b\n", ": ", "a\tb", "# env-dep:a=b\n"])
def test_a_dependency_list_is_read_in_linear_time(unit: str) -> None:
    within_bounds(lambda: parse_depfile((unit * (2 * MB // len(unit))).encode()))


@pytest.mark.parametrize("unit", ["\\", "\\ ", "a ", "$$", "- "])
def test_flags_are_read_in_linear_time(unit: str) -> None:
    within_bounds(lambda: split_flags(unit * (2 * MB // len(unit))))


@pytest.mark.parametrize("unit", ["deps_config := \\\n", "\nifneq ", 'ifneq "$(a)" "b"\n', "\\\n"])
def test_inputs_of_the_configuration_are_read_in_linear_time(unit: str) -> None:
    within_bounds(lambda: parse_config_inputs(unit * (2 * MB // len(unit))))


MAKEFILES = {
    "one word": "obj-m := " + "a" * MB,
    "one word of objects": "obj-m := " + "a.oa" * (MB // 4),
    "export lines": "export\n" * (MB // 7),
    "override lines": "export override\n" * (MB // 16),
    "blank lines": "include\n" + "\n" * MB,
    "assignments in one word": "obj-m := a.o\nall:\n\tmake " + "LLVM=" * (MB // 5) + "$",
    "symbols": "obj-$(CONFIG_A) += a.o\n" * (MB // 23),
    "dashes": "-$(CONFIG_" * (MB // 10),
    "conditions": "ifdef CONFIG_A\n" * (MB // 15),
    "lists in conditions": "ifndef CONFIG_A\nalways-y += a\n" * (MB // 60),
    "lists": "always-$(" + ")=" * (MB // 2) + "\\",
    "joined lists": "always-y += \\\n" * (MB // 14) + "\\",
}
NO_MAKEFILE = {
    "assignments in one word": "make: Argument list too long",
    "dashes": "unterminated variable reference",
    "conditions": "missing 'endif'",
    "lists in conditions": "missing 'endif'",
}
"""What make, or the kernel that is to start it, says of those that it does not take."""


@pytest.mark.parametrize("name", MAKEFILES)
def test_a_makefile_is_read_in_linear_time(name: str, tree: Miniature, tmp_path: Path) -> None:
    """The module's own, a folder's that could be a kernel, one of the kernel's preparation."""
    text = MAKEFILES[name]
    words, cwd, environ = (*tree.tree_args, f"M={MODULE}"), str(tree.srctree), tree.environment({})
    found = find_tree(words, cwd, environ)
    for file in (tree.path(f"{MODULE}/Makefile"), tmp_path / "Makefile"):
        file.write_text(text)
    configuration = "".join(f"CONFIG_S{number}=y\n" for number in range(20_000))
    (tree.objtree / "include/config/auto.conf").write_text(configuration)

    def work() -> None:
        read_object_names(str(tree.module), found.objtree, found.args.variables)
        for given in (("KDIR=/nowhere",), ()):
            if name in NO_MAKEFILE:
                with pytest.raises(NotUnderstood, match=NO_MAKEFILE[name]):
                    read_request(given, str(tmp_path), environ)
            else:
                read_request(given, str(tmp_path), environ)
        with_no_kernel(tmp_path, environ)
        list(find_always(text, configuration))

    within_bounds(work)


@pytest.mark.parametrize(
    "unit",
    [
        "LLVM=",
        "A=1 ",
        "if ",
        "a;",
        "$X",
        "$a",
        "$(",
        "`",
        "(",
        "cd a;make;",
        "export A=1;",
        "for a in x y;do ",
    ],
)
def test_a_recipe_is_read_in_linear_time(unit: str) -> None:
    """In one line that no shell can be given, and in many that one can."""
    start = "for a in x y z; do make "
    many = (start + unit * (100_000 // len(unit)) + "\n") * 10

    def work() -> None:
        for recipe in (start + unit * (2 * MB // len(unit)), many):
            read_commands(recipe, "/", {})

    within_bounds(work)


def test_a_loop_variable_has_one_value_in_each_round() -> None:
    commands = read_commands("for a in x y; do make -C $a/${a} M=$a; done", "/", {})
    assert [command.words[2:] for command in commands] == [("x/x", "M=x"), ("y/y", "M=y")]


def with_no_kernel(folder: Path, environ: dict[str, str]) -> None:
    with pytest.raises(KdepsError):
        find_tree((), str(folder), environ)


def test_stray_records_are_looked_through_once(tree: Miniature) -> None:
    """Each records another target, so that each is looked for among all."""
    folder = tree.objtree / "strays"
    folder.mkdir()
    for number in range(3000):
        (folder / f"t{number}.o").touch()
        (folder / f".t{number}.o.cmd").write_text(f"savedcmd_strays/t{number + 1}.o := x\n")
    words, cwd, environ = tree.tree_args, str(tree.srctree), tree.environment({})
    found = find_tree(words, cwd, environ)._replace(module_output=str(folder), module=str(folder))
    reader = records.RecordReader(found)
    within_bounds(lambda: [reader.read_module_record(f"{folder}/t{number}.o") for number in range(3000)])


def test_lists_of_modules_may_be_nested_as_deep_as_folders(tree: Miniature) -> None:
    """A list that names a list, two thousand times."""
    output = tree.objtree / MODULE if (tree.objtree / MODULE).exists() else tree.module
    for number in range(2000):
        name, below = f"{number}modules.order", f"{number + 1}modules.order"
        (output / f".{name}.cmd").write_text(
            f"savedcmd_{output}/{name} := cat {output}/{below} > {output}/{name}\n"
        )
    (output / ".modules.order.cmd").write_text(
        f"savedcmd_{output}/modules.order := cat {output}/0modules.order > {output}/modules.order\n"
    )
    check_build((*tree.tree_args, f"M={MODULE}"), str(tree.srctree), tree.environment({}))


def test_records_that_name_too_many_files_end_in_one_line(tree: Miniature) -> None:
    """Ten records of 7 MB with names of their own: no memory for them, and one line that says so."""
    for number in range(10):
        names = "".join(f"  {number}/{file:06}.h \\\n" for file in range(500_000))
        name = f"scripts/big{number}.o"
        (tree.objtree / name).touch()
        (tree.objtree / f"scripts/.big{number}.o.cmd").write_text(
            f"savedcmd_{name} := x\n\ndeps_{name} := \\\n{names}\n{name}: $(deps_{name})\n\n$(deps_{name}):\n"
        )
    done = subprocess.run(
        [sys.executable, "-m", "kdeps", "check", *tree.tree_args, f"M={MODULE}"], cwd=tree.srctree,
        env=tree.environment({"PYTHONPATH": str(CHECKOUT)}), capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (_BYTES // 2, _BYTES // 2)),
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"name more than {records.MAX_NAMES} files" in done.stderr


def test_a_record_that_is_too_large_is_named(tree: Miniature, kdeps: RunKdeps) -> None:
    path = tree.objtree / "rust/.kernel.o.cmd"
    with path.open("a") as file:
        file.write("#" * (9 * MB))
    done = kdeps(tree, "check", f"M={MODULE}")
    assert done.returncode != 0
    assert "is too large for a record" in done.stdout + done.stderr
