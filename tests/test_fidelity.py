# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""kdeps and Kbuild give the same answer, change by change, on real make.

The referee is the build itself with its deciding macros overridden
(``Miniature.kernel_reasons``); the conformance suite does the same on real kernels.
Differences found there are shrunk to a row here.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from kdeps.demo.miniature import MODULE, Miniature
from kdeps.report import verdict_json
from tests.conftest import CHECKOUT, RunKdeps, paste_help

M = f"M={MODULE}"
SCHEMA = json.loads((Path(verdict_json.__file__).parent / "verdict.schema.json").read_text())

Change = Callable[[Miniature], object]


def judged(kdeps: RunKdeps, tree: Miniature, *words: str, cwd: Path | None = None) -> dict[str, Any]:
    """Run ``kdeps check --format=json``, hold it to its schema, and return it."""
    done = kdeps(tree, "check", "--format=json", *words, cwd=cwd)
    assert "Traceback" not in done.stderr
    verdict: dict[str, Any] = json.loads(done.stdout)
    jsonschema.validate(verdict, SCHEMA)
    assert done.returncode == {"fresh": 0, "stale": 1, "unknown": 2}[verdict["verdict"]]
    return verdict


def direct(verdict: dict[str, Any], scope: str) -> set[str]:
    """The rules that are stale by themselves for a reason that Kbuild sees."""
    return {
        rule["target"]
        for rule in (*verdict["stale"], *verdict["pending"])
        if rule["scope"] == scope
        and any(r["kbuild"] and r["kind"] != "stale-prerequisite" for r in rule["reasons"])
    }


def touch(name: str) -> Change:
    return lambda tree: tree.touch(name)


def in_objtree(name: str, action: Callable[[Path], object]) -> Change:
    return lambda tree: action(tree.objtree / name)


def empty(path: Path) -> None:
    stamp = path.stat()
    path.write_bytes(b"")
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))


def touch_obj(name: str) -> Change:
    return lambda tree: tree.touch(tree.objtree / name)


CHANGES: dict[str, Change] = {
    "nothing": lambda _tree: None,
    "a file of the kernel crate": touch("rust/kernel/io.rs"),
    "the root of the kernel crate": touch("rust/kernel/lib.rs"),
    "a proc macro": touch("rust/macros/lib.rs"),
    "a C header that bindgen reads": touch("include/linux/pci.h"),
    "bindgen's parameters": touch("rust/bindgen_parameters"),
    "a C helper": touch("rust/helpers/helpers.c"),
    "the module's own source": touch(f"{MODULE}/nova_core.rs"),
    "an unrelated file": lambda tree: tree.edit("Documentation/notes.rst", "notes\n"),
    "an object of a crate": touch_obj("rust/bindings.o"),
    "metadata of a crate": touch_obj("rust/libkernel.rmeta"),
    "generated bindings": touch_obj("rust/bindings/bindings_generated.rs"),
    "a configuration symbol": touch_obj("include/config/PCI"),
    "the target specification": touch_obj("scripts/target.json"),
    "modpost": touch_obj("scripts/mod/modpost"),
    "kernel.o deleted": in_objtree("rust/kernel.o", Path.unlink),
    "core.o deleted": in_objtree("rust/core.o", Path.unlink),
    "a proc macro deleted": in_objtree("rust/libmacros.so", Path.unlink),
    "metadata deleted": in_objtree("rust/libkernel.rmeta", Path.unlink),
    "a record deleted": in_objtree("rust/.kernel.o.cmd", Path.unlink),
    "a record emptied": in_objtree("rust/.kernel.o.cmd", empty),
    "helpers.o's record deleted": in_objtree("rust/helpers/.helpers.o.cmd", Path.unlink),
    "the record of a list that nobody reads deleted": in_objtree(
        "rust/.exports_core_generated.h.cmd", Path.unlink
    ),
    "the kernel's Module.symvers appears": lambda tree: tree.edit(tree.objtree / "Module.symvers", ""),
    "a stray source in the module": lambda tree: tree.edit(f"{MODULE}/stray.rs", "// not built\n"),
    "a header deleted": lambda tree: tree.path("include/linux/pci.h").unlink(),
    "generated bindings deleted": in_objtree("rust/bindings/bindings_generated.rs", Path.unlink),
    "the module's object deleted": lambda tree: (tree.module / "nova_core.o").unlink(),
    "the module's linked object deleted": lambda tree: (tree.module / "nova-core.o").unlink(),
    "the module's root source deleted": lambda tree: (tree.module / "nova_core.rs").unlink(),
    "a source that a pattern rule finds deleted": lambda tree: tree.path(
        "rust/kernel/generated_arch_warn_asm.rs.S"
    ).unlink(),
    "a module's record deleted": lambda tree: (tree.module / ".nova_core.o.cmd").unlink(),
    "modules.order's record deleted": lambda tree: (tree.module / ".modules.order.cmd").unlink(),
    "two at once": lambda tree: (tree.touch("rust/ffi.rs"), tree.touch("include/linux/pci.h")),
}


@pytest.mark.parametrize("name", CHANGES)
def test_the_directly_stale_rules_are_kbuilds_own_answer(name: str, tree: Miniature, kdeps: RunKdeps) -> None:
    """After any change kdeps and the build itself name the same rules, for the kernel and for the module."""
    CHANGES[name](tree)
    kernel = set(tree.kernel_answer("modules_prepare"))
    module = set(tree.kernel_answer(M))
    before = tree.listing()

    verdict = judged(kdeps, tree, M)

    assert direct(verdict, "kernel") == kernel
    assert direct(verdict, "module") == module
    assert tree.listing() == before, "looking changed something"


@pytest.mark.parametrize("name", CHANGES)
def test_exact_gives_kbuilds_own_answer_too(name: str, tree: Miniature, kdeps: RunKdeps) -> None:
    """``--exact`` names the same rules and changes nothing."""
    CHANGES[name](tree)
    kernel = set(tree.kernel_answer("modules_prepare"))
    module = set(tree.kernel_answer(M))
    before = tree.listing()

    verdict = judged(kdeps, tree, "--exact", M)

    assert verdict["source"] == "kbuild"
    assert direct(verdict, "kernel") == kernel
    assert direct(verdict, "module") == module
    assert tree.listing() == before, "asking Kbuild changed something"


@pytest.mark.parametrize(
    "name", ["a file of the kernel crate", "a proc macro", "a C header that bindgen reads"]
)
def test_what_is_said_to_be_stale_is_what_make_rebuilds(name: str, tree: Miniature, kdeps: RunKdeps) -> None:
    """Rules said to be stale for certain are rebuilt, and nothing else than what was said to be stale."""
    CHANGES[name](tree)
    verdict = judged(kdeps, tree, M)
    said = {r["target"]: r["certainty"] for r in verdict["stale"] if r["scope"] == "kernel"}
    assert verdict["verdict"] == "stale"
    assert tree.rebuilds(M) == set(), "make M= was to rebuild nothing"

    rebuilt = tree.rebuilds("modules_prepare")

    assert {target for target, certainty in said.items() if certainty == "certain"} <= rebuilt <= said.keys()
    tree.make(M)
    assert judged(kdeps, tree, M)["verdict"] == "fresh"


@pytest.mark.parametrize("option", [(), ("--exact",)])
@pytest.mark.parametrize(
    "damage",
    [
        (),
        (".nova_core.o.cmd",),
        (".nova_core.o.cmd", "nova_core.o"),
        (".nova-core.mod.cmd",),
        (".nova-core.mod.cmd", "nova_core.o"),
        (".nova-core.mod.cmd", "nova-core.mod", ".nova-core.o.cmd"),
        (".modules.order.cmd", "modules.order", ".nova_core.o.cmd", ".nova-core.ko.cmd"),
    ],
)
def test_a_module_whose_records_do_not_name_its_crates_uses_them_all_the_same(
    damage: tuple[str, ...], option: tuple[str, ...], tree: Miniature, kdeps: RunKdeps
) -> None:
    """A first build that failed, or one that was broken off, leaves some records and not the one that counts."""
    for name in damage:
        (tree.module / name).unlink()
    tree.touch("rust/kernel/lib.rs")
    assert judged(kdeps, tree, *option, M)["verdict"] == "stale"


@pytest.mark.parametrize("size", [0, 20, 200])
def test_a_cut_off_record_of_a_module_hides_no_stale_crate(
    size: int, tree: Miniature, kdeps: RunKdeps
) -> None:
    """Empty, within its command, within its list."""
    record = tree.module / ".nova_core.o.cmd"
    text = record.read_bytes()
    record.write_bytes(text[: size if size < 200 else text.index(b"deps_") + 20])
    tree.touch("rust/kernel/lib.rs")
    assert judged(kdeps, tree, M)["verdict"] == "stale"


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        ("obj-m += new.o", "stale"),
        ("# new.o", "fresh"),
        ("obj-$(CONFIG_PCI) += other.o \\\n\tnew.o", "stale"),
        # drivers/net/phy: C, and Rust drivers that nobody has configured.
        ("obj-$(CONFIG_ABSENT) += other.o \\\n\tnew.o", "fresh"),
        ("CONFIG_OWN := m\nobj-$(CONFIG_OWN) += new.o", "stale"),
    ],
)
def test_the_first_rust_object_of_a_c_module_uses_crates(
    line: str, verdict: str, tree: Miniature, kdeps: RunKdeps
) -> None:
    """It has no record yet, and make builds it on whatever crates there are."""
    order = tree.module / ".modules.order.cmd"
    order.write_text(
        "savedcmd_modules.order := {:; } > modules.order\n"
    )  # only C, of which the miniature has none
    tree.edit(tree.module / "modules.order", "")
    (tree.module / "nova_core.rs").rename(tree.module / "new.rs")
    tree.edit(tree.module / "Makefile", f"obj-m := c.o\n{line}\n")
    tree.touch("rust/kernel/lib.rs")
    done = kdeps(tree, "check", "--format=json", M)
    assert json.loads(done.stdout)["verdict"] == verdict


def test_a_flag_on_the_command_line_is_seen_by_exact_only(tree: Miniature, kdeps: RunKdeps) -> None:
    """``KRUSTFLAGS=`` changes commands, which no record shows; --exact says which words differ."""
    assert judged(kdeps, tree, M, "KRUSTFLAGS=-Cdebuginfo=1")["verdict"] == "fresh"

    verdict = judged(kdeps, tree, "--exact", M, "KRUSTFLAGS=-Cdebuginfo=1")

    reasons = [r for rule in verdict["stale"] for r in rule["reasons"] if r["kind"] == "command-changed"]
    assert verdict["verdict"] == "stale"
    assert reasons
    assert all(r["added"] == ["-Cdebuginfo=1"] and r["removed"] == [] for r in reasons)


@pytest.mark.parametrize(
    "env", [{"KBUILD_EXTMOD": MODULE}, {"MAKEFLAGS": f" -- M={MODULE}"}, {"MAKEFLAGS": "Bkn"}]
)
def test_exact_asks_about_the_kernel_whatever_make_inherits(
    env: dict[str, str], tree: Miniature, kdeps: RunKdeps
) -> None:
    """A module in the environment is no part of that question, nor is that an outer make rebuilds all, or nothing."""
    tree.touch("rust/kernel/lib.rs")
    kernel = set(tree.kernel_answer("modules_prepare"))
    words = () if "KBUILD_EXTMOD" in env else (M,)
    done = kdeps(tree, "check", "--exact", "--format=json", *words, env=env)
    assert direct(json.loads(done.stdout), "kernel") == kernel


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_exact_told_to_end_leaves_nothing_behind(number: int, tree: Miniature, tmp_path: Path) -> None:
    """The make that was asked stands in a session of its own: nobody else would end it."""
    with (tree.srctree / "Makefile").open("a") as makefile:
        makefile.write(f"$(shell touch {tree.srctree}/asked; sleep 60)\n")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    asking = subprocess.Popen(
        [sys.executable, "-m", "kdeps", "check", "--exact", *tree.tree_args, M],
        cwd=tree.srctree, env=tree.environment({"PYTHONPATH": str(CHECKOUT), "TMPDIR": str(temporary)}),
    )  # fmt: skip
    while not (tree.srctree / "asked").exists():
        assert asking.poll() is None
        time.sleep(0.02)
    asking.send_signal(number)
    assert asking.wait(20) == (130 if number == signal.SIGINT else -number)
    assert list(temporary.iterdir()) == []
    left = subprocess.run(
        ["pgrep", "-f", f"^make .*{tree.root}"], capture_output=True, text=True, check=False
    )
    assert left.stdout == ""


def test_exact_does_not_sync_the_configuration(tree: Miniature, kdeps: RunKdeps) -> None:
    """An edited ``.config`` is said to be unsynced; asking Kbuild does not sync it behind one's back."""
    tree.set_config(DEBUG_FS="y")
    before = tree.listing()

    verdict = judged(kdeps, tree, "--exact", M)

    assert [finding["kind"] for finding in verdict["findings"]] == ["config-not-synced"]
    assert "CONFIG_DEBUG_FS: n → y" in verdict["findings"][0]["message"]
    assert tree.listing() == before


def test_the_name_of_a_step_is_nothing_that_could_be_stale(tree: Miniature, kdeps: RunKdeps) -> None:
    """6.12's tools/lib/subcmd takes ``install_headers`` each time, and no such file is made (lts, seed 1, exact 0)."""
    with (tree.srctree / "Makefile").open("a") as makefile:
        makefile.write(
            "QUIET_INSTALL = @printf '  INSTALL %s\\n' $1;\n"
            "modules_prepare: install_headers\n"
            f"install_headers: {tree.srctree}/Makefile\n"
            "\t$(call QUIET_INSTALL, libsubcmd_headers)\n"
        )
    assert "INSTALL libsubcmd_headers" in tree.make("modules_prepare").stdout

    assert direct(judged(kdeps, tree, "--exact", M), "kernel") == set()


def test_another_rustc_is_a_toolchain_change(tree: Miniature, kdeps: RunKdeps) -> None:
    """rustc replaced: the crates are those of another compiler, and M= does not look."""
    tree.set_version("rustc", "1.98.0")

    verdict = judged(kdeps, tree, M)

    assert "toolchain-changed" in [finding["kind"] for finding in verdict["findings"]]
    assert verdict["verdict"] == "stale"


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


def test_an_in_source_build_is_judged_the_same(tmp_path: Path, kdeps: RunKdeps) -> None:
    """Without O= the records lie beside the sources; the answer is Kbuild's all the same."""
    from kdeps.demo.miniature import create

    tree = create(tmp_path / "in")
    tree.build()
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
