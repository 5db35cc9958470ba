# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps why``: the chain to what makes a target stale, to a source, and to all that uses a file."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CHECKOUT, RunKdeps
from tests.support.miniature import MODULE, Miniature
from tests.support.program import run_text
from tests.support.schemas import validate

NOVA = "M=drivers/gpu/nova-core"


def _json(kdeps: RunKdeps, tree: Miniature, *words: str, status: int | None = None) -> dict[str, Any]:
    done = kdeps(tree, "why", "--format=json", *words)
    if status is not None:
        assert done.returncode == status, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    validate(document, "why")
    return document


def _plain(text: str) -> str:
    """Times away: they are what changes from run to run."""
    text = re.sub(r"\d[\d.]* (?:ms|s|min|h|days)", "T", text)
    return re.sub(r" {2,}", "  ", text)


def test_the_chain_in_words(tree: Miniature, kdeps: RunKdeps) -> None:
    """One step a line, from the module down to the edit; the line that make M= does not cross is drawn."""
    tree.touch("rust/kernel/io.rs")
    done = kdeps(tree, "why", "nova-core.ko", NOVA)
    build = os.path.relpath(tree.objtree, tree.srctree)
    assert done.returncode == 1
    assert _plain(done.stdout) == (
        "stale: drivers/gpu/nova-core/nova-core.ko: crate `kernel` is older than rust/kernel/io.rs, changed T ago\n"
        "\n"
        "  drivers/gpu/nova-core/nova-core.ko  built T ago  from nova-core.o, which is stale\n"
        "  ← drivers/gpu/nova-core/nova-core.o  built T ago  from nova_core.o, which is stale\n"
        "  ← drivers/gpu/nova-core/nova_core.o  built T ago  from libkernel.rmeta, which is stale\n"
        f"  ← {build}/rust/libkernel.rmeta (crate `kernel`)  built T ago  T older than io.rs\n"
        "  ┄┄ `make M=drivers/gpu/nova-core` looks no further ┄┄\n"
        "  ⇠ rust/kernel/io.rs  changed T ago\n"
        "\n"
        "note: `make M=drivers/gpu/nova-core` silently uses it as it is\n"
        f"help: `kdeps make O={tree.objtree} M=drivers/gpu/nova-core`, or by hand:\n"
        f"  make O={tree.objtree} modules_prepare &&\n"
        f"  make O={tree.objtree} M=drivers/gpu/nova-core\n"
    )


@pytest.mark.parametrize(
    "name", ["kernel", "libkernel.rmeta", "kernel.o", "rust/kernel.o", "rust/.kernel.o.cmd"]
)
def test_every_name_of_a_target_has_the_same_answer(name: str, tree: Miniature, kdeps: RunKdeps) -> None:
    """However the crate is named, it is stale for the same file."""
    edited = tree.touch("rust/kernel/device.rs")
    document = _json(kdeps, tree, name, NOVA, status=1)
    assert [step["path"] for step in document["chains"][0]["steps"]][1:] == [str(edited)]


def test_of_two_causes_the_nearest_is_shown(tree: Miniature, kdeps: RunKdeps) -> None:
    """Without --all the shortest chain and how many more there are; with it each cause once."""
    far = tree.touch("rust/macros/module.rs")
    near = tree.touch("rust/kernel/io.rs")
    document = _json(kdeps, tree, "nova_core.o", NOVA, status=1)
    assert (document["causes"], len(document["chains"])) == (2, 1)
    assert len(document["chains"][0]["steps"]) == 3
    everything = _json(kdeps, tree, "--all", "nova_core.o", NOVA, status=1)
    assert {p for c in everything["chains"] for p in c["cause"]["paths"]} == {str(near), str(far)}
    lengths = [len(chain["steps"]) for chain in everything["chains"]]
    assert lengths == sorted(lengths)
    assert "1 more cause makes it stale; --all shows it" in kdeps(tree, "why", "nova_core.o", NOVA).stdout


def test_a_fresh_target_says_what_it_rests_on(tree: Miniature, kdeps: RunKdeps) -> None:
    """Nothing is stale: exit 0, and the newest file that was looked at."""
    done = kdeps(tree, "why", "kernel", NOVA)
    assert done.returncode == 0
    assert re.match(
        r"fresh: .*libkernel\.rmeta \(crate `kernel`\): built .* ago, and none of the \d+ files", done.stdout
    )


def test_what_make_rebuilds_by_itself_is_told_from_what_it_does_not(tree: Miniature, kdeps: RunKdeps) -> None:
    """An edit of the module's own source is no trap."""
    tree.touch(tree.module / "gpu.rs")
    done = kdeps(tree, "why", "nova-core.ko", NOVA)
    assert done.returncode == 1
    assert "note: `make M=drivers/gpu/nova-core` rebuilds it by itself" in done.stdout
    assert "silently" not in done.stdout


def test_what_make_sees_does_not_hide_what_it_misses(tree: Miniature, kdeps: RunKdeps) -> None:
    """A header that the module and the crates both read: the short chain, and the one beyond make M=."""
    tree.touch("include/linux/types.h")
    document = _json(kdeps, tree, "nova-core.ko", NOVA, status=1)
    assert [chain["missed"] for chain in document["chains"]] == [False, True]
    said = kdeps(tree, "why", "nova-core.ko", NOVA).stdout
    assert "rebuilds it, but silently on top of the stale kernel artifacts" in said
    assert "modules_prepare" in said


@pytest.mark.parametrize(
    ("source", "end"),
    [
        ("rust/kernel/io.rs", "{s}/rust/kernel/io.rs"),
        ("rust/macros/", "{s}/rust/macros/"),
        ("CONFIG_PCI", "{o}/include/config/PCI"),
        ("macros", "{o}/rust/libmacros.so"),
        ("libbindings.rmeta", "{o}/rust/libbindings.rmeta"),
        ("include/linux/device.h", "{s}/include/linux/device.h"),
        ("linux/device.h", "{s}/include/linux/device.h"),
    ],
)
def test_the_chain_to_a_source(source: str, end: str, tree: Miniature, kdeps: RunKdeps) -> None:
    """A file, a folder, a symbol and a crate can be asked for; stale or not."""
    document = _json(kdeps, tree, "nova-core.ko", source, NOVA, status=0)
    steps = document["chains"][0]["steps"]
    assert steps[0]["target"] == "nova-core.ko"
    assert steps[-1]["path"].startswith(end.format(s=tree.srctree, o=tree.objtree))
    assert document["chains"][0]["cause"] is None


@pytest.mark.parametrize("target", ["nova_core.o", ".module-common.o"])
def test_a_symbol_of_a_module_is_that_of_the_object_tree(
    target: str, tree: Miniature, kdeps: RunKdeps
) -> None:
    """Kbuild looks for its stamp in the module's folder, where none is; the one that counts is named."""
    record = tree.path(f"{MODULE}/.{target}.cmd").read_text()
    symbol = re.findall(r"include/config/(\w+)\)", record)[0]
    document = _json(kdeps, tree, target, f"CONFIG_{symbol}", NOVA, status=0)
    end = document["chains"][0]["steps"][-1]
    assert end["path"] == f"{tree.objtree}/include/config/{symbol}"
    stamp = Path(end["path"])
    assert end["mtime_ns"] == (stamp.stat().st_mtime_ns if stamp.exists() else None)


def test_no_chain(tree: Miniature, kdeps: RunKdeps) -> None:
    """A target that is not made from a source: exit 2 and one line."""
    done = kdeps(tree, "why", "rust/core.o", "rust/kernel/io.rs", NOVA)
    assert done.returncode == 2
    assert (
        done.stderr == "kdeps: error: rust/core.o: is not made from rust/kernel/io.rs, not even indirectly\n"
    )
    done = kdeps(tree, "why", "rust/kernel/io.rs", "nova-core.ko", NOVA)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith(
        "is not made from nova-core.ko, not even indirectly; nova-core.ko is made from it: name that first\n"
    )
    done = kdeps(tree, "why", "nova-core.ko", "nova-core.ko", NOVA)
    assert done.stderr.endswith("is not made from nova-core.ko, not even indirectly\n")


def test_who_uses_a_file(tree: Miniature, kdeps: RunKdeps) -> None:
    """The other way: every step once, nearest first, each with the step it comes through."""
    document = _json(kdeps, tree, "--used-by", "rust/kernel/io.rs", NOVA, status=0)
    users = {user["target"]: user for user in document["users"]}
    assert users["rust/kernel.o"]["distance"] == 1
    assert users["nova_core.o"]["from"] == f"{tree.objtree}/rust/kernel.o"
    assert users["nova_core.o"]["via"] == f"{tree.objtree}/rust/libkernel.rmeta"
    assert users["nova-core.ko"]["taken"]
    assert not users["rust/kernel.o"]["taken"]
    distances = [user["distance"] for user in document["users"]]
    assert distances == sorted(distances)


def test_a_user_that_is_only_possibly_stale_is_said_to_be_that(tree: Miniature, kdeps: RunKdeps) -> None:
    """modpost leaves its .mod.c alone where nothing in it changes, and then what is made from that is fresh."""
    tree.touch("rust/kernel/io.rs")
    said = kdeps(tree, "why", "--used-by", "rust/kernel/io.rs", NOVA).stdout
    assert re.search(r"nova-core\.ko  stale$", said, re.MULTILINE)
    assert re.search(r"nova-core\.mod\.o  possibly stale$", said, re.MULTILINE)


def test_all_modules_use_it_where_none_is_named(tree: Miniature, kdeps: RunKdeps) -> None:
    """Without M= every module that has a record is among the users."""
    tree.make("M=samples/rust")
    said = kdeps(tree, "why", "--used-by", "rust/kernel/io.rs").stdout
    assert "nova-core.ko" in said
    assert "rust_minimal.ko" in said


def test_neighbours_are_those_of_every_module(tree: Miniature, kdeps: RunKdeps) -> None:
    """Without M= a mistyped object of a module is told like one of the kernel."""
    done = kdeps(tree, "why", "nova_cor.o")
    assert done.returncode == 2
    assert "; did you mean nova_core.o" in done.stderr


def test_the_module_of_a_target_is_found(tree: Miniature, kdeps: RunKdeps) -> None:
    """Without M= the module is found by its records, and named as M= takes it."""
    tree.touch("rust/kernel/io.rs")
    done = kdeps(tree, "why", "nova-core.ko")
    assert done.returncode == 1
    assert "`make M=drivers/gpu/nova-core` looks no further" in done.stdout


def test_the_configuration_as_a_whole(tree: Miniature, kdeps: RunKdeps) -> None:
    """What no single rule is to blame for is said first, and the target is not called fresh for it."""
    tree.set_config(PCI="n")
    done = kdeps(tree, "why", "kernel", NOVA)
    assert done.returncode == 1
    assert done.stdout.startswith("stale: the configuration is not synced")


def test_an_unreadable_record_is_not_fresh(tree: Miniature, kdeps: RunKdeps) -> None:
    """What cannot be judged never exits 0."""
    record = tree.objtree / "rust/.libmacros.so.cmd"
    record.unlink()
    record.mkdir()
    done = kdeps(tree, "why", "core", NOVA)
    assert done.returncode == 2
    assert "unknown: " in done.stdout


def test_without_a_module_the_cure_is_said_all_the_same(tree: Miniature, kdeps: RunKdeps) -> None:
    """Nobody has to know what refreshes a crate."""
    tree.touch("rust/kernel/io.rs")
    done = kdeps(tree, "why", "kernel")
    assert done.returncode == 1
    assert done.stdout.endswith(f"help: to refresh:\n    make O={tree.objtree} modules_prepare\n")
    assert "M=" not in done.stdout


def test_what_only_kbuild_knows(tree: Miniature, kdeps: RunKdeps) -> None:
    """With --exact a changed command is a root cause as well."""
    done = kdeps(tree, "why", "--exact", "kernel", NOVA, "KRUSTFLAGS=-Cdebuginfo=1")
    assert done.returncode == 1
    assert "would be built by another command now" in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "why: which target?"),
        (("a", "b", "c"), "c: why takes one target and at most one source"),
        (("--used-by", "a", "b"), "b: --used-by takes one file"),
        (("",), "an empty name means nothing"),
        (("kernl",), "kernl: no such file, crate or module in this build; did you mean kernel"),
        (
            ("rust/kernel",),
            "a folder; name a file of it, or the crate: kernel, or see `kdeps affected rust/kernel`",
        ),
        (("include/linux/",), "a folder; name a file of it, or see `kdeps affected include/linux/`"),
        (("--alll", "kernel"), "no such option"),
    ],
)
def test_what_cannot_be_answered(
    words: tuple[str, ...], message: str, tree: Miniature, kdeps: RunKdeps
) -> None:
    """Exit 2, one line, and what to say instead."""
    done = kdeps(tree, "why", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_options_may_stand_behind(tree: Miniature) -> None:
    """``kdeps why kernel --all`` is what people type."""
    done = run_text(
        ("why", "kernel", *tree.tree_args, "--format", "json", "--all"),
        cwd=tree.srctree,
        env=tree.environment(),
    )
    assert json.loads(done.stdout)["verdict"] == "fresh"


def test_nothing_is_written_by_looking(tree: Miniature, kdeps: RunKdeps) -> None:
    """Every question leaves every byte and every time of the trees as they were."""
    tree.touch("rust/kernel/io.rs")
    before = tree.listing()
    kdeps(tree, "why", "nova-core.ko")
    kdeps(tree, "why", "--used-by", "rust/kernel/io.rs")
    kdeps(tree, "affected", "rust/kernel/io.rs")
    kdeps(tree, "doctor", NOVA)
    assert tree.listing() == before


def test_networkx_is_not_needed(tree: Miniature) -> None:
    """These answers come without networkx, which alone takes longer to import than they do."""
    code = (
        "import sys; sys.modules['networkx'] = None; from kdeps.cli.dispatch import run; "
        "sys.exit(run(sys.argv[1:]))"
    )
    for words in (["why", "kernel"], ["affected", "rust/kernel/io.rs"], ["doctor"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *words, *tree.tree_args, NOVA],
            cwd=tree.srctree, env=tree.environment({"PYTHONPATH": str(CHECKOUT)}), capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


def test_no_refresh_with_other_tools_is_advised(tree: Miniature, kdeps: RunKdeps) -> None:
    """Pasted, it would configure the whole kernel anew for one ``LLVM=1`` too many."""
    tree.touch("rust/kernel/io.rs")
    done = kdeps(tree, "why", "nova-core.ko", f"M={MODULE}", "LLVM=1")
    assert "modules_prepare" not in done.stdout
    assert "help: the tree was configured without LLVM=" in done.stdout


def test_a_source_is_said_to_be_one_and_what_uses_it(tree: Miniature, kdeps: RunKdeps) -> None:
    """``why FILE`` of a file that no step makes answers what somebody wants to know of it."""
    tree.touch("rust/kernel/io.rs")
    done = kdeps(tree, "why", "rust/kernel/io.rs", NOVA)
    assert "rust/kernel/io.rs: a source; no step makes it\n" in done.stdout
    assert "rust/kernel/io.rs is used by 1 step, and through it by " in done.stdout
    assert re.search(r"kernel\.o \(crate `kernel`\)  stale\n", done.stdout)
    assert "nova_core.o" in done.stdout


@pytest.mark.parametrize("command", [("check",), ("why", "nova_core.o")])
def test_the_one_command_is_named_and_does_it_all(
    command: tuple[str, ...], tree: Miniature, kdeps: RunKdeps
) -> None:
    """``kdeps make`` with the words of the user, as it stands in the help."""
    tree.touch("rust/kernel/io.rs")
    done = kdeps(tree, command[0], *command[1:], NOVA)
    (shown,) = re.findall(r"^help: `kdeps (make .*)`, or by hand:$", done.stdout, re.MULTILINE)
    words = shown.split()
    assert kdeps(tree, words[0], *words[1:], cwd=tree.srctree).returncode == 0
    assert kdeps(tree, "check", NOVA).returncode == 0


def test_of_two_modules_of_one_name_none_is_taken(tree: Miniature, kdeps: RunKdeps) -> None:
    """A wrong guess would look like an answer."""
    other = "drivers/x/nova-core"
    shutil.copytree(tree.srctree / MODULE, tree.srctree / other)
    tree.make(f"M={other}")
    done = kdeps(tree, "why", "nova-core.ko")
    assert (done.returncode, "name the module with M=" in done.stderr) == (2, True), done
    assert kdeps(tree, "why", "nova-core.ko", f"M={other}").returncode == 0


def test_a_source_to_put_back_is_all_that_helps(tree: Miniature, kdeps: RunKdeps) -> None:
    """kdeps make would refuse, so it is not advised."""
    (tree.module / "nova_core.rs").unlink()
    done = kdeps(tree, "why", "nova-core.ko", f"M={MODULE}")
    assert (done.returncode, "kdeps make" in done.stdout) == (1, False), done.stdout
    assert "nova_core.rs back, or take it out of the Makefile" in done.stdout


def test_an_unsynced_configuration_leaves_one_verdict(tree: Miniature, kdeps: RunKdeps) -> None:
    """The target is older than nothing, but it is not fresh, and the cure is the one that check has."""
    tree.set_config(LOG_BUF_SHIFT="19")
    done = kdeps(tree, "why", "nova-core.ko", f"M={MODULE}")
    assert (done.returncode, "fresh:" in done.stdout, "olddefconfig" in done.stdout) == (1, False, True), (
        done.stdout
    )
