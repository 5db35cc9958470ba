# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps make`` on a stale tree: the refresh makes all that Kbuild makes, and no more."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from tests.conftest import CHECKOUT
from tests.support.make_wrapper import NEW, M, Wrapped
from tests.support.miniature import Miniature, has_deletion_sense

# -- stale -----------------------------------------------------------------------


def _config(tree: Miniature) -> None:
    tree.set_config(
        RUST_OVERFLOW_CHECKS="y"
        if "OVERFLOW_CHECKS is not" in (tree.objtree / ".config").read_text()
        else "n"
    )


def _clear_64bit(tree: Miniature) -> None:
    tree.set_config(**{"64BIT": "n"})


def _remove(name: str) -> Callable[[Miniature], None]:
    return lambda tree: (tree.objtree / name).unlink()


def _empty(name: str) -> Callable[[Miniature], None]:
    return lambda tree: os.truncate(tree.objtree / name, 0)


def _cut(name: str) -> Callable[[Miniature], None]:
    """Cut a record off between two lines of its list: make forgets every dependency without a word."""

    def cut(tree: Miniature) -> None:
        path = tree.objtree / name
        lines = path.read_text().split("\n")
        at = next(i for i, line in enumerate(lines) if line.startswith("deps_"))
        path.write_text("\n".join(lines[: at + 3]) + "\n")

    return cut


def _append(name: str, text: str = "\n// edited\n") -> Callable[[Miniature], None]:
    return lambda tree: (tree.append(name, text), None)[1]


EDITS: dict[str, Callable[[Miniature], None]] = {
    "a source of kernel": _append("rust/kernel/io.rs"),
    "a macro": _append("rust/macros/lib.rs"),
    "pin-init": _append("rust/pin-init/src/lib.rs"),
    "a host library": _append("rust/syn/lib.rs"),
    "a C header": _append("include/linux/device.h"),
    "a helper": _append("rust/helpers/pci.c") ,
    "bindings_helper.h": _append("rust/bindings/bindings_helper.h"),
    "the configuration": _config,
    "a symbol that every object of a module reads": _clear_64bit,
    "a new rustc": lambda tree: tree.set_version("rustc", "1.98.0"),
    "a new bindgen": lambda tree: tree.set_version("bindgen", "0.73.0"),
    "no libkernel.rmeta": _remove("rust/libkernel.rmeta"),
    "an empty libkernel.rmeta": _empty("rust/libkernel.rmeta"),
    "no libbindings.rmeta": _remove("rust/libbindings.rmeta"),
    "no libcore.rmeta": _remove("rust/libcore.rmeta"),
    "no kernel.o": _remove("rust/kernel.o"),
    "no record of kernel.o": _remove("rust/.kernel.o.cmd"),
    "an empty record": _empty("rust/.kernel.o.cmd"),
    "a record cut off": _cut("rust/.kernel.o.cmd"),
    "no generated bindings": _remove("rust/bindings/bindings_generated.rs"),
    "no modpost": _remove("scripts/mod/modpost"),
    "no module.lds": _remove("scripts/module.lds"),
    "no rustc_cfg": _remove("include/generated/rustc_cfg"),
    "target.json touched": lambda tree: (tree.touch(tree.objtree / "scripts/target.json"), None)[1],
}  # fmt: skip


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_after_any_edit_nothing_is_stale_and_nothing_fresh_was_made(
    make: Wrapped, edit: Callable[[Miniature], None]
) -> None:
    """Afterwards Kbuild has nothing to do, the next run says nothing, and no more was made than Kbuild makes."""
    twin = make.tree.copy_to(make.tree.root.parent / "twin")
    edit(make.tree)
    done = make.run(M)
    assert done.returncode == 0, done.stderr
    make.assert_fresh()
    assert "kdeps: refreshed in" in done.stderr
    again = make.run(M)
    assert "kdeps" not in again.stderr
    assert " [M] " not in again.stdout
    # Kbuild alone, on a twin with the same edit: what it makes, and what we had to take away for it.
    edit(twin)
    made = set(re.findall(r"^  (?:RUSTC|BINDGEN|CC|EXPORTS)[ A-Z]* (rust/\S+)$", done.stdout, re.M))
    plain = twin.make("modules_prepare", check=False)
    alone = set(re.findall(r"^  (?:RUSTC|BINDGEN|CC|EXPORTS)[ A-Z]* (rust/\S+)$", plain.stdout, re.M))
    if plain.returncode == 0 and alone:
        assert made == alone


def test_the_module_contains_the_new_code(make: Wrapped) -> None:
    """An edit of the core is in the module after one command."""
    make.add_code()
    make.tree.make(M)
    assert NEW not in make.module(), "plain make M= has no hole any more"
    done = make.run(M)
    assert NEW in make.module()
    assert "kdeps: stale: crate `kernel` is older than rust/kernel/io.rs" in done.stderr


def test_a_refresh_needs_no_package(make: Wrapped) -> None:
    """Only what a command uses is imported: ``-S`` leaves out all that is installed beside kdeps."""
    make.add_code()
    done = subprocess.run(
        [sys.executable, "-S", "-m", "kdeps", "make", *make.tree.tree_args, M], cwd=make.tree.srctree,
        env=make.tree.environment({"PYTHONPATH": str(CHECKOUT)}), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, "bug in kdeps" in done.stderr) == (0, False), done.stderr
    assert NEW in make.module()


def test_after_a_refresh_the_older_vmlinux_is_named(make: Wrapped) -> None:
    """The module is for crates that the kernel which was linked does not have: said once, and no error."""
    for name in ("vmlinux.o", "vmlinux"):
        make.tree.edit(make.tree.objtree / name, "\n")
    make.tree.edit(make.tree.objtree / "Module.symvers", "0x00000000\tkfree\tvmlinux\tEXPORT_SYMBOL\t\n")
    assert "note" not in make.run(M).stderr
    make.tree.touch("rust/kernel/io.rs")

    done = make.run(M)
    again = make.run(M)

    assert (done.returncode, again.returncode) == (0, 0)
    assert "kdeps: note: " in done.stderr
    assert "vmlinux was linked before rust/kernel.o" in done.stderr
    assert again.stderr == ""


def test_a_file_dated_in_the_future_keeps_nobody_from_building(make: Wrapped) -> None:
    """A skewed clock (a virtual machine, NFS): make rebuilds for ever, and the module is built all the same."""
    path = make.tree.touch("rust/kernel/io.rs")
    ahead = time.time_ns() + 3600 * 10**9
    os.utime(path, ns=(ahead, ahead))

    done = make.run(M)

    assert done.returncode == 0
    assert "in the future" in done.stderr
    assert "RUSTC [M]" in done.stdout


def test_a_generated_source_of_the_module_comes_back(make: Wrapped) -> None:
    """nova-core.mod.c gone: only modpost writes it, so its list goes and ``make M=`` makes both (next, seed 21, case 10)."""
    (make.tree.module / "nova-core.mod.c").unlink()

    done = make.run(M)

    assert done.returncode == 0, done.stderr
    assert (make.tree.module / "nova-core.mod.c").exists()
    make.assert_fresh()


@pytest.mark.parametrize("name", ["rust/libffi.rmeta", "rust/ffi.o"])
def test_an_output_that_is_a_link_to_nowhere_is_replaced(make: Wrapped, name: str) -> None:
    """The link has to go first, or the compiler writes to nowhere (lts, seed 21, case 13; out, seed 31, case 10)."""
    path = make.tree.objtree / name
    path.unlink()
    path.symlink_to("/nowhere/at/all")

    done = make.run(M)

    assert done.returncode == 0, done.stderr
    assert not path.is_symlink()
    make.assert_fresh()


def test_a_deleted_source_is_missed(make: Wrapped) -> None:
    """Where this make would not notice, the target goes first."""
    tree = make.tree
    tree.edit("rust/kernel/late.rs", f"pub fn {NEW}() {{}}\n")
    tree.append("rust/kernel/lib.rs", "pub mod late;\n")
    assert make.run(M).returncode == 0
    assert NEW in make.module()
    tree.replace("rust/kernel/lib.rs", "pub mod late;\n", "")
    os.utime(tree.path("rust/kernel/lib.rs"), ns=(1, 1))
    tree.path("rust/kernel/late.rs").unlink()
    assert make.run(M).returncode == 0
    assert NEW not in make.module()
    if has_deletion_sense():
        make.assert_fresh()


def test_the_users_own_options_are_kept_and_the_modules_are_not(make: Wrapped) -> None:
    """``O= LLVM= V=`` go to the refresh; ``M=`` and its goals do not."""
    make.tree.append("rust/kernel/io.rs", "// x\n")
    make.run(M, "-j2", "KBUILD_MODPOST_WARN=1", "modules")
    assert f"O={make.tree.objtree} -j2 modules_prepare" in make.makes()
