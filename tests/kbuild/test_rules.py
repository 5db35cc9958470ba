# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Records turned into rules: what no record says must be there all the same."""

from __future__ import annotations

import os

import pytest

from kdeps.kbuild.rule import Action, Rule
from kdeps.kbuild.rules import read_rules
from kdeps.kbuild.tree import find_tree
from tests.conftest import RunKdeps, paste_help
from tests.support.miniature import Miniature
from tests.support.verdict import M, direct, judged


def rules_of(tree: Miniature) -> dict[str, Rule]:
    """Every rule of the kernel by its name."""
    found = find_tree(("modules_prepare", *tree.tree_args), str(tree.srctree), dict(os.environ))
    return {rule.name: rule for rule in read_rules(found).rules}


def test_a_generated_header_that_is_gone_stays_a_prerequisite(tree: Miniature) -> None:
    """Kbuild makes rq-offsets.s wait for asm-offsets.h, which leaves no record (out, seed 11, case 191)."""
    for name, generated in (
        ("arch/x86/kernel/asm-offsets.s", "include/generated/asm-offsets.h"),
        ("kernel/sched/rq-offsets.s", "include/generated/rq-offsets.h"),
    ):
        target = tree.objtree / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("assembler\n")
        source = tree.srctree / f"{name[:-1]}c"
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text("\n")
        target.with_name(f".{target.name}.cmd").write_text(
            f"savedcmd_{name} := gcc -S -o {name} {source}\n\nsource_{name} := {source}\n\ndeps_{name} := \\\n"
        )
        tree.edit(tree.objtree / generated, "#define X 1\n")
    header = tree.objtree / "include/generated/asm-offsets.h"
    assert str(header) in rules_of(tree)["kernel/sched/rq-offsets.s"].prerequisites

    header.unlink()

    assert str(header) in rules_of(tree)["kernel/sched/rq-offsets.s"].prerequisites


def test_objtool_is_made_from_the_library_where_6_1_puts_it(tree: Miniature) -> None:
    """Up to 6.1 libsubcmd.a lies beside objtool, and only make knows that it is linked in (c61, seed 3, really 1)."""
    for name in ("libsubcmd-in.o", "objtool-in.o"):
        target = tree.edit(tree.objtree / "tools/objtool" / name, "object\n")
        path = f"{tree.objtree}/tools/objtool/{name}"
        target.with_name(f".{name}.cmd").write_text(f"cmd_{path} := ld -r -o {path} {path[:-5]}.o\n")
    tree.edit(tree.objtree / "tools/objtool/libsubcmd.a", "archive\n")

    rules = rules_of(tree)

    archive = f"{tree.objtree}/tools/objtool/libsubcmd.a"
    assert archive in rules["tools/objtool/objtool"].prerequisites
    assert rules["tools/objtool/libsubcmd.a"].prerequisites == (archive[:-2] + "-in.o",)


def test_a_header_that_a_tool_installs_is_made_from_its_source(tree: Miniature) -> None:
    """6.12 copies libsubcmd's headers for objtool by a plain make rule (lts, seed 14, case 26)."""
    installed = tree.edit(tree.objtree / "tools/objtool/libsubcmd/include/subcmd/pager.h", "#define P 1\n")
    source = tree.edit(tree.srctree / "tools/lib/subcmd/pager.h", "#define P 1\n")

    rules = rules_of(tree)

    assert rules["tools/objtool/libsubcmd/include/subcmd/pager.h"].prerequisites == (str(source),)
    assert rules["tools/objtool/libsubcmd/include/subcmd/pager.h"].target == str(installed)


def test_a_generated_export_list_without_its_record_is_still_a_target(tree: Miniature) -> None:
    """drivers/gpu of 7.3 generates a header inside the module, and its record can go (next, seed 14, case 19)."""
    name = "exports_nova_core_generated.h"
    folder = tree.module
    (folder / name).write_text("EXPORT_SYMBOL_RUST_GPL(x);\n")
    record = next(path for path in folder.rglob(".*.o.cmd") if "deps_" in path.read_text())
    text = record.read_text()
    end = text.index(" := \\\n", text.index("\ndeps_")) + len(" := \\\n")
    record.write_text(f"{text[:end]}  {folder / name} \\\n{text[end:]}")
    found = find_tree((f"M={folder}", *tree.tree_args), str(tree.srctree), dict(os.environ))

    rules = {rule.name: rule for rule in read_rules(found).rules}

    assert rules[name].record is None
    assert rules[name].action is Action.IF_CHANGED


def test_a_header_that_only_includes_another_is_made_again_when_that_is_newer(tree: Miniature) -> None:
    """Kbuild writes such wrappers without a record. Other generated headers get no rule."""
    record = next(path for path in (tree.objtree / "rust").rglob(".*.cmd") if "\ndeps_" in path.read_text())
    text = record.read_text()
    end = text.index(" := \\\n", text.index("\ndeps_")) + len(" := \\\n")
    names = ("asm/mmiowb.h", "uapi/asm/errno.h", "asm/none.h")
    listed = "".join(f"  arch/x86/include/generated/{name} \\\n" for name in names)
    record.write_text(text[:end] + listed + text[end:])
    sources = [
        tree.edit(tree.srctree / f"include/{name}", "#define X 1\n")
        for name in ("asm-generic/mmiowb.h", "uapi/asm-generic/errno.h")
    ]

    rules = rules_of(tree)

    wrappers = [rules[f"arch/x86/include/generated/{name}"] for name in names[:2]]
    assert [rule.prerequisites for rule in wrappers] == [(str(source),) for source in sources]
    assert {rule.action for rule in wrappers} == {Action.PLAIN}
    assert f"arch/x86/include/generated/{names[2]}" not in rules
    tree.edit(tree.srctree / "scripts/Makefile.asm-generic", "$(obj)/%.h:\n\t$(call cmd,wrap)\n")
    assert [rules_of(tree)[rule.name].prerequisites for rule in wrappers] == [(), ()]


BASIC = """
quiet_cmd_touch = TOUCH   $@
      cmd_touch = touch $@
$(obj)/../../include/generated/integer-wrap.h: $(srctree)/scripts/integer-wrap-ignore.scl FORCE
\t$(call if_changed,touch)
quiet_cmd_create_randstruct_seed = GENSEED $@
cmd_create_randstruct_seed = $(CONFIG_SHELL) $(srctree)/scripts/gen-randstruct-seed.sh \\
\t\t$@ $(objtree)/include/generated/randstruct_hash.h
$(obj)/randstruct.seed: $(srctree)/scripts/gen-randstruct-seed.sh FORCE
\t$(call if_changed,create_randstruct_seed)
always-y += ../../include/generated/integer-wrap.h randstruct.seed
"""
"""As in linux ``scripts/basic/Makefile``, of 7.2."""


@pytest.mark.parametrize(
    ("name", "gone"),
    [
        ("scripts/integer-wrap-ignore.scl", False),
        ("scripts/gen-randstruct-seed.sh", False),
        ("include/generated/integer-wrap.h", True),
        ("scripts/basic/randstruct.seed", True),
        ("include/generated/randstruct_hash.h", True),
    ],
)
def test_a_header_for_every_compile_that_scripts_make(
    name: str, gone: bool, tree: Miniature, kdeps: RunKdeps
) -> None:
    """linux/compiler-version.h includes them, so all that is compiled depends on them."""
    tree.edit(tree.srctree / "scripts/integer-wrap-ignore.scl", "[a]\n")
    seed = '#!/bin/sh\ndate +%N > "$1"\necho "#define RANDSTRUCT_HASHED_SEED $(cat "$1")" > "$2"\n'
    tree.edit(tree.srctree / "scripts/gen-randstruct-seed.sh", seed)
    tree.append("scripts/basic/Makefile", BASIC)
    include = "#include <generated/integer-wrap.h>\n#include <generated/randstruct_hash.h>\n"
    tree.append("include/linux/kconfig.h", include)
    tree.make("modules_prepare")
    tree.make(M)
    assert judged(kdeps, tree, M)["verdict"] == "fresh"
    (tree.objtree / name).unlink() if gone else tree.touch(name)
    verdict = judged(kdeps, tree, M)
    seen = set(map(os.path.normpath, tree.kernel_answer("modules_prepare")))
    assert verdict["verdict"] == "stale"
    assert direct(verdict, "kernel") >= seen
    assert seen or name.endswith("randstruct_hash.h")  # which no rule of make's names
    paste_help(tree, kdeps(tree, "check", M).stdout)
    assert judged(kdeps, tree, M)["verdict"] == "fresh"
