# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Against which kernel a module is judged where its Makefile calls no make: the named one, or one that is said to be a guess."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kdeps.kbuild.named_kernel import find_named_kernel
from kdeps.system.errors import NoTree
from tests.conftest import CHECKOUT, RunKdeps
from tests.support.miniature import Miniature

RUNNING = """import os, sys
import kdeps.kbuild.named_kernel, kdeps.kbuild.normal_make
kdeps.kbuild.named_kernel.MODULES = kdeps.kbuild.normal_make.MODULES = {modules!r}
from kdeps.cli.main import main
main(sys.argv[1:])
"""


@pytest.fixture
def module(tree: Miniature, tmp_path: Path) -> Path:
    """A module whose Makefile has nothing but its objects; the running kernel, 1.2 and 1.3 are installed."""
    folder = tmp_path / "module"
    folder.mkdir()
    (folder / "Makefile").write_text("obj-m := hello.o\n")
    (folder / "hello.rs").write_text("//! Hello.\n")
    for release in (os.uname().release, "1.2.0-x"):
        (tmp_path / "modules" / release).mkdir(parents=True)
        (tmp_path / "modules" / release / "build").symlink_to(tree.objtree)
    return folder


def run(module: Path, tree: Miniature, *words: str) -> subprocess.CompletedProcess[str]:
    """Run kdeps in the module's folder, where /lib/modules is that of the test."""
    program = RUNNING.format(modules=str(module.parent / "modules"))
    return subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=module,
        env=tree.environment({"PYTHONPATH": str(CHECKOUT)}),
        capture_output=True,
        text=True,
        check=False,
    )


def named(document: str) -> str:
    """The object tree of a fresh verdict that guesses nothing."""
    verdict = json.loads(document)
    assert verdict["verdict"] == "fresh"
    assert "kernel-guessed" not in [finding["kind"] for finding in verdict["findings"]]
    return str(verdict["tree"]["objtree"])


@pytest.mark.parametrize("command", ["check", "ci"])
def test_a_guess_is_said(command: str, module: Path, tree: Miniature) -> None:
    """The running kernel is judged, and the verdict says so."""
    done = run(module, tree, command)
    assert (done.returncode, "is of the running kernel" in done.stdout) == (0, True), done


def test_a_watch_says_that_it_guesses(module: Path, tree: Miniature) -> None:
    """Once, before its first verdict; a stale build ends this watch."""
    tree.touch("rust/kernel/io.rs")
    done = run(module, tree, "watch", "--on-stale=fail")
    assert (done.returncode, "is of the running kernel" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    "name", ["KVERSION", "KERNELRELEASE", "KVER", "KERNEL_VERSION", "kernelver", "MY_LINUX"]
)
def test_an_installed_release_is_followed(name: str, module: Path, tree: Miniature) -> None:
    done = run(module, tree, "check", "--format=json", f"{name}=1.2.0-x")
    if (
        name == "KERNELRELEASE"
    ):  # which make would write into utsrelease.h of this tree, whose release is another
        assert json.loads(done.stdout)["tree"]["objtree"] == str(tree.objtree)
    else:
        assert named(done.stdout) == str(tree.objtree)


@pytest.mark.parametrize(
    "name", ["KDIR", "KSRC", "SYSSRC", "KERNEL_SOURCES", "kernel_source_dir", "KLIB_BUILD", "LINUX"]
)
def test_a_folder_that_is_a_kernel_is_followed(name: str, module: Path, tree: Miniature) -> None:
    done = run(module, tree, "check", "--format=json", f"{name}=../{tree.objtree.relative_to(module.parent)}")
    assert named(done.stdout) == str(tree.objtree)


def test_an_object_tree_names_its_kernel(module: Path, tree: Miniature) -> None:
    done = run(module, tree, "check", "--format=json", f"O={tree.objtree}")
    assert named(done.stdout) == str(tree.objtree)


@pytest.mark.parametrize(
    "word",
    [
        "KVERSION=9.9.0-y",
        "KERNELRELEASE=9.9",
        "KVER=6.99.1",
        "KDIR=/nowhere",
        "SYSSRC=/nowhere",
        "KERN_DIR=/etc",
    ],
)
@pytest.mark.parametrize("command", ["check", "ci", "why", "affected", "graph", "ninja"])
def test_a_name_that_leads_nowhere_is_unknown(word: str, command: str, module: Path, tree: Miniature) -> None:
    """Never "fresh" of the running kernel where another one was named."""
    names = {"why": ["hello.o"], "affected": ["hello.rs"]}.get(command, [])
    done = run(module, tree, command, *names, word)
    assert done.returncode == 2
    assert word.partition("=")[0] in done.stdout + done.stderr


def test_other_words_name_no_kernel(tmp_path: Path) -> None:
    """A version of the module's own, a compiler, a symbol: nothing of it is a kernel."""
    given = {
        "VERSION": "1.2.3",
        "DRIVER_VERSION": "5.10",
        "CC": "clang",
        "V": "1",
        "CONFIG_X": "m",
        "M": "/usr",
    }
    assert find_named_kernel(given, {}, str(tmp_path)) is None
    with pytest.raises(NoTree):
        find_named_kernel({"KVERSION": "1.2.3"}, {}, str(tmp_path))


@pytest.mark.parametrize("kernel", [".", "../hello", "..", "../linux/rust"])
def test_a_kernel_that_is_none_is_named_as_it_was_meant(
    kernel: str, tree: Miniature, kdeps: RunKdeps
) -> None:
    """The path is relative to the user's folder. The module's own Makefile would call itself for ever."""
    done = kdeps(tree, "check", f"KDIR={kernel}", cwd=tree.external)
    assert done.returncode == 2
    assert f"{(tree.external / kernel).resolve()}: not a kernel tree" in done.stderr


@pytest.mark.parametrize("order", [("Makefile", "where.mk"), ("where.mk", "Makefile")])
@pytest.mark.parametrize("command", ["check", "make"])
def test_each_file_that_f_names_is_read(
    command: str, order: tuple[str, ...], tree: Miniature, kdeps: RunKdeps
) -> None:
    """One calls make, another one has the kernel that it is called with."""
    (tree.external / "Makefile").write_text("all:\n\t$(MAKE) -C $(WHERE) M=$(CURDIR)\n")
    (tree.external / "where.mk").write_text(f"WHERE := {tree.objtree}\n")
    tree.append("rust/kernel/time.rs", "pub fn more() {}\n")
    words = [word for name in order for word in ("-f", name)]
    done = kdeps(
        tree, command, *(["--on-stale=fail"] if command == "make" else []), *words, cwd=tree.external
    )
    assert (done.returncode, "rust/kernel/time.rs" in done.stdout + done.stderr) == (1, True), done


def test_a_kernels_makefile_behind_another_is_the_kernels(tree: Miniature, kdeps: RunKdeps) -> None:
    """``-f more.mk -f Makefile`` in the kernel's folder, and the other way round."""
    (tree.objtree / "more.mk").write_text("")
    tree.append("rust/kernel/time.rs", "pub fn more() {}\n")
    for order in (("more.mk", "Makefile"), ("Makefile", "more.mk")):
        words = [word for name in order for word in ("-f", name)]
        done = kdeps(tree, "make", "--on-stale=fail", *words, f"M={tree.external}", cwd=tree.objtree)
        assert (done.returncode, "rust/kernel/time.rs" in done.stderr) == (1, True), done


@pytest.mark.parametrize(
    "recipe", [". ./build.sh", "source build.sh", "@./build.sh", "sh build.sh", "python3 x.py"]
)
@pytest.mark.parametrize("command", ["check", "ci"])
def test_a_script_may_name_another_kernel(command: str, recipe: str, module: Path, tree: Miniature) -> None:
    """The running kernel is no guess then, but a wrong answer."""
    (module / "Makefile").write_text(f"obj-m := hello.o\nall:\n\t{recipe}\n")
    done = run(module, tree, command)
    assert (done.returncode, "may call make itself" in done.stdout + done.stderr) == (2, True), done


@pytest.mark.parametrize("command", ["check", "ci"])
def test_a_release_says_nothing_of_a_makefile_that_is_not_understood(
    command: str, module: Path, tree: Miniature
) -> None:
    """The script may take another kernel. A folder that the user names is the way out."""
    (module / "Makefile").write_text("obj-m := hello.o\nall:\n\t./build.sh\n")
    done = run(module, tree, command, "KERNELRELEASE=1.2.0-x")
    assert (done.returncode, "may call make itself" in done.stdout + done.stderr) == (2, True), done
    assert run(module, tree, command, f"KDIR={tree.objtree}").returncode == 0


def test_a_goal_that_builds_nothing_names_the_kernel(module: Path, tree: Miniature) -> None:
    (module / "Makefile").write_text(
        f"obj-m := hello.o\nclean:\n\tmake -C {tree.objtree} M=$(CURDIR) clean\n"
    )
    assert named(run(module, tree, "check", "--format=json", "clean").stdout) == str(tree.objtree)
