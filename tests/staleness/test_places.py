# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Every way to call make, and every place that a tree can have, is judged the same."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT, RunKdeps, paste_help
from tests.support.miniature import Miniature, Snapshot, has_deletion_sense
from tests.support.verdict import M, direct, judged


@pytest.mark.parametrize(
    "layout", ["absolute", "external", "output", "from objtree", "inside module", "in-tree folder", "env"]
)
def test_every_way_to_call_make_is_understood(
    layout: str, tree: Miniature, kdeps: RunKdeps, tmp_path: Path
) -> None:
    """However the module and the object tree are named, the stale crate is found."""
    words: tuple[str, ...] = (M,)
    cwd: Path | None = None
    env: dict[str, str] = {}
    if layout == "absolute":
        words = (f"M={tree.module}",)
    elif layout == "external":
        tree.make(f"M={tree.external}")
        words = (f"M={tree.external}",)
    elif layout == "output":
        tree.make(f"M={tree.external}", f"MO={tmp_path / 'mo'}")
        words = (f"M={tree.external}", f"MO={tmp_path / 'mo'}")
    elif layout == "from objtree":
        words, cwd = (f"M={tree.module}",), tree.objtree
    elif layout == "inside module":
        tree.make(f"M={tree.external}")
        words, cwd = (f"KDIR={tree.objtree}",), tree.external
    elif layout == "in-tree folder":
        words, cwd = (f"O={os.path.relpath(tree.objtree, tree.module)}",), tree.module
    elif layout == "env":
        cwd, env = tree.srctree, {"KBUILD_OUTPUT": str(tree.objtree)}
    assert kdeps(tree, "check", *words, cwd=cwd, env=env).returncode == 0
    tree.touch("rust/kernel/io.rs")

    done = kdeps(tree, "check", *words, cwd=cwd, env=env)

    assert done.returncode == 1
    assert "crate `kernel` is older than" in done.stdout
    paste_help(tree, done.stdout, cwd)
    assert kdeps(tree, "check", *words, cwd=cwd, env=env).stdout.startswith("fresh: "), done.stdout


def test_the_help_chooses_the_tools_that_the_environment_chose(tree: Miniature, kdeps: RunKdeps) -> None:
    """``LLVM=1 kdeps check``, pasted where LLVM is not set, must not configure the kernel for other tools."""
    tree.touch("rust/kernel/io.rs")

    done = kdeps(tree, "check", M, env={"ARCH": "x86"})

    assert f"    make {tree.tree_args[0]} ARCH=x86 modules_prepare &&\n" in done.stdout
    assert f"    make {tree.tree_args[0]} {M} ARCH=x86\n" in done.stdout


def test_an_in_source_build_is_judged_the_same(tmp_path: Path, in_source: Snapshot, kdeps: RunKdeps) -> None:
    """Without O= the records lie beside the sources; the answer is Kbuild's all the same."""
    tree = in_source.put(tmp_path / "in")
    assert judged(kdeps, tree, M)["verdict"] == "fresh"
    tree.touch("include/linux/pci.h")

    verdict = judged(kdeps, tree, M)

    assert direct(verdict, "kernel") == set(tree.kernel_answer("modules_prepare"))
    assert verdict["verdict"] == "stale"


@pytest.mark.parametrize("last", ["printf '", "printf '%", "printf '%s", ""])
def test_a_list_whose_record_is_cut_off_still_lists(last: str, tree: Miniature, kdeps: RunKdeps) -> None:
    """The .mod itself names the objects then; cut behind the %, its record matches any command (headers, seed 13)."""
    record = tree.module / ".nova-core.mod.cmd"
    text = record.read_text()
    record.write_text(text[: text.index("printf '") + len(last)] if last else "")
    os.utime(tree.module / "nova_core.o", ns=(0, 10**18))
    module = set(tree.kernel_answer(M))

    verdict = judged(kdeps, tree, M)

    assert direct(verdict, "module") == module
    assert "nova_core.o" in module
    assert ("nova-core.mod" in module) == (last != "printf '%")


def two_crates(tree: Miniature) -> Path:
    """Build one module folder with two crates, the second of which is given the first and does not load it.

    drivers/gpu/Makefile of 7.3 does this with nova-core and nova-drm.
    """
    folder = tree.external.with_name("two")
    folder.mkdir()
    (folder / "first.rs").write_text("pub fn first() {}\n")
    (folder / "second.rs").write_text("pub fn second() {}\n")
    (folder / "Kbuild").write_text(
        "obj-m := one.o two.o\none-y := first.o\ntwo-y := second.o\n"
        "RUSTFLAGS_first.o := --emit=metadata=$(obj)/libfirst.rmeta\n"
        "$(obj)/second.o: $(obj)/first.o\n"
        "RUSTFLAGS_second.o := -L $(obj) --extern first\n"
    )
    tree.make(f"M={folder}")
    return folder


@pytest.mark.parametrize("change", ["nothing", "touch first", "touch first, its record gone", "first gone"])
def test_a_crate_of_the_module_that_is_given_and_not_loaded(
    change: str, tree: Miniature, kdeps: RunKdeps
) -> None:
    """The Makefile's edge between two crates of one module folder is in no record of either."""
    folder = two_crates(tree)
    deps = (folder / ".second.o.cmd").read_text()
    assert "--extern first" in deps
    assert "libfirst.rmeta" not in deps
    if change.startswith("touch"):
        tree.touch(folder / "first.o")
    if change.endswith("gone"):
        (folder / (".first.o.cmd" if "record" in change else "first.o")).unlink()
    module = set(tree.kernel_answer(f"M={folder}"))

    verdict = judged(kdeps, tree, f"M={folder}")

    assert direct(verdict, "module") == module
    if change != "first gone":  # which is for make itself to see: not up to 4.4
        assert ("second.o" in module) == (change != "nothing")


@pytest.mark.parametrize("option", ["", "--exact"])
def test_a_list_that_the_next_make_would_need_is_pending(
    option: str, tree: Miniature, kdeps: RunKdeps
) -> None:
    """modules.order deleted: M= makes it anew before it reads it, so nothing is unknown about it.

    The referee cannot be asked: it executes nothing, and modpost's make then stops for want of the file.
    """
    (tree.module / "modules.order").unlink()

    verdict = judged(kdeps, tree, *filter(None, [option]), M)

    assert verdict["verdict"] == "fresh"
    assert "modules.order" in [rule["target"] for rule in verdict["pending"]]


@pytest.mark.parametrize(
    ("name", "cut"), [("nova-core.mod", False), ("nova-core.mod", True), ("nova_core.o", True)]
)
def test_a_link_to_nowhere_in_place_of_a_target(
    name: str, cut: bool, tree: Miniature, kdeps: RunKdeps
) -> None:
    """``$(wildcard)`` lists such a link, so Kbuild reads its record, and sees what that tells and no more."""
    link = tree.module / name
    link.unlink()
    link.symlink_to("nowhere")
    if cut:
        record = tree.module / f".{name}.cmd"
        record.write_text(record.read_text()[:40])
    module = set(tree.kernel_answer(M))

    verdict = judged(kdeps, tree, M)

    assert direct(verdict, "module") == module
    assert verdict["verdict"] == ("fresh" if cut else "stale")  # what make M= sees is pending


def test_a_stamp_that_is_a_link_to_nowhere_counts_where_make_sees_it(
    tree: Miniature, kdeps: RunKdeps
) -> None:
    """Its symbol is what it was. Only a make that notices deleted files builds again; to another one nothing is stale."""
    stamp = tree.objtree / "include/config/PCI"
    stamp.unlink()
    stamp.symlink_to("/nonexistent/x")
    stale = bool(tree.rebuilds("modules_prepare"))
    assert stale is has_deletion_sense()
    assert kdeps(tree, "check", M).returncode == int(stale)


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="gives up root's rights for it"
)
@pytest.mark.parametrize(
    ("name", "mode", "said"),
    [
        ("rust/libkernel.rmeta", 0, "libkernel.rmeta: Permission denied"),
        ("rust/.kernel.o.cmd", 0, ".kernel.o.cmd: Permission denied"),
        ("rust/kernel", 0o111, "its records cannot be read"),
    ],
)
def test_what_may_not_be_read_is_unknown(name: str, mode: int, said: str, tree: Miniature) -> None:
    """rustc could not read a crate either; and behind a folder that may not be listed nothing is gone."""
    (tree.objtree / name).chmod(mode)
    rights = "-dac_override,-dac_read_search"
    for words in (("check", M), ("affected", "--modules-only", "rust/kernel/io.rs"), ("why", "kernel", M)):
        done = subprocess.run(
            ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}", sys.executable, "-m", "kdeps", *words, *tree.tree_args],
            cwd=tree.srctree, env=tree.environment({"PYTHONPATH": str(CHECKOUT)}), capture_output=True, text=True, check=False,
        )  # fmt: skip
        if words[0] == "check" or not name.endswith(".rmeta"):
            assert done.returncode == 2, done.stdout + done.stderr
            assert said in done.stdout + done.stderr


@pytest.mark.parametrize("folder", ["rust", "rust/kernel", "include", "scripts", "scripts/mod"])
def test_a_folder_of_the_tree_may_be_a_link(
    folder: str, tree: Miniature, kdeps: RunKdeps, tmp_path: Path
) -> None:
    """make opens a record by its name, wherever that leads. They counted as gone, before and after any build."""
    if not (tree.objtree / folder).is_dir():
        pytest.skip("the miniature has no such folder")
    elsewhere = tmp_path / "elsewhere"
    (tree.objtree / folder).rename(elsewhere)
    (tree.objtree / folder).symlink_to(elsewhere)
    before = kdeps(tree, "check", M)
    assert (before.returncode, tree.kernel_answer("modules_prepare")) == (0, []), before.stdout
    tree.touch("rust/kernel/io.rs")
    assert kdeps(tree, "check", M).returncode == 1


def test_a_link_that_leads_up_is_not_followed(tree: Miniature, kdeps: RunKdeps) -> None:
    """The same records would be found again, under another name."""
    (tree.objtree / "rust/up").symlink_to("..")
    (tree.objtree / "scripts/here").symlink_to(".")
    (tree.objtree / "rust/nowhere").symlink_to("nothing")
    assert kdeps(tree, "check", M).stdout.startswith("fresh: ")
    tree.touch("rust/kernel/io.rs")
    assert kdeps(tree, "check", M).returncode == 1


@pytest.mark.parametrize("wrapper", ["env FOO=1", "env -u FOO", "nice -n 1", "env A=1 nice -n 1"])
def test_a_compiler_behind_another_program(wrapper: str, tree: Miniature, kdeps: RunKdeps) -> None:
    """Its command has words of the other program, and a folder that is no input."""
    words = (f"RUSTC={wrapper} rustc", f"M={tree.external}")
    tree.make(words[0], "modules_prepare")
    tree.make(*words)
    assert kdeps(tree, "check", *words).stdout.startswith("fresh: ")
    (tree.external / "new.txt").write_text("")  # the time of the folder is new
    assert kdeps(tree, "check", *words).stdout.startswith("fresh: ")
    (tree.external / "hello.rs").touch()
    assert "of its own to rebuild" in kdeps(tree, "check", *words).stdout
