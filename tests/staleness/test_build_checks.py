# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What is wrong with a build as a whole is found, said, and cured by what is said."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT, RunKdeps, paste_help
from tests.support.miniature import MODULE, Miniature
from tests.support.schemas import read_json
from tests.support.verdict import M, judged, kinds


def test_a_touched_configuration_is_unsynced_until_prepare(tree: Miniature, kdeps: RunKdeps) -> None:
    """.config newer than auto.conf: stale, with what differs; modules_prepare syncs it."""
    tree.touch(tree.objtree / ".config")
    verdict = judged(kdeps, tree, M)
    assert (verdict["verdict"], kinds(verdict)) == ("stale", ["config-not-synced"])
    assert "no value differs" in verdict["findings"][0]["message"]
    assert tree.rebuilds(M) == set()

    tree.make("modules_prepare")
    tree.make(M)

    assert judged(kdeps, tree, M)["verdict"] == "fresh"


def test_a_forgotten_arch_is_a_slip_to_point_out(tree: Miniature) -> None:
    """A cross-built tree without ``ARCH=``: a refresh would configure it for this machine, whatever the compiler."""
    (tree.srctree / "arch/x86").mkdir(parents=True, exist_ok=True)
    inputs = tree.objtree / "include/config/auto.conf.cmd"
    inputs.write_text(inputs.read_text().replace('ARCH)" "x86"', 'ARCH)" "mips"'))
    script = (
        "import os, sys; from kdeps.cli.main import main; found = os.uname();"
        "os.uname = lambda: os.uname_result((*found[:4], 'x86_64')); main(sys.argv[1:])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "check", *tree.tree_args, M], cwd=tree.srctree,
        env=tree.environment({"PYTHONPATH": str(CHECKOUT)}), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "configured with ARCH=mips, but this make would use ARCH=x86" in done.stdout
    assert "help: the tree was configured with ARCH=mips" in done.stdout
    assert "modules_prepare" not in done.stdout


def test_x86_64_is_no_other_architecture(tree: Miniature, kdeps: RunKdeps) -> None:
    """DKMS exports ARCH=x86_64: a 64-bit kernel is the same under both names, and a 32-bit one is not."""
    assert kdeps(tree, "check", M, env={"ARCH": "x86_64"}).returncode == 0
    config = tree.objtree / "include/config/auto.conf"
    header = tree.objtree / "include/generated/autoconf.h"
    passed = tree.objtree / "include/generated/rustc_cfg"
    tree.edit(passed, passed.read_text().replace('--cfg=CONFIG_64BIT="y"\n', ""))
    tree.edit(config, config.read_text().replace("CONFIG_64BIT=y\n", ""))
    tree.edit(header, header.read_text().replace("#define CONFIG_64BIT 1\n", ""))
    done = kdeps(tree, "check", M, env={"ARCH": "x86_64"})
    assert "configured with ARCH=x86, but this make would use ARCH=x86_64" in done.stdout
    assert "help: the tree was configured with ARCH=x86" in done.stdout


def test_a_compiler_counts_by_what_it_answers(tree: Miniature, kdeps: RunKdeps) -> None:
    """``ccache gcc`` on a tree that gcc configured is the same compiler; another gcc behind it is not."""
    cache = tree.toolchain / "bin/ccache"
    cache.write_text('#!/bin/sh\nexec "$@"\n')
    cache.chmod(0o755)
    assert kdeps(tree, "check", "CC=ccache gcc", "RUSTC=ccache rustc", M).returncode == 0
    cache.write_text("#!/bin/sh\necho gcc 99\n")
    assert kdeps(tree, "check", "CC=ccache gcc", M).returncode == 1


def test_a_rustc_that_fails_is_quoted(tree: Miniature, kdeps: RunKdeps) -> None:
    """A rustc that is there and fails was called "not found"."""
    rustc = tree.toolchain / "bin/rustc"
    rustc.write_text("#!/bin/sh\necho 'error: no default is configured' >&2\nexit 1\n")
    done = kdeps(tree, "check", M)
    assert done.returncode == 1
    assert "rustc fails: `error: no default is configured`" in done.stdout


def test_another_rustc_where_the_module_is_compiled_is_seen(tree: Miniature, kdeps: RunKdeps) -> None:
    """rustup chooses by folder, and from 6.13 on make runs rustc in the module's folder."""
    rustc = tree.toolchain / "bin/rustc"
    real = rustc.rename(tree.toolchain / "bin/rustc.real")
    rustc.write_text(
        f'#!/bin/sh\nif [ "$1" = --version ] && [ "$(pwd -P)" = {tree.module.resolve()} ]; then\n'
        f'echo "rustc 1.99.0 (other)"; exit\nfi\nexec {real} "$@"\n'
    )
    rustc.chmod(0o755)
    done = kdeps(tree, "check", M)
    assert done.returncode == 1
    assert "where make compiles the module, rustc is `rustc 1.99.0 (other)`" in done.stdout
    assert "rustup override set" in done.stdout


def test_a_new_kconfig_file_asks_for_a_sync(tree: Miniature, kdeps: RunKdeps) -> None:
    """A pulled Kconfig file newer than the synced configuration makes anything but M= sync it."""
    tree.touch("Kconfig")
    verdict = judged(kdeps, tree, M)
    assert kinds(verdict) == ["config-not-synced"]
    assert verdict["findings"][0]["path"] == str(tree.path("Kconfig"))


@pytest.mark.parametrize(
    "name", ["include/config/auto.conf.cmd", "include/generated/autoconf.h", "include/generated/rustc_cfg"]
)
def test_a_missing_piece_of_the_configuration_is_named(name: str, tree: Miniature, kdeps: RunKdeps) -> None:
    """M= says nothing of it, so kdeps does."""
    (tree.objtree / name).unlink()
    verdict = judged(kdeps, tree, M)
    assert verdict["verdict"] == "stale"
    assert str(tree.objtree / name) in [finding["path"] for finding in verdict["findings"]]


INPUTS_DAMAGED = {"empty": 0, "its first bytes": 10, "cut off in a condition": -30, "cut off in the list": 70}


@pytest.mark.parametrize("case", [*INPUTS_DAMAGED, "NULs", "empty, and another rustc"])
def test_a_damaged_list_of_inputs_is_found_and_cured(case: str, tree: Miniature, kdeps: RunKdeps) -> None:
    """As a crash leaves auto.conf.cmd: make forgets the Kconfig files, or stops when it reads it."""
    path = tree.objtree / "include/config/auto.conf.cmd"
    data, before = path.read_bytes(), path.stat()
    path.write_bytes(bytes(len(data)) if case == "NULs" else data[: INPUTS_DAMAGED.get(case, 0)])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    if "rustc" in case:
        tree.set_version("rustc", "1.98.0")
    done = kdeps(tree, "check", M)
    assert (done.returncode, "auto.conf.cmd is damaged or cut off" in done.stdout.replace(":", "")) == (
        1,
        True,
    ), done.stdout
    paste_help(tree, done.stdout)
    assert kdeps(tree, "check", M).returncode == 0
    assert ("1.98.0" in path.read_text()) == ("rustc" in case)
    assert path.read_bytes() == data or "rustc" in case
    tree.make(M)


def test_without_any_configuration_nothing_can_be_told(tree: Miniature, kdeps: RunKdeps) -> None:
    """auto.conf gone: M= would stop, and kdeps says what to run."""
    (tree.objtree / "include/config/auto.conf").unlink()
    done = kdeps(tree, "check", M)
    assert done.returncode == 2
    assert "auto.conf: missing" in done.stderr
    assert "the goal modules_prepare instead of M=" in done.stderr


def test_a_deleted_config_is_unknown(tree: Miniature, kdeps: RunKdeps) -> None:
    """Without .config Kbuild cannot refresh anything; M= does not notice."""
    (tree.objtree / ".config").unlink()
    assert judged(kdeps, tree, M)["verdict"] == "unknown"


def test_another_compiler_family_is_a_slip_of_the_command_line(tree: Miniature, kdeps: RunKdeps) -> None:
    """Configured with one CC, called with another: said before anything is built."""
    verdict = judged(kdeps, tree, M, "LLVM=1")
    assert "config-not-synced" in kinds(verdict)
    assert "CC=" in verdict["findings"][0]["message"]


@pytest.mark.parametrize("tool", ["rustc", "bindgen", "gcc"])
def test_another_version_of_a_tool_is_a_toolchain_change(tool: str, tree: Miniature, kdeps: RunKdeps) -> None:
    """rustc and the C compiler under M=, bindgen even under prepare: Kbuild does not look, kdeps does."""
    tree.set_version(tool, "99.0.0")
    verdict = judged(kdeps, tree, M)
    assert verdict["verdict"] == "stale"
    assert "toolchain-changed" in kinds(verdict)


def test_a_folder_that_builds_nothing_names_the_one_that_does(tree: Miniature, kdeps: RunKdeps) -> None:
    """7.3 builds nova-core from drivers/gpu/Makefile; M= on the folder itself succeeds and does nothing."""
    folder = tree.path("drivers/gpu/elsewhere")
    folder.mkdir()
    (folder / "Makefile").write_text("# built one folder up\n")
    tree.edit("drivers/gpu/Makefile", "obj-$(CONFIG_NOVA_CORE) += elsewhere/other.o\n")
    verdict = judged(kdeps, tree, "M=drivers/gpu/elsewhere")
    assert (verdict["verdict"], kinds(verdict)) == ("unknown", ["no-objects"])
    assert "use M=drivers/gpu" in verdict["findings"][0]["help"]


def test_records_of_a_build_from_the_folder_above_are_none_of_this_one(
    tree: Miniature, kdeps: RunKdeps
) -> None:
    """M=drivers/gpu left them, with other names; they do not make the folder one that builds something."""
    folder = tree.path("drivers/gpu/elsewhere")
    folder.mkdir()
    (folder / "Makefile").write_text("# built one folder up\n")
    tree.edit("drivers/gpu/Makefile", "obj-$(CONFIG_NOVA_CORE) += elsewhere/other.o\n")
    (folder / "other.o").touch()
    (folder / ".other.o.cmd").write_text(
        "savedcmd_elsewhere/other.o := cc -c -o elsewhere/other.o elsewhere/other.c\n"
    )
    verdict = judged(kdeps, tree, "M=drivers/gpu/elsewhere")
    assert (verdict["verdict"], kinds(verdict)) == ("unknown", ["no-objects"])
    why = kdeps(tree, "why", "other.o", "M=drivers/gpu/elsewhere")
    assert (why.returncode, why.stdout) == (2, "")
    assert (
        "builds nothing: its Makefile has no obj-m; drivers/gpu/Makefile builds it: use M=drivers/gpu\n"
        in why.stderr
    )


def test_a_record_under_another_name_is_none(tree: Miniature, kdeps: RunKdeps) -> None:
    """Kbuild finds no saved command for the target, and makes it again; kdeps says so."""
    record = tree.path(f"{MODULE}/.nova_core.o.cmd")
    assert tree.rebuilds(M) == set()
    record.write_text(record.read_text().replace("nova_core.o", "nova-core/nova_core.o"))
    verdict = judged(kdeps, tree, M)
    answered = tree.rebuilds(M)
    direct = {
        entry["target"]: {reason["kind"] for reason in entry["reasons"]} - {"stale-prerequisite"}
        for entry in (*verdict["stale"], *verdict["pending"])
    }
    assert "nova_core.o" in {name.rpartition("/")[2] for name in answered}
    assert direct["nova_core.o"] == {"missing-record"}


def test_crates_that_were_never_built_are_stale(tmp_path: Path, kdeps: RunKdeps) -> None:
    """A configured tree without its crates: no record speaks of them, and it is not fresh."""
    from tests.support.miniature import create

    tree = create(tmp_path / "new")
    tree.make("defconfig")
    tree.make("syncconfig")
    verdict = judged(kdeps, tree, M)
    assert verdict["verdict"] == "stale"
    assert "missing-output" in kinds(verdict)


def _as_headers(tree: Miniature, root: Path, *, crates: bool) -> Path:
    """Make of a built tree what a distribution's headers package is: artifacts without sources."""
    build = root / "usr/src/linux-headers-7.2"
    common = root / "usr/src/linux-headers-7.2-common"
    shutil.copytree(tree.objtree, build, symlinks=True)
    (common / "scripts").mkdir(parents=True)
    shutil.copy2(tree.path("Makefile"), common / "Makefile")
    for folder in ("scripts", "include"):  # packages have the headers of the sources beside the Makefiles
        shutil.copytree(tree.path(folder), common / folder, dirs_exist_ok=True)
    (build / "Makefile").write_text(f"export KBUILD_OUTPUT = {build}\ninclude {common}/Makefile\n")
    if not crates:
        shutil.rmtree(build / "rust")
    return build


@pytest.mark.parametrize("crates", [True, False])
def test_installed_headers_are_not_judged_by_sources_they_never_had(
    crates: bool, tree: Miniature, kdeps: RunKdeps, tmp_path: Path
) -> None:
    """Headers with crates are fresh; without the crates they promise, that is the first thing to be said."""
    build = _as_headers(tree, tmp_path, crates=crates)
    (tree.external / "hello.rs").touch()

    done = kdeps(tree, "check", f"KDIR={build}", cwd=tree.external)

    if crates:
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("fresh: ")
    else:
        assert done.returncode == 2
        assert "libcore.rmeta is missing: these headers say CONFIG_RUST=y" in done.stdout.splitlines()[0]


def _drop_sources(tree: Miniature) -> None:
    for path in (tree.srctree / "rust/kernel").rglob("*.rs"):
        path.unlink()


def test_headers_that_are_installed_anew_are_noted(tree: Miniature, kdeps: RunKdeps) -> None:
    """A package brings the times of its own build: no make looks into what it changed."""
    _drop_sources(tree)
    tree.make(M, "clean")
    tree.make(M)
    assert kinds(judged(kdeps, tree, M)) == []
    header = tree.path("include/linux/module.h")
    before = header.stat().st_mtime_ns
    replaced = tree.edit(header.with_suffix(".new"), header.read_text() + "struct other;\n")
    os.utime(replaced, ns=(before, before))
    replaced.rename(header)
    assert tree.kernel_answer(M) == []
    verdict = judged(kdeps, tree, M)
    assert (verdict["verdict"], kinds(verdict)) == ("fresh", ["old-mtime"])


def test_with_installed_headers_the_module_itself_can_be_refreshed(tree: Miniature, kdeps: RunKdeps) -> None:
    """The `rm` that is announced is printed and works, and ``kdeps make`` does the same."""
    _drop_sources(tree)  # what is left are artifacts that nothing here could make
    assert kdeps(tree, "check", M).returncode == 0
    for follow in ("help", "make"):
        tree.edit(tree.objtree / "include/config/DEBUG_FS", "")
        done = kdeps(tree, "check", M)
        assert done.returncode == 1
        assert "the `rm` below" in done.stdout
        assert f"rm -f {MODULE}/nova_core.o" in done.stdout
        if follow == "help":
            paste_help(tree, done.stdout)
        else:
            made = kdeps(tree, "make", M)
            assert f"refreshing: rm -f {MODULE}/nova_core.o" in made.stderr
            assert made.returncode == 0
        assert kdeps(tree, "check", M).returncode == 0
        assert kdeps(tree, "ci", M).returncode == 0


def test_installed_crates_are_no_strays(tree: Miniature, kdeps: RunKdeps) -> None:
    """Crates as Fedora and Arch ship them have no records; the module was built from them, so they are right."""
    _drop_sources(tree)
    for record in (tree.objtree / "rust").rglob(".*.cmd"):
        record.unlink()
    for made in (tree.objtree / "rust").glob("*.o"):
        made.unlink()
    done = kdeps(tree, "ci", "--format=json", M)
    assert [i["message"] for i in read_json(done.stdout)["issues"] if i["verdict"] != "fresh"] == []


def test_no_removal_is_announced_where_none_would_help(tree: Miniature, kdeps: RunKdeps) -> None:
    """Without its source nothing makes an object again, so no `rm` is named and none is printed."""
    (tree.module / "nova_core.rs").unlink()
    done = kdeps(tree, "check", M)
    assert done.returncode == 1
    assert "below" not in done.stdout
    assert "rm -f" not in done.stdout
    assert "put the file back, or take it out of the Makefile" in done.stdout


def test_a_module_of_c_that_was_never_built_uses_no_crates(
    tree: Miniature, kdeps: RunKdeps, tmp_path: Path
) -> None:
    """No record of it yet; but without a line of Rust it will read none of them."""
    (tmp_path / "c").mkdir()
    (tmp_path / "c/Makefile").write_text("obj-m := one.o\n")
    (tmp_path / "c/one.c").write_text("int x;\n")
    tree.touch("rust/kernel/io.rs")
    assert kdeps(tree, "check", f"M={tmp_path}/c").returncode == 0
    tree.touch("scripts/module.lds.S")
    assert "scripts/module.lds is older than" in kdeps(tree, "check", f"M={tmp_path}/c").stdout


def test_a_module_that_was_never_built_is_judged_by_what_it_will_use(
    tree: Miniature, kdeps: RunKdeps
) -> None:
    """No record of the module yet: the crates decide."""
    assert kdeps(tree, "check", f"M={tree.external}").returncode == 0
    tree.touch("rust/kernel/io.rs")
    done = kdeps(tree, "check", f"M={tree.external}")
    assert done.returncode == 1
    assert "crate `kernel` is older" in done.stdout


def test_pasting_the_help_cures_another_bindgen(tree: Miniature, kdeps: RunKdeps) -> None:
    """Kbuild never compares bindgen: the commands under help must do more than make modules_prepare."""
    tree.set_version("bindgen", "99.0.0")
    done = kdeps(tree, "check", M)
    paste_help(tree, done.stdout)
    assert kdeps(tree, "check", M).returncode == 0
