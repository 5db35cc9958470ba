# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The miniature's records, configuration and places, and the tool that makes it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from kdeps.demo.miniature import MakeFailed
from kdeps.system.errors import KdepsError
from tests.support.miniature import (
    CRATES,
    KERNEL_CRATE,
    MODULE,
    MODULE_AGAIN,
    PROC_MACROS,
    M,
    Miniature,
    create,
    has_deletion_sense,
    ko,
)

BINDGEN = {
    "rust/bindings/bindings_generated.rs",
    "rust/bindings/bindings_helpers_generated.rs",
    "rust/uapi/uapi_generated.rs",
}
HOST_CRATES = {"rust/libproc_macro2.rlib", "rust/libquote.rlib", "rust/libsyn.rlib"}


# -- records -----------------------------------------------------------------------


def test_the_record_of_a_crate_is_kbuilds_to_the_byte(tree: Miniature) -> None:
    """ffi.o's record: command, source, dependencies, and the empty rule for those that vanish."""
    assert (tree.objtree / "rust/.ffi.o.cmd").read_text() == (
        f"savedcmd_rust/ffi.o :=  OBJTREE={tree.objtree} rustc --edition=2021"
        " -Zbinary_dep_depinfo=y -Wmissing_docs -Cpanic=abort -Ccodegen-units=1 -Copt-level=2"
        " -Coverflow-checks=y --target=./scripts/target.json    @./include/generated/rustc_cfg "
        " --emit=dep-info=rust/.ffi.o.d --emit=obj=rust/ffi.o --emit=metadata=rust/libffi.rmeta"
        f" --crate-type rlib -L./rust --crate-name ffi {tree.srctree}/rust/ffi.rs --sysroot=/dev/null"
        " -Zunstable-options \n"
        "\n"
        f"source_rust/ffi.o := {tree.srctree}/rust/ffi.rs\n"
        "\n"
        "deps_rust/ffi.o := \\\n"
        "  ./rust/libcore.rmeta \\\n"
        "  ./rust/libcompiler_builtins.rmeta \\\n"
        "\n"
        "rust/ffi.o: $(deps_rust/ffi.o)\n"
        "\n"
        "$(deps_rust/ffi.o):\n"
    )


def test_dollar_hash_and_quotes_are_escaped_as_in_kbuild(tree: Miniature) -> None:
    """$ is doubled, # becomes $(pound), quotes stay."""
    exports = (tree.objtree / "rust/.exports_kernel_generated.h.cmd").read_text()
    assert "| awk '$$2~/(T|R|D|B)/ { printf \"EXPORT_SYMBOL_RUST_GPL(%s);\\n\",$$3 }' > rust/" in exports
    assert exports.count("\n") == 1
    bindings = (tree.objtree / "rust/bindings/.bindings_generated.rs.cmd").read_text()
    assert "lru_status='$(pound)[cfi_encoding=\"10lru_status\"]'" in bindings
    assert '-D"BUILD_STR(s)=$(pound)s"' in bindings


def test_configuration_symbols_follow_the_file_that_mentions_them(tree: Miniature) -> None:
    """$(wildcard include/config/X) lines stand, indented by four, behind their file."""
    record = (tree.objtree / "rust/.kernel.o.cmd").read_text()
    assert (
        "deps_rust/kernel.o := \\\n"
        "    $(wildcard include/config/DEBUG_FS) \\\n"
        "    $(wildcard include/config/PCI) \\\n"
        "    $(wildcard include/config/BUG) \\\n"
        f"  {tree.srctree}/rust/kernel/device.rs \\\n" in record
    )


def test_the_module_reads_twelve_crate_artifacts_by_absolute_name(tree: Miniature) -> None:
    """The module's record names its own files relatively and the kernel's crates absolutely."""
    record = (tree.module / ".nova_core.o.cmd").read_text()
    assert "source_nova_core.o := nova_core.rs\n" in record
    assert re.findall(r"^  (\w.*) \\$", record, re.M)[:2] == ["driver.rs", "gpu.rs"]
    crates = set(re.findall(rf"^  {tree.objtree}/rust/(lib\w+\.(?:rmeta|so)) \\$", record, re.M))
    rmeta = {"core", "compiler_builtins", "ffi", "pin_init", "build_error", "bindings"}
    rmeta |= {"uapi", "zerocopy", "kernel"}
    assert crates == {f"lib{name}.rmeta" for name in rmeta} | {Path(name).name for name in PROC_MACROS}
    assert ".rlib" not in record


# -- configuration and toolchain -------------------------------------------------------


def test_a_changed_configuration_is_synced_by_prepare_only(tree: Miniature) -> None:
    """DEBUG_FS on: M= does nothing; prepare syncs, then remakes what mentions the symbol."""
    tree.set_config(DEBUG_FS="y")
    assert tree.rebuilds(M) == set()
    assert "CONFIG_DEBUG_FS=y" not in (tree.objtree / "include/config/auto.conf").read_text()

    done = tree.make("modules_prepare")
    assert "  SYNC    " in done.stdout
    assert "  RUSTC L rust/kernel.o\n" in done.stdout
    assert "CONFIG_DEBUG_FS=y" in (tree.objtree / "include/config/auto.conf").read_text()
    assert "// debugfs.rs" in (tree.objtree / "rust/libkernel.rmeta").read_text(errors="replace")


def test_a_flag_from_the_configuration_is_seen_by_command_alone(tree: Miniature) -> None:
    """RUST_OVERFLOW_CHECKS off: after a mere syncconfig M= compiles the module against the old crates."""
    tree.set_config(RUST_OVERFLOW_CHECKS="n")
    tree.make("syncconfig")
    assert tree.kernel_answer(M) == ["nova_core.o"]
    stale = tree.kernel_reasons("modules_prepare")
    assert {direct.target for direct in stale} == {name for name in CRATES if name.endswith(".o")}
    assert all(direct.command for direct in stale)
    assert tree.rebuilds(M) == MODULE_AGAIN
    assert tree.kernel_answer(M) == []


def test_no_configuration_change_reaches_a_module_object(tree: Miniature) -> None:
    """M= looks for include/config in the module's folder, where it never is."""
    for path in sorted((tree.objtree / "include/config").iterdir()):
        if path.name.isupper():
            tree.touch(path)
    assert tree.kernel_answer(M) == []
    tree.edit(f"{MODULE}/include/config/DEBUG_FS", "")
    assert tree.kernel_answer(M) == ["nova_core.o"]


def test_a_new_rustc_is_noticed_by_prepare_only(tree: Miniature) -> None:
    """rustc upgraded: M= says nothing until a source changes, and then it fails; prepare remakes all."""
    tree.set_version("rustc", "1.98.0")
    assert tree.rebuilds(M) == set()
    tree.touch(f"{MODULE}/gpu.rs")
    with pytest.raises(MakeFailed, match="incompatible version of rustc"):
        tree.make(M)
    remade = tree.rebuilds("modules_prepare")
    assert remade >= {*CRATES, *PROC_MACROS, *HOST_CRATES, "scripts/generate_rust_target"}
    assert not remade & BINDGEN
    assert tree.rebuilds(M) == MODULE_AGAIN


# -- lost and broken outputs --------------------------------------------------------------


def test_lost_metadata_has_no_rule(tree: Miniature) -> None:
    """libkernel.rmeta deleted: prepare finds nothing to do, M= fails for ever (or never looks, before make 4.4.1)."""
    (tree.objtree / "rust/libkernel.rmeta").unlink()
    assert tree.rebuilds("prepare") == set()
    if has_deletion_sense():
        with pytest.raises(MakeFailed, match="can't find crate for `kernel`"):
            tree.make(M)
    else:
        assert tree.rebuilds(M) == set()
    tree.touch(f"{MODULE}/gpu.rs")
    with pytest.raises(MakeFailed, match="can't find crate for `kernel`"):
        tree.make(M)
    assert tree.rebuilds("prepare") == set()
    (tree.objtree / "rust/kernel.o").unlink()
    assert tree.rebuilds("prepare") == KERNEL_CRATE
    assert tree.rebuilds(M) == MODULE_AGAIN


@pytest.mark.parametrize(
    ("text", "message", "depfile"),
    [
        ("pub fn read32() {\n", "unclosed delimiter", False),
        ("compile_error!();\n", "compile_error", True),
        ("mod lost;\n", "E0583", True),
    ],
)
def test_a_failed_compile_leaves_the_old_outputs(
    tree: Miniature, text: str, message: str, depfile: bool
) -> None:
    """The old kernel.o, rmeta and record stay; beyond a syntax error rustc also leaves its .d."""
    outputs = [tree.objtree / "rust" / name for name in ("kernel.o", "libkernel.rmeta", ".kernel.o.cmd")]
    before = [path.read_bytes() for path in outputs]
    tree.append("rust/kernel/io.rs", text)
    done = tree.make("prepare", check=False)
    assert done.returncode == 2
    assert message in done.stderr
    assert [path.read_bytes() for path in outputs] == before
    assert (tree.objtree / "rust/.kernel.o.d").exists() == depfile
    assert tree.kernel_answer("modules_prepare") == ["rust/kernel.o"]


def test_a_compile_killed_after_the_metadata_feeds_the_module(tree: Miniature) -> None:
    """A new libkernel.rmeta beside the old kernel.o: M= builds on it."""
    tree.replace("rust/kernel/io.rs", "100", "500")
    tree.make("prepare", check=False, env={"MINIATURE_STOP_AFTER": "kernel:metadata"})
    assert tree.rebuilds(M) == MODULE_AGAIN
    assert "RESET_TIMEOUT_MS: u32 = 500" in ko(tree)
    assert tree.kernel_answer("modules_prepare") == ["rust/kernel.o"]


# -- where things lie ---------------------------------------------------------------------


def test_every_way_to_name_the_module_is_the_same_build(tree: Miniature) -> None:
    """M= relative, absolute, through -C, and from the module's own folder."""
    whole = f"M={tree.module}"
    assert tree.rebuilds(whole) == set()
    assert tree.rebuilds("-C", str(tree.objtree), whole) == set()
    assert tree.rebuilds("-C", str(tree.objtree), whole, cwd=tree.module) == set()
    assert tree.rebuilds("-C", str(tree.srctree), f"O={tree.objtree}", whole, cwd=tree.root) == set()
    done = tree.make(M, cwd=tree.objtree, check=False)
    assert f'specified external module directory "{MODULE}" does not exist' in done.stderr


def test_in_source_the_names_are_relative_and_the_hole_is_the_same(tmp_path: Path) -> None:
    """Without O= the object tree is the source tree."""
    tree = create(tmp_path)
    tree.build()
    assert tree.tree_args == ()
    assert "source_rust/kernel.o := rust/kernel/lib.rs\n" in (tree.objtree / "rust/.kernel.o.cmd").read_text()
    tree.touch("rust/kernel/io.rs")
    assert tree.rebuilds(M) == set()
    assert [direct.newer for direct in tree.kernel_reasons("prepare")] == [("rust/kernel/io.rs",)]
    assert tree.rebuilds("prepare") == KERNEL_CRATE


def test_a_module_from_outside_has_the_hole_too(tree: Miniature) -> None:
    """hello, outside of the kernel tree."""
    hello = f"M={tree.external}"
    tree.make(hello)
    assert (tree.external / "hello.ko").exists()
    tree.touch("rust/kernel/time.rs")
    assert tree.rebuilds(hello) == set()
    assert tree.kernel_answer(hello) == []
    tree.make("modules_prepare")
    assert tree.kernel_answer(hello) == ["hello.o"]


def test_module_output_goes_where_mo_says(tree: Miniature) -> None:
    """MO=: sources are named absolutely, the folder gets a Makefile, a built source folder is refused."""
    output = tree.root / "out"
    args = (f"M={tree.external}", f"MO={output}")
    tree.make(*args)
    assert f"source_hello.o := {tree.external}/hello.rs\n" in (output / ".hello.o.cmd").read_text()
    assert sorted(path.name for path in tree.external.iterdir()) == ["Kbuild", "Makefile", "hello.rs"]
    assert tree.rebuilds(*args) == set()
    # From make 4.4 on modpost's command depends on whether make's variables have an "i" in them.
    assert tree.rebuilds("-C", str(output)) <= {"Module.symvers"}
    tree.make(*args)
    assert tree.kernel_answer(*args) == []

    (output / "hello.o").unlink()
    assert tree.rebuilds(*args) >= {"hello.o", "hello.ko"}

    tree.make(args[0])
    done = tree.make(*args, check=False)
    assert "The external module source tree is not clean" in done.stderr


def test_a_folder_of_modules_is_entered(tree: Miniature) -> None:
    """M=drivers/gpu with a Makefile that descends."""
    tree.edit("drivers/gpu/Makefile", "obj-$(CONFIG_NOVA_CORE) += nova-core/\n")
    tree.make("M=drivers/gpu")
    gpu = tree.srctree / "drivers/gpu"
    assert (gpu / "modules.order").read_text() == "nova-core/nova-core.o\n"
    assert (gpu / "nova-core/nova-core.ko").exists()
    assert tree.rebuilds("M=drivers/gpu") == set()


def test_exported_symbols_come_with_the_whole_kernel(tree: Miniature) -> None:
    """make alone also writes Module.symvers, which M= then depends on."""
    tree.make()
    assert "\tread32\t" in (tree.objtree / "Module.symvers").read_text()
    assert tree.rebuilds(M) == {"Module.symvers"}
    assert tree.rebuilds(M) == set()


def test_clean_removes_what_was_built(tree: Miniature) -> None:
    """make clean leaves sources and configuration only."""
    tree.make(M, "clean")
    assert {path.name for path in tree.module.iterdir()} == {
        "Kconfig",
        "Makefile",
        "driver.rs",
        "gpu.rs",
        "nova_core.rs",
    }
    tree.make("clean")
    assert not list(tree.objtree.rglob("*.o")) + list(tree.objtree.rglob(".*.cmd"))
    tree.build()
    assert (tree.module / "nova-core.ko").exists()


# -- the tool itself ------------------------------------------------------------------------


def test_a_copy_is_built_already(pristine: Miniature, tree: Miniature) -> None:
    """copy_to: no mention of the old place is left, and make finds nothing to do."""
    assert not [
        path
        for path, (_, _, content) in tree.listing().items()
        if os.fsencode(pristine.root) in content.replace(os.fsencode(tree.root), b"")
    ]
    assert tree.rebuilds("modules_prepare") == tree.rebuilds(M) == set()


def test_an_edit_is_newer_than_everything_before_it(tree: Miniature) -> None:
    """However fast one follows the other, make sees each edit."""
    for _ in range(5):
        newest = max(mtime_ns for _, mtime_ns, _ in tree.listing().values())
        assert tree.touch("rust/kernel/io.rs").stat().st_mtime_ns > newest


def test_the_callers_make_does_not_leak_in(tree: Miniature, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run under another make, or with M= in the environment, the miniature builds the same."""
    for name, value in (("MAKEFLAGS", "n"), ("M", "/nonexistent"), ("KBUILD_OUTPUT", "/nonexistent")):
        monkeypatch.setenv(name, value)
    assert "MAKEFLAGS" not in tree.environment()
    assert tree.rebuilds(M) == set()


def test_a_folder_kbuild_cannot_use_is_refused(tmp_path: Path) -> None:
    """A blank in the path is said in one line, before anything is pristine."""
    with pytest.raises(KdepsError, match="blanks and colons"):
        create(tmp_path / "my kernel")


def test_dry_run_is_none(tree: Miniature) -> None:
    """make -n really compiles, for the Rust rules are prefixed with a plus."""
    before = tree.listing()
    subprocess.run(
        ["make", "-n", *tree.tree_args, "prepare"],
        cwd=tree.srctree,
        env=tree.environment(),
        check=True,
        capture_output=True,
    )
    after = tree.listing()
    assert {Path(path).name for path in after if before.get(path) != after[path]} >= {"libkernel.rmeta"}


def test_a_foreign_toolchain_is_refused(tree: Miniature) -> None:
    """Without the stand-ins on PATH make stops at once and says what to do."""
    done = tree.make(M, env={"PATH": os.environ["PATH"]}, check=False)
    assert done.returncode == 2
    assert f"export PATH={tree.toolchain}/bin:$PATH" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_llvm_is_another_compiler(tree: Miniature) -> None:
    """LLVM=1 on a tree configured for gcc: M= warns and goes on, prepare configures anew."""
    done = tree.make("LLVM=1", M)
    assert "warning: the compiler differs from the one used to build the kernel" in done.stderr
    assert "  SYNC " in tree.make("LLVM=1", "prepare").stdout
