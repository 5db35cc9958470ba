# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Generated files without a record: their sources come from a Makefile."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdeps.kbuild.rule import Action
from tests.conftest import RunKdeps
from tests.support.miniature import Miniature
from tests.support.whole_tree import ask, record, rules_of, settle

pytestmark = pytest.mark.usefixtures("cache")
FOLDER = "drivers/tty/vt"


def generate(tree: Miniature, name: str, makefile: str = "", folder: str = FOLDER) -> Path:
    """A generated file in the object tree, a record that reads it, and the Makefile of its folder."""
    generated = tree.edit(tree.objtree / folder / name, "generated\n")
    source = tree.edit(tree.srctree / folder / "reader.c", "int x;\n")
    target = f"{folder}/reader.o"
    record(tree, target, f"clang -Wp,-MMD,{folder}/.reader.o.d -c -o {target} {source}", source, generated)
    for path in ("built-in.a", "vmlinux", "arch/x86/boot/vmlinux.bin"):
        tree.touch(str(tree.objtree / path))
    tree.edit(tree.srctree / folder / "Makefile", makefile)
    return generated


CASES = {
    "named": ("$(obj)/table.c: $(src)/cp437.uni\n", "cp437.uni"),
    "by a variable": ("MAP = cp437.uni\n$(obj)/table.c: $(src)/$(MAP)\n\t$(call cmd,conmk)\n", "cp437.uni"),
    "on two lines": (
        "$(obj)/other.c \\\n  $(obj)/table.c: \\\n\t$(srctree)/drivers/tty/vt/cp437.uni\n",
        "cp437.uni",
    ),
    "by a pattern": ("$(obj)/table.c: $(obj)/%.c: $(src)/%.map\n", "table.map"),
    "by their suffix": ("$(obj)/table.c: $(wildcard $(src)/*.uni)\n", "cp437.uni"),
    "shipped": ("ifdef GENERATE\n$(obj)/table.c: $(src)/gen.py\nendif\n", "table.c_shipped"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_makefile_of_its_folder_says_what_it_is_made_from(
    case: str, whole: Miniature, kdeps: RunKdeps
) -> None:
    makefile, source = CASES[case]
    tree = whole
    path = tree.edit(tree.srctree / FOLDER / source, "map\n")
    generate(tree, "table.c", makefile)
    rule = rules_of(tree)[f"{FOLDER}/table.c"]
    assert (rule.prerequisites, rule.action) == ((str(path),), Action.PLAIN)
    settle(kdeps, tree)
    tree.touch(str(path))
    assert f"{FOLDER}/table.c" in ask(kdeps, tree)["direct"]


def test_a_parser_is_made_from_its_grammar(whole: Miniature) -> None:
    tree = whole
    grammar = tree.edit(tree.srctree / "crypto/rsa.asn1", "A ::= INTEGER\n")
    compiler = tree.edit(tree.objtree / "scripts/asn1_compiler", "program\n")
    generate(tree, "rsa.asn1.h", folder="crypto")
    assert rules_of(tree)["crypto/rsa.asn1.h"].prerequisites == (str(grammar), str(compiler))


@pytest.mark.parametrize(
    "makefile",
    ["", "$(obj)/table.c: $(src)/cp437.uni FORCE\n", "$(obj)/table.c: $(call find,cp437.uni)\n", "$(obj)/table.c := $(src)/cp437.uni\n"],
    ids=["no rule", "a rule that leaves a record", "a function", "no rule but a variable"],
)  # fmt: skip
def test_what_is_not_told_there_stays_a_source(whole: Miniature, makefile: str) -> None:
    whole.edit(whole.srctree / FOLDER / "cp437.uni", "map\n")
    generate(whole, "table.c", makefile)
    assert f"{FOLDER}/table.c" not in rules_of(whole)
