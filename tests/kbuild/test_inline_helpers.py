# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``CONFIG_RUST_INLINE_HELPERS``: a record that is three compilers, and bitcode that no Makefile names.

The miniature gets the rules of linux 7.2 (rust/Makefile, scripts/Makefile.build) with stand-ins for
llvm-link and for clang on bitcode.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kdeps.refresh.ninja.run import find_ninja
from tests.conftest import RunKdeps
from tests.support.miniature import MODULE, Miniature, create

_HELPERS = """
always-y += helpers/helpers.bc helpers/helpers_module.bc
quiet_cmd_rust_helper = HELPER  $@
      cmd_rust_helper = $(CC) $(c_flags) -c -emit-llvm -o $@ $<
$(obj)/helpers/helpers.bc $(obj)/helpers/helpers_module.bc: $(src)/helpers/helpers.c FORCE
	+$(call if_changed_dep,rust_helper)
$(obj)/kernel.o: private link_helper = 1
$(obj)/kernel.o: $(obj)/helpers/helpers.bc
"""
_LINK = (
    "llvm-link --internalize --suppress-warnings {bc} {helpers} -o $(patsubst %.o,%.m.bc,$@); "
    "$(CC) -O2 -Wno-override-module -c $(patsubst %.o,%.m.bc,$@) -o $@"
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    """A miniature with inlined helpers, built once."""
    root = tmp_path_factory.mktemp("inline")
    tree = create(root, objtree=root / "build")
    tools = root / "toolchain/bin"
    (tools / "llvm-link").write_bytes((tools / "ld").read_bytes())
    (tools / "llvm-link").chmod(0o755)
    rustc = tools / "rustc"
    bitcode = 'self.emit["obj" if kind == "llvm-bc" else kind] = path'
    rustc.write_text(rustc.read_text().replace("self.emit[kind] = path", bitcode))
    clang = tools / "clang-of-c"
    (tools / "clang").rename(clang)
    (tools / "clang").write_text(
        f'#!/bin/sh\ncase "$*" in *.m.bc*) exec ld "$@" ;; esac\nexec {clang} "$@"\n'
    )
    (tools / "clang").chmod(0o755)
    crate = _LINK.format(bc="$(patsubst %.o,%.bc,$@)", helpers="$(obj)/helpers/helpers.bc")
    makefile = tree.srctree / "rust/Makefile"
    text = makefile.read_text().replace(
        "--emit=obj=$@", "--emit=$(if $(link_helper),llvm-bc=$(@:.o=.bc),obj=$@)"
    )
    text = text.replace(
        "\t$(if $(rustc_objcopy)", f"\t$(if $(link_helper),;{crate}) \\\n\t$(if $(rustc_objcopy)"
    )
    makefile.write_text(text + _HELPERS)
    module = _LINK.format(bc="$(patsubst %.o,%.bc,$@)", helpers="$(objtree)/rust/helpers/helpers_module.bc")
    makefile = tree.srctree / "scripts/Makefile.build"
    text = makefile.read_text().replace("--emit=obj=$@ $<", f"--emit=llvm-bc=$(@:.o=.bc) $< ;{module}")
    makefile.write_text(text)
    tree.build()
    return tree


@pytest.fixture
def tree(built: Miniature, tmp_path: Path) -> Miniature:
    return built.copy_to(tmp_path / "tree")


def test_a_fresh_build_is_fresh(tree: Miniature, kdeps: RunKdeps) -> None:
    """Nothing is missed and nothing is stale right after a build."""
    said = kdeps(tree, "check", f"M={MODULE}")
    assert (said.returncode, "fresh" in said.stdout) == (0, True), said.stdout + said.stderr


@pytest.mark.parametrize("name", ["rust/kernel.bc", "rust/kernel.m.bc"])
def test_an_intermediate_that_only_its_recipe_reads_is_not_missed(
    tree: Miniature, kdeps: RunKdeps, name: str
) -> None:
    """Deleted bitcode between two compilers makes nothing stale: Kbuild would write it again."""
    (tree.objtree / name).unlink()
    assert kdeps(tree, "check", f"M={MODULE}").returncode == 0
    assert tree.rebuilds("modules_prepare") == set()


@pytest.mark.parametrize("name", ["rust/helpers/helpers.bc", "rust/helpers/helpers_module.bc"])
def test_deleted_bitcode_of_the_helpers_is_stale(tree: Miniature, kdeps: RunKdeps, name: str) -> None:
    """kernel.o and every module are linked with it."""
    (tree.objtree / name).unlink()
    said = kdeps(tree, "check", f"M={MODULE}")
    assert (said.returncode, name in said.stdout) == (1, True), said.stdout


def test_a_record_that_is_gone_is_missed(tree: Miniature, kdeps: RunKdeps) -> None:
    """Without it Kbuild makes the bitcode again."""
    (tree.objtree / "rust/helpers/.helpers_module.bc.cmd").unlink()
    assert kdeps(tree, "check", f"M={MODULE}").returncode == 1


def test_newer_bitcode_makes_a_module_stale_and_kdeps_make_rebuilds_it(
    tree: Miniature, kdeps: RunKdeps
) -> None:
    """No Makefile makes a module wait for helpers_module.bc, so Kbuild never notices."""
    tree.touch(tree.objtree / "rust/helpers/helpers_module.bc")
    assert tree.rebuilds(f"M={MODULE}") == set()
    said = kdeps(tree, "check", f"M={MODULE}")
    assert (said.returncode, "helpers_module.bc" in said.stdout) == (1, True), said.stdout
    assert kdeps(tree, "make", f"M={MODULE}").returncode == 0
    assert kdeps(tree, "check", f"M={MODULE}").returncode == 0


@pytest.mark.parametrize("by", ["make", "ninja"])
def test_an_edit_of_a_helper_reaches_the_module(tree: Miniature, kdeps: RunKdeps, by: str) -> None:
    """Its text is in the module afterwards, whoever made it."""
    if by == "ninja" and not (find_ninja(tree.environment()) or shutil.which("ninja")):
        pytest.skip("no ninja here")
    tree.append("rust/helpers/pci.c", "int inlined_marker;\n")
    said = kdeps(tree, "make", f"--with={by}", f"M={MODULE}")
    assert said.returncode == 0, said.stderr
    module = tree.srctree / MODULE / "nova_core.o"
    assert "inlined_marker" in module.read_text()
    assert kdeps(tree, "check", f"M={MODULE}").returncode == 0
