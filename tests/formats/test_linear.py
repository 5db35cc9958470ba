# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Time and memory grow with the size of what a tree contains, not with its square.

What is read is given in two sizes, one eight times the other. A square takes 64 times the processor time then, so that
20 times are a proof on any machine, slow or busy. Makefiles, which make reads, too, are so large that a square would
take minutes. All runs in a child with a bound on processor time and memory.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
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


def in_linear_time(work: Callable[[int], object], size: int = 1 << 14) -> None:
    """Compare what a size takes with what eight times that size takes."""

    def seconds(size: int) -> float:
        started = time.process_time()
        work(size)
        return time.process_time() - started

    def compare() -> None:
        small, large = seconds(size), seconds(8 * size)
        for _ in range(3):
            if large < max(14 * small, 0.05):  # in so little time nothing is done with the square of 130,000
                return
            small, large = max(small, seconds(size)), min(large, seconds(8 * size))
        raise AssertionError(f"{small} s, and {large} s for eight times the size")

    within_bounds(compare)


def record(rest: str, command: str = " x") -> bytes:
    return f"savedcmd_t.o :={command}\n{rest}".encode()


def _used_again_and_again(size: int) -> bytes:
    names = "".join(f"  f{number} \\\n" for number in range(size // 8))
    uses = "t.o: $(deps_t.o)\n\n" * (size // 8)
    return record(f"\ndeps_t.o := \\\n{names}\n{uses}\n$(deps_t.o):\n$$\n")


RECORDS: dict[str, Callable[[int], bytes]] = {
    "escaped hashes": lambda size: record("deps_t.o := " + "\\#" * (size // 2) + "\n"),
    "backslashes before a hash": lambda size: record("deps_t.o := " + "\\" * size + "a#\n"),
    "backslashes": lambda size: record("\\" * size + "#"),
    "open parentheses": lambda size: record("deps_t.o := " + "$(" * (size // 2) + "\n"),
    "parentheses": lambda size: record("deps_t.o := " + "$(a)" * (size // 4) + "\n"),
    "other parentheses": lambda size: record("deps_t.o := " + "${)$(}" * (size // 6) + "\n"),
    "joined lines": lambda size: record("deps_t.o := " + "a\\\n" * (size // 3) + "\n"),
    "a list used again and again": _used_again_and_again,
    "raw": lambda size: b"# cannot find fixdep\n" + b"a a: b \\\n" * (size // 9) + b"\ncmd_a := x\n",
    "colons": lambda size: record("t.o:" * (size // 4) + "\n"),
}


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_is_read_in_linear_time(name: str) -> None:
    in_linear_time(lambda size: parse_record(RECORDS[name](size)))


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


COMMANDS: dict[str, Callable[[int], str]] = {
    "response files": lambda size: " ld -o t.o " + " ".join(f"@r{number}" for number in range(size // 4)),
    "one word": lambda size: " gcc -c " + "a" * size,
    "open quotes": lambda size: " gcc " + "\"'" * (size // 2),
    "substitutions": lambda size: " gcc " + "$(" * (size // 2),
    "steps": lambda size: " ld a.o;" * (size // 8),
    "redirections": lambda size: " a" + ">a" * (size // 2),
    "assignments": lambda size: " " + "a=" * (size // 2),
    "externs": lambda size: " rustc" + " --extern a=b" * (size // 13),
    "emitted": lambda size: " rustc" + " --emit=" * (size // 8),
    "dots": lambda size: " gcc " + "./" * (size // 2),
    "printf": lambda size: (
        " printf '%s' " + "a.o " * (size // 4) + "| awk '{ print(\"" + "print(" * (size // 6)
    ),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_read_in_linear_time(name: str) -> None:
    def work(size: int) -> None:
        command = COMMANDS[name](size)
        parse_command(command, "t.o")
        for pattern, _ in manifest._KINDS:
            pattern.search(command)

    in_linear_time(work)


UNITS: dict[Callable[[str], object], list[str]] = {
    lambda text: [pattern.search(text) for pattern, _ in manifest._KINDS]: [
        "bindgen a ", "ld a -o ", "--emit=link=", " -S -o a ", "ld",
    ],
    lambda text: parse_depfile(text.encode()): [
        "a\\\n", "\\ ", "\\\\", "$", "a: b\n", ": ", "a\tb", "# env-dep:a=b\n",
    ],
    split_flags: ["\\", "\\ ", "a ", "$$", "- "],
    parse_config_inputs: ["deps_config := \\\n", "\nifneq ", 'ifneq "$(a)" "b"\n', "\\\n"],
}  # fmt: skip
"""What names a step, reads a dependency list, flags, inputs of the configuration → what is repeated."""


@pytest.mark.parametrize(("read", "unit"), [(read, unit) for read, units in UNITS.items() for unit in units])
def test_a_repeated_text_is_read_in_linear_time(read: Callable[[str], object], unit: str) -> None:
    in_linear_time(lambda size: read(unit * (size // len(unit))))


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
        "LLVM=", "A=1 ", "if ", "a;", "$X", "$a", "$(", "`", "(", "cd a;make;", "export A=1;", "for a in x y;do ",
        "A{} ", "A{}=1 ", "A{}=1;",
    ],
)  # fmt: skip
def test_a_recipe_is_read_in_linear_time(unit: str) -> None:
    """In a line that a shell can be given; and in one that none can, which takes less than a shell's of its size."""

    def work(start: str, size: int) -> None:
        read_commands(start + "".join(map(unit.format, range(size // len(unit)))), "/", {})

    in_linear_time(partial(work, "make;"), 9000)
    in_linear_time(partial(work, "for a in x y z; do make "), 1 << 15)


def test_a_recipe_with_more_variables_than_people_write_is_not_understood() -> None:
    (command,) = read_commands("".join(f"A{n}=1;" for n in range(300)) + "make M=.", "/", {})
    assert command.unclear.endswith("is not understood: it has too many variables")


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
    template = "".join(f"  N/{file:06}.h \\\n" for file in range(500_000))
    for number in range(10):
        names = template.replace("N", str(number))
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
