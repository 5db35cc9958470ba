# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Edits in the middle of a compile, by real compilers that wait for them; and everything that only looks like one."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kdeps.formats.cmdfile import RecordState
from kdeps.kbuild.rule import Action, Owner, Rule
from kdeps.staleness.racy_edits import RacyEdit, find_racy_edits, report_edits
from kdeps.system.birth import Times, birth_times, same_clock
from tests.conftest import RunKdeps
from tests.support.miniature import MODULE, Miniature, held_make
from tests.support.schemas import read_json

Compile = Callable[[Path, Callable[[], None]], Rule]


def rule_of(target: Path, source: Path, prerequisites: list[Path], command: str, *more: Path) -> Rule:
    return Rule(
        target=str(target), name=target.name, owner=Owner.MODULE, action=Action.IF_CHANGED,
        outputs=(str(target), *map(str, more)), prerequisites=tuple(map(str, prerequisites)), source=str(source),
        optional_prerequisites=(str(source),), config_dir="/", record=str(target.with_name(f".{target.name}.cmd")),
        state=RecordState.COMPLETE, command=command,
    )  # fmt: skip


def edits_of(rule: Rule) -> list[RacyEdit]:
    files = (*rule.prerequisites, *rule.optional_prerequisites, *rule.outputs)
    return find_racy_edits(
        [rule], {path: os.stat(path).st_mtime_ns for path in files if os.path.exists(path)}
    )


def births_are_known(folder: Path) -> bool:
    (folder / "probe").write_text("")
    return birth_times(str(folder / "probe")) is not None


@pytest.fixture(autouse=True)
def _needs_births(tmp_path: Path) -> None:
    if not births_are_known(tmp_path):
        pytest.skip("this file system, or this C library, knows no births")


def compile_c(folder: Path, during: Callable[[], None]) -> Rule:
    """A real gcc, or a clang that is called so; its assembler waits in an ``.include`` for us."""
    compiler = shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("needs a C compiler")
    source, header, extra, target = (folder / name for name in ("a.c", "a.h", "b.h", "a.o"))
    held = folder / "held.s"
    if not held.exists():
        os.mkfifo(held)
        header.write_text("#define ONE 1\n")
        extra.write_text("#define TWO 2\n")
        source.write_text(
            f'#include "a.h"\n#include "b.h"\nint f(void) {{ return ONE; }}\n__asm__(".include \\"{held}\\"");\n'
        )
    command = [compiler, "-Wp,-MMD,a.d", "-c", "-o", "a.o", "a.c"]
    running = subprocess.Popen(command, cwd=folder)
    with open(held, "w"):  # the compiler is at the other end now
        during()
    assert running.wait() == 0
    return rule_of(target, source, [source, header, extra], " ".join(command))


def wait_a_tick(path: Path) -> None:
    """Until a write gets another stamp than the one before."""
    before = path.stat().st_mtime_ns
    while True:
        probe = path.with_name("tick")
        probe.write_text("")
        if probe.stat().st_mtime_ns > before:
            return


def pause(folder: Path) -> None:
    (folder / "now").write_text("")
    wait_a_tick(folder / "now")


def edit(path: Path) -> None:
    """Between two ticks, so that it is neither at the beginning nor at the end of the compile."""
    pause(path.parent)
    path.write_text(f"{path.read_text()}\n/* later */\n")
    pause(path.parent)


def touch(path: Path) -> None:
    pause(path.parent)
    os.utime(path)
    pause(path.parent)


def nothing() -> None:
    return


def test_an_edit_while_it_was_compiled_is_told(tmp_path: Path) -> None:
    """make sees an object that is newer; its birth tells that the compiler ran by then. Built again, it is gone."""
    rule = compile_c(tmp_path, lambda: edit(tmp_path / "a.h"))
    assert os.stat(tmp_path / "a.h").st_mtime_ns <= os.stat(rule.target).st_mtime_ns
    (found,) = edits_of(rule)
    assert found.path == str(tmp_path / "a.h")
    assert found.after_ns > 0
    assert found.before_ns >= 0
    (discovery,) = report_edits([found], (str(tmp_path), "/"))
    assert discovery.message.startswith("a.h was changed while a.o was compiled (")
    assert discovery.remove == (rule.target,)
    assert not edits_of(compile_c(tmp_path, nothing))


def test_before_and_behind_it_are_not(tmp_path: Path) -> None:
    """An edit before the compile is in it; one behind it is newer, and make's own business."""
    rule = compile_c(tmp_path, nothing)
    edit(tmp_path / "a.h")
    assert not edits_of(rule)
    assert not edits_of(compile_c(tmp_path, nothing))


@pytest.mark.parametrize(
    "happening",
    ["cp -p", "cp", "cp -r both", "tar", "rsync", "link", "link that was cut", "set", "old touch", "ccache"],
)
def test_what_only_looks_like_one_is_not_told(tmp_path: Path, happening: str) -> None:
    """Copies, caches, links and times that somebody set: nobody can tell, so nothing is said."""
    folder = tmp_path / "built"
    folder.mkdir()
    header = folder / "a.h"
    rule = compile_c(folder, nothing)
    target = Path(rule.target)
    end = target.stat().st_mtime_ns

    def again(command: str) -> None:
        subprocess.run(command, shell=True, check=True, cwd=tmp_path)

    if happening in ("cp -p", "cp"):
        # An object from elsewhere, with whatever time.
        again(f"mv built/a.o built/x.o && {happening} built/x.o built/a.o && rm built/x.o")
        os.utime(header, ns=(end - 1, end - 1))
    elif happening == "cp -r both":
        # Everything written anew, the sources too, one after the other.
        again("mkdir copied && cp built/a.[cho] built/b.h copied/")
        moved = {
            p: p.replace(str(folder), str(tmp_path / "copied")) for p in (*rule.prerequisites, rule.target)
        }
        rule = rule_of(
            Path(moved[rule.target]), Path(moved[str(folder / "a.c")]),
            [Path(moved[p]) for p in rule.prerequisites], rule.command,
        )  # fmt: skip
    elif happening == "tar":
        again("tar cf a.tar -C built a.o a.c a.h b.h && rm built/a.[cho] && tar xf a.tar -C built")
        edit(header)
        os.utime(target, ns=(end, end))
    elif happening == "rsync":
        if shutil.which("rsync") is None:
            pytest.skip("needs rsync")
        again("mv built/a.o x.o && rsync -t x.o built/a.o")
        os.utime(header, ns=(end - 1, end - 1))
    elif happening.startswith("link"):
        # ccache's hard_link: born when it was first compiled, touched when it was found again.
        os.link(target, tmp_path / "cached.o")
        edit(header)
        os.utime(target)
        if happening == "link that was cut":
            long_ago = time.time_ns() + 7200 * 10**9
            os.utime(target, ns=(long_ago, long_ago))
            (tmp_path / "cached.o").unlink()
    elif happening == "set":
        # An mtime within the compile, and a ctime that says when it was really written.
        later = time.time_ns() + 100 * 10**9
        os.utime(target, ns=(later, later))
        os.utime(header, ns=(later - 50 * 10**9, later - 50 * 10**9))
    elif happening == "old touch":
        os.utime(header, ns=(1, 1))
    elif happening == "ccache":
        # A hit: the cached object is copied under another name and renamed.
        again(
            "cp built/a.o cached.o && rm built/a.o && cp cached.o built/a.o.tmp && mv built/a.o.tmp built/a.o"
        )
    assert not edits_of(rule)


def test_a_linked_object_and_a_host_program_have_no_beginning(tmp_path: Path) -> None:
    """Only a compiler that is known to make its output anew is trusted."""
    rule = compile_c(tmp_path, lambda: edit(tmp_path / "a.h"))
    for command in ("ld -r -o a.o b.o", "unknown-compiler -c -o a.o a.c", "rustc --emit=obj=a.o a.rs", ""):
        assert not edits_of(rule._replace(command=command))
    for command in ("ccache gcc -c a.c", "LANG=C x86_64-linux-gnu-gcc-14 -c a.c", "/usr/bin/clang-19 -c a.c"):
        assert edits_of(rule._replace(command=command))


def test_an_object_made_from_assembly_has_no_beginning(tmp_path: Path) -> None:
    """clang assembles into the object that is there, so an incremental build keeps the birth of the first one."""
    source, header, target = (tmp_path / name for name in ("b.S", "b.h", "b.o"))
    for path in (source, header, target):
        path.write_text("first\n")
    edit(header)
    with target.open("r+b") as existing:
        existing.write(b"second\n")
    rule = rule_of(target, source, [source, header], "clang -D__ASSEMBLY__ -c -o b.o b.S")
    assert not edits_of(rule)
    # The very same history, were it C: there clang makes the object anew each time.
    as_c = source.rename(tmp_path / "b.c")
    assert edits_of(rule_of(target, as_c, [as_c, header], "clang -c -o b.o b.c"))


def test_a_clock_of_another_machine_says_nothing() -> None:
    """Two devices that this kernel stamps can be compared; a server and a disk cannot."""
    assert same_clock((250, 1), (250, 1))
    assert not same_clock((0, 99999), (0, 99998))
    assert Times(1, 2, 1, (0, 0)).birth_ns == 1
    assert birth_times("/nonexistent/file") is None
    assert birth_times("a\0b") is None


def test_a_crate_that_was_edited_behind_its_metadata(tree: Miniature, kdeps: RunKdeps) -> None:
    """By the whole program, real make in the middle of it: found, blamed, cured; and make never would."""
    source = tree.path("rust/kernel/io.rs")
    tree.touch("rust/kernel/io.rs")
    held_make(tree, "kernel:metadata", lambda: edit(source), "modules_prepare")
    tree.make(f"M={MODULE}")
    assert tree.kernel_answer("modules_prepare") == []
    assert kdeps(tree, "check", f"M={MODULE}").returncode == 1
    done = kdeps(tree, "ci", "--format=json", f"M={MODULE}")
    report = read_json(done.stdout)
    assert done.returncode == 1
    issue = next(issue for issue in report["issues"] if issue["kind"] == "changed-meanwhile")
    assert issue["paths"][0]["path"] == str(source)
    assert issue["message"].startswith("rust/kernel/io.rs was changed while rust/kernel.o was compiled (")
    assert "the object does not have the edit" in issue["message"]
    for line in report["cure"]:
        subprocess.run(line, shell=True, cwd=tree.srctree, env=tree.environment(), check=True)
    assert kdeps(tree, "ci", f"M={MODULE}").returncode == 0


def test_a_ledger_does_not_vouch_for_it(tree: Miniature, kdeps: RunKdeps, tmp_path: Path) -> None:
    """What was built from something that is gone is not recorded; what is the same after all is refuted."""
    source = tree.path("rust/kernel/io.rs")
    good = tmp_path / "good"
    assert kdeps(tree, "ci", f"--record={good}", f"M={MODULE}").returncode == 0
    tree.touch("rust/kernel/io.rs")
    held_make(tree, "kernel:metadata", lambda: edit(source), "modules_prepare")
    tree.make(f"M={MODULE}")
    bad = tmp_path / "bad"
    assert kdeps(tree, "ci", f"--record={bad}", f"M={MODULE}").returncode == 1
    assert '"$(objtree)/rust/kernel.o": {' not in bad.read_text()
    done = kdeps(tree, "ci", f"--against={good}", "--format=json", f"M={MODULE}")
    assert {"newer-prerequisite"} <= {issue["kind"] for issue in read_json(done.stdout)["issues"]}
    # Only touched in the middle: by time nobody can tell, by content it is the same.
    source.write_text(source.read_text().replace("\n/* later */\n", ""))
    held_make(tree, "kernel:metadata", lambda: touch(source), "modules_prepare")
    tree.make(f"M={MODULE}")
    assert kdeps(tree, "ci", f"M={MODULE}").returncode == 1
    done = kdeps(tree, "ci", f"--against={good}", "--format=json", f"M={MODULE}")
    assert [issue["kind"] for issue in read_json(done.stdout)["issues"]] == ["touched-only"]
    assert done.returncode == 0
