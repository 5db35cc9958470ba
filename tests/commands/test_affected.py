# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps affected``: what a change would rebuild, before it is made."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kdeps.query.git import unquoted
from kdeps.refresh.make_run import store_durations
from tests.conftest import RunKdeps
from tests.support.affected import NOVA, affected_json, affected_paths
from tests.support.miniature import MODULE, Miniature
from tests.support.program import run, run_text

EDITS = (
    "rust/kernel/io.rs", "rust/macros/module.rs", "rust/helpers/pci.c", "rust/bindgen_parameters",
    "rust/bindings/bindings_helper.h", "include/linux/device.h", "rust/zerocopy/src/lib.rs", "rust/syn/lib.rs",
    "scripts/module.lds.S", "drivers/gpu/nova-core/gpu.rs", "rust/build_error.rs",
)  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_what_was_foretold_happens(name: str, tree: Miniature, kdeps: RunKdeps) -> None:
    """All that is certain is made again, and nothing that is not at least possible."""
    document = affected_json(kdeps, tree, name, NOVA)
    tree.append(name, "# edited\n" if name.endswith("parameters") else "\n// edited\n")
    ran = tree.rebuilds("modules_prepare") | tree.rebuilds(NOVA)
    effects = [*document["crates"], *document["modules"], *document["others"]]
    certain = {e["target"] for e in effects if e["certainty"] == "certain" and e["noticed"]}
    possible = {e["target"] for e in effects}
    assert certain <= ran | {"scripts/target.json", "scripts/mod/modpost"} | _unrecorded(tree, certain)
    assert ran <= possible


def _unrecorded(tree: Miniature, targets: set[str]) -> set[str]:
    """Those that leave no record to see them by."""
    found = set()
    for target in targets:
        folder, name = os.path.split(target)
        if not any((base / folder / f".{name}.cmd").exists() for base in (tree.objtree, tree.module)):
            found.add(target)
    return found


def test_the_answer_in_words(tree: Miniature, kdeps: RunKdeps) -> None:
    """Crates, modules, the rest with counts, then the commands."""
    tree.make("M=samples/rust")
    said = kdeps(tree, "affected", "rust/kernel/io.rs").stdout
    assert said == (
        "rust/kernel/io.rs\n"
        "\n"
        "1 crate, 2 modules and 10 other files to rebuild\n"
        "\n"
        "  crates   kernel\n"
        "  modules  drivers/gpu/nova-core: nova-core.ko\n"
        "           samples/rust: rust_minimal.ko\n"
        "  others   rust/exports_kernel_generated.h, drivers/gpu/nova-core/nova_core.o,\n"
        "           drivers/gpu/nova-core/nova-core.o, drivers/gpu/nova-core/modules.order,\n"
        "           drivers/gpu/nova-core/Module.symvers, drivers/gpu/nova-core/nova-core.mod.o (perhaps),\n"
        "           samples/rust/rust_minimal.o, and 3 more (--all lists them)\n"
        "\n"
        "  (perhaps): a step between replaces its output only when the content differs\n"
        "\n"
        "help: to rebuild it:\n"
        f"    make O={tree.objtree} modules_prepare &&\n"
        f"    make O={tree.objtree} M=drivers/gpu/nova-core &&\n"
        f"    make O={tree.objtree} M=samples/rust\n"
    )


def test_the_time_it_took(tree: Miniature, kdeps: RunKdeps) -> None:
    """Where earlier refreshes were timed, their time is said, and for how many of the steps."""
    store_durations({"rust/kernel.o": 4.25}, str(tree.objtree), dict(os.environ))
    said = kdeps(tree, "affected", "rust/kernel/io.rs", NOVA).stdout
    assert "# took 4.2 s the last time for 1 of 2 steps" in said
    document = affected_json(kdeps, tree, "rust/kernel/io.rs", NOVA)
    assert document["estimate"] == {"seconds": 4.25, "timed": 1, "untimed": 1}


@pytest.mark.parametrize(
    ("name", "kind", "note"),
    [
        ("macros", "step", ""),
        ("rust/macros/", "folder", "files that steps have read"),
        ("rust/macros", "folder", "files that steps have read"),
        ("CONFIG_PCI", "symbol", "it may change commands, which no record shows"),
        ("rust/kernel/new.rs", "new", "once rust/kernel/lib.rs has a line `mod new;`"),
        ("rust/kernel/new/mod.rs", "new", "once rust/kernel/lib.rs has a line `mod new;`"),
        (
            "drivers/gpu/nova-core/new.rs",
            "new",
            "once drivers/gpu/nova-core/nova_core.rs has a line `mod new;`",
        ),
        ("rust/helpers/new.c", "new", 'once rust/helpers/helpers.c has a line `#include "new.c"`'),
        ("include/linux/new.h", "unread", "a step will read it once a file that it compiles includes it"),
        ("include/linux/devize.h", "unread", "did you mean include/linux/device.h"),
        ("rust/Makefile", "unread", "make compares the commands that Makefile gives"),
        ("Kconfig", "configuration", "only after the next modules_prepare has synced"),
        ("../build/.config", "configuration", "no value in it differs"),
    ],
)
def test_what_is_understood(name: str, kind: str, note: str, tree: Miniature, kdeps: RunKdeps) -> None:
    """Each kind of thing is told from the others, and what is known about it is said."""
    change = affected_json(kdeps, tree, name, NOVA)["changes"][0]
    assert change["kind"] == kind
    assert note in change["note"]


def test_a_macro_crate_reaches_all_that_uses_it(tree: Miniature, kdeps: RunKdeps) -> None:
    """The crate by its name means its step runs again: the same as an edit of its source."""
    crates = [c["crate"] for c in affected_json(kdeps, tree, "macros", NOVA)["crates"]]
    assert crates == ["macros", "pin_init", "bindings", "uapi", "kernel"]
    assert affected_paths(affected_json(kdeps, tree, "macros", NOVA)) == affected_paths(
        affected_json(kdeps, tree, "rust/macros/module.rs", NOVA)
    )


def test_the_symbols_of_an_edited_configuration(tree: Miniature, kdeps: RunKdeps) -> None:
    """``.config`` means the symbols in it that differ from what was synced."""
    tree.set_config(PCI="n")
    change = affected_json(kdeps, tree, f"{tree.objtree}/.config", NOVA)["changes"][0]
    assert change["symbols"] == ["PCI"]


def test_what_no_step_has_read_is_said_to_be_nothing(tree: Miniature, kdeps: RunKdeps) -> None:
    """A file outside of the build rebuilds nothing, and that is an answer."""
    (tree.srctree / "MAINTAINERS").write_text("all of us\n")
    done = kdeps(tree, "affected", "MAINTAINERS", NOVA)
    assert (done.returncode, done.stderr) == (0, "")
    assert "By what the records show, nothing is rebuilt." in done.stdout


def test_one_file_with_two_names(tree: Miniature, kdeps: RunKdeps, tmp_path: Path) -> None:
    """A file that is named through a link is the file that the records name."""
    (tmp_path / "k").symlink_to(tree.srctree / "rust/kernel")
    by_link = affected_json(kdeps, tree, f"{tmp_path}/k/io.rs", NOVA)
    assert (
        affected_paths(by_link)
        == affected_paths(affected_json(kdeps, tree, "rust/kernel/io.rs", NOVA))
        != set()
    )


@pytest.mark.parametrize("left", [0, 0.6])
def test_a_record_that_does_not_say_what_was_read(tree: Miniature, kdeps: RunKdeps, left: float) -> None:
    """Nobody knows whether that step reads the file, so it is not said to be left alone."""
    record = tree.objtree / "rust/.kernel.o.cmd"
    text = record.read_text(encoding="utf-8")
    record.write_text(text[: int(len(text) * left)], encoding="utf-8")
    said = kdeps(tree, "affected", "rust/kernel/io.rs", NOVA).stdout
    assert (
        "note: ../build/rust/kernel.o may read any of it, because its record does not list what it reads: "
        in said
    )
    assert "  crates   kernel\n" in said
    document = affected_json(kdeps, tree, "rust/Makefile", NOVA)
    assert [entry["path"] for entry in document["unknown"]] == [f"{tree.objtree}/rust/kernel.o"]
    assert [crate["crate"] for crate in document["crates"]] == ["kernel"]
    assert [module["target"] for module in document["modules"]] == ["nova-core.ko"]


def test_only_the_folders_of_modules(tree: Miniature, kdeps: RunKdeps) -> None:
    """For a script: what to give M=, one a line."""
    tree.make("M=samples/rust")
    assert (
        kdeps(tree, "affected", "--modules-only", "rust/kernel/io.rs").stdout
        == "drivers/gpu/nova-core\nsamples/rust\n"
    )
    assert (
        kdeps(tree, "affected", "--modules-only", "drivers/gpu/nova-core/gpu.rs").stdout
        == "drivers/gpu/nova-core\n"
    )
    assert kdeps(tree, "affected", "--modules-only", "include/linux/nothing.h").stdout == ""


def test_several_modules_can_be_named(tree: Miniature, kdeps: RunKdeps) -> None:
    """``M=`` twice: one below the source tree, one elsewhere."""
    tree.make(f"M={tree.external}")
    document = affected_json(kdeps, tree, "rust/kernel/io.rs", NOVA, f"M={tree.external}")
    assert {m["module"] for m in document["module_folders"]} == {str(tree.module), str(tree.external)}
    assert {m["target"] for m in document["modules"]} == {"nova-core.ko", "hello.ko"}


def test_names_from_standard_input(tree: Miniature) -> None:
    """One a line or ended by NUL; what takes no part is counted, not refused."""
    words = ("affected", "--stdin", "--format", "json", *tree.tree_args, NOVA)
    for names in ("rust/kernel/io.rs\nREADME\ngone.c\n", "rust/kernel/io.rs\0README\0gone.c\0"):
        done = run_text(words, stdin=names, cwd=tree.srctree, env=tree.environment())
        document = json.loads(done.stdout)
        assert [c["kind"] for c in document["changes"]] == ["file", "unread", "unread"]
        assert [c["crate"] for c in document["crates"]] == ["kernel"]


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("rust/kernel/io.rs\r\n", "rust/kernel/io.rs"),
        (r'"rust/kernel/\303\274 \"\\\t.rs"', 'rust/kernel/ü "\\\t.rs'),
        ("rust/kernel/a\x0cb\u2028c.rs\n", "rust/kernel/a\x0cb\u2028c.rs"),
        ('"\n', '"'),
    ],
)
def test_a_name_as_git_prints_it(tree: Miniature, line: str, name: str) -> None:
    """`git diff --name-only` quotes names; only a newline ends one."""
    words = ("affected", "--stdin", "--format", "json", *tree.tree_args, NOVA)
    done = run(words, stdin=os.fsencode(line), cwd=tree.srctree, env=tree.environment())
    assert done.stderr == b""
    assert [c["name"] for c in json.loads(done.stdout)["changes"]] == [name]
    assert os.fsencode(unquoted(r'"\377\1"')) == b"\xff1"


def test_the_commands_link_as_the_given_one(tree: Miniature, kdeps: RunKdeps) -> None:
    """What says how modules are linked is not lost: without it the command would fail where the user's does not."""
    said = kdeps(tree, "affected", f"{MODULE}/nova_core.rs", NOVA, "KBUILD_MODPOST_WARN=1").stdout
    assert said.endswith(f"    make O={tree.objtree} {NOVA} KBUILD_MODPOST_WARN=1\n")
    said = kdeps(tree, "affected", "rust/kernel/io.rs", NOVA, "KBUILD_MODPOST_WARN=1").stdout
    assert f"    make O={tree.objtree} modules_prepare &&\n" in said


def test_no_names_on_standard_input(tree: Miniature, kdeps: RunKdeps) -> None:
    """As `git diff --name-only` gives them where nothing has changed."""
    done = kdeps(tree, "affected", "--stdin", NOVA)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "No change was named, so nothing is rebuilt.\n"


def test_a_doubt_is_explained_where_one_is_shown(tree: Miniature, kdeps: RunKdeps) -> None:
    """And not where the file that is in doubt stands beyond the end of a list."""
    for words in (("rust/",), ("rust/", "--all"), ("rust/kernel/io.rs",)):
        text = kdeps(tree, "affected", *words, NOVA).stdout
        assert text.count("(perhaps)") != 1
        assert ("(perhaps): a step between" in text) == (" (perhaps)" in text.replace("  (perhaps): ", ""))


@pytest.mark.parametrize(
    ("name", "reached"),
    [
        (f"{MODULE}/Makefile", [MODULE]),
        (f"{MODULE}/fb/Kbuild", [MODULE]),
        ("samples/rust/Makefile", ["samples/rust"]),
        ("drivers/net/Makefile", []),
        ("drivers/gpu/Makefile", []),
        ("rust/Makefile", [MODULE, "samples/rust"]),
        ("scripts/Makefile.build", [MODULE, "samples/rust"]),
        ("arch/x86/Makefile", [MODULE, "samples/rust"]),
        ("arch/x86/kernel/Makefile", []),
        ("arch/arm64/Makefile", []),
        ("Makefile", [MODULE, "samples/rust"]),
        ("Kconfig", [MODULE, "samples/rust"]),
    ],
)
def test_what_commands_are_made_of_may_change_them(
    name: str, reached: list[str], tree: Miniature, kdeps: RunKdeps
) -> None:
    """Whose commands a Makefile gives: its folder's, or everybody's; there, changed or deleted."""
    tree.make("M=samples/rust")
    modules = (NOVA, "M=samples/rust")
    listed = kdeps(tree, "affected", "--modules-only", "--stdin", *modules, stdin=f"{name}\n")
    assert (listed.returncode, listed.stdout.split()) == (0, reached)
    document = json.loads(
        kdeps(tree, "affected", "--stdin", "--format=json", *modules, stdin=f"{name}\n").stdout
    )
    assert [os.path.relpath(m["module"], tree.srctree) for m in document["unsure"]] == reached


def test_what_may_change_is_said_to_be_no_more_than_that(tree: Miniature, kdeps: RunKdeps) -> None:
    """In words, with the commands that would build it."""
    said = kdeps(tree, "affected", "rust/Makefile", NOVA).stdout
    assert "\n1 module with commands that may change\n" in said
    assert "nova-core: any of its commands may change\n" in said
    assert "modules_prepare &&\n" in said


@pytest.mark.parametrize("harm", ["emptied", "cut", "gone"])
def test_what_is_not_known_is_affected(tree: Miniature, kdeps: RunKdeps, harm: str) -> None:
    """A record that does not say what its step reads, a module without any: in the list, and told."""
    record = tree.module / ".nova_core.o.cmd"
    text = record.read_bytes()
    record.write_bytes(b"" if harm == "emptied" else text[: text.index(b"gpu.rs") + 3])
    if harm == "gone":
        record.unlink()
    done = kdeps(tree, "affected", "--modules-only", "rust/kernel/io.rs", NOVA, "M=samples/rust")
    assert done.stdout.split() == [MODULE, "samples/rust"]
    assert "nova_core.o" in done.stderr
    assert "not known" in done.stderr
    assert kdeps(tree, "affected", NOVA, "M=samples/rust", "rust/kernel/io.rs").stdout.count("not known") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "affected: which files?"),
        (("",), "an empty name means nothing"),
        (("kernl",), "kernl: no such file, crate or module in this build; did you mean kernel"),
        (("PCI",), "PCI: no such file, crate or module in this build; did you mean CONFIG_PCI"),
        (("CONFIG_PCJ",), "nothing that is built here depends on this symbol; did you mean CONFIG_PCI"),
        (("rust/kernel/io.rs", "M=nowhere"), "M= names no folder"),
    ],
)
def test_what_cannot_be_answered(
    words: tuple[str, ...], message: str, tree: Miniature, kdeps: RunKdeps
) -> None:
    """Exit 2 and one line."""
    done = kdeps(tree, "affected", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_after_a_clean_nothing_is_known(tree: Miniature, kdeps: RunKdeps) -> None:
    tree.make("clean")
    for words in (("affected", "rust/kernel/io.rs"), ("why", "kernel")):
        done = kdeps(tree, *words)
        assert (done.returncode, "nothing is built here" in done.stderr) == (2, True), done
