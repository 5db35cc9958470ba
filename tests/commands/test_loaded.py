# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""kdeps loaded, on a machine in a folder: each copy of a module is recognised as the built one or as another."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import elftools
import pytest

import kdeps as kdeps_package
from kdeps.running import machine as running_machine
from kdeps.running.facts_text import parse_facts
from kdeps.running.script import render_script
from kdeps.system import files
from tests.conftest import RunKdeps
from tests.support.elf_objects import compile_object
from tests.support.loaded import SHELLS, ask, build_id_of, packed
from tests.support.machine import FOLDER, Machine, build_module, note, put_module, touch_later
from tests.support.miniature import Miniature


def test_the_built_module_is_loaded_and_installed(
    tree: Miniature, machine: Machine, built: Path, kdeps: RunKdeps
) -> None:
    """All copies are the same link: fresh."""
    machine.install("updates/nova-core.ko", built.read_bytes())
    machine.load(build_id_of(built))
    answer = ask(kdeps, tree, machine)
    assert answer.status == 0
    assert answer.kinds == {
        "sources": "up-to-date", "built": "has-id", "installed": "same-link", "initramfs": "no-initramfs",
        "loaded": "same-link", "booted": "same-release",
    }  # fmt: skip


PYTHON = "/usr/bin/python3"
"""The one that runs the tests may be root's alone, as the checkout may be."""


@pytest.mark.skipif(os.geteuid() != 0 or not os.path.exists(PYTHON), reason="only root can become nobody")
@pytest.mark.parametrize("is_old", [False, True])
def test_nobody_is_told_what_root_is_told(
    tree: Miniature, machine: Machine, built: Path, tmp_path: Path, is_old: bool
) -> None:
    """No root is needed: not to read the tree, not to look at the machine."""
    machine.install("updates/nova-core.ko", built.read_bytes())
    machine.load("ab" * 20 if is_old else build_id_of(built))
    for tool in (tree.toolchain / "bin").iterdir():
        tool.write_bytes(tool.read_bytes().replace(os.fsencode(sys.executable), os.fsencode(PYTHON), 1))
    for folder in (tmp_path, *tmp_path.parents):
        if folder != Path("/") and folder.stat().st_uid == 0:
            folder.chmod(folder.stat().st_mode | 0o011)
    for package in (kdeps_package, click, elftools):
        source = Path(str(package.__file__)).parent
        shutil.copytree(source, tmp_path / "packages" / source.name)
    answers = []
    for user in (0, 65534):
        done = subprocess.run(
            [PYTHON, "-m", "kdeps", "loaded", f"--sysroot={machine.root}", "--format=json", *tree.tree_args, f"M={FOLDER}"],
            cwd=tree.srctree, env=tree.environment({"PYTHONPATH": str(tmp_path / "packages")}),
            user=user, group=user, extra_groups=[], capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.stderr == ""
        answers.append((done.returncode, json.loads(done.stdout)))
    assert answers[0][0] == int(is_old)
    assert answers[0] == answers[1]


@pytest.mark.parametrize(("suffix", "tool"), [("xz", "xz"), ("zst", "zstd"), ("gz", "gzip")])
def test_installed_compressed_and_signed(
    tree: Miniature, machine: Machine, built: Path, kdeps: RunKdeps, tmp_path: Path, suffix: str, tool: str
) -> None:
    """Compression, and a signature behind the file, leave the build the same."""
    signed = built.read_bytes() + b"a signature" * 40 + b"~Module signature appended~\n"
    machine.install(f"kernel/drivers/gpu/nova-core.ko.{suffix}", packed(signed, tool, tmp_path))
    machine.load(build_id_of(built))
    answer = ask(kdeps, tree, machine)
    assert (answer.status, answer.kinds["installed"]) == (0, "same-link")


@pytest.mark.parametrize("strip", ["--strip-debug", "--strip-unneeded"])
def test_installed_stripped(
    tree: Miniature, machine: Machine, kdeps: RunKdeps, tmp_path: Path, strip: str
) -> None:
    """INSTALL_MOD_STRIP leaves the build the same."""
    built = put_module(tree, build_module(tmp_path / "new", 2, debug="long"))
    stripped = machine.install("updates/nova-core.ko", built.read_bytes())
    subprocess.run(["strip", strip, str(stripped)], check=True)
    assert stripped.stat().st_size < built.stat().st_size
    machine.load(build_id_of(built))
    assert ask(kdeps, tree, machine).status == 0


def test_other_debug_information_is_the_same_code(
    tree: Miniature, machine: Machine, built: Path, kdeps: RunKdeps, tmp_path: Path
) -> None:
    """Another link with the same code is recognised, installed and loaded."""
    other = machine.install("updates/nova-core.ko", build_module(tmp_path / "x", 2, debug="other"))
    assert build_id_of(other) != build_id_of(built)
    machine.load(build_id_of(other))
    answer = ask(kdeps, tree, machine, by_script=False)
    assert (answer.status, answer.kinds["installed"], answer.kinds["loaded"]) == (0, "same-code", "same-code")


@pytest.mark.parametrize(
    ("installed", "loaded", "how", "status", "kinds", "help_text"),
    [
        # The file is installed, and the old module still runs; without a file insmod is what mends it.
        ("new", "old", "", 1, {"loaded": "other-link"}, "sudo rmmod nova_core && sudo modprobe nova_core"),
        ("", "old", "", 1, {"installed": "not-installed"}, "sudo rmmod nova_core && sudo insmod {built}"),
        # insmod was used, and the next boot would load the old one.
        ("old", "new", "", 1, {"installed": "other-link", "loaded": "same-link"}, "modules_install INSTALL_MOD_PATH={root} && {depmod}"),
        # `kdeps loaded && run-the-tests` must not run them without the module.
        ("new", "", "", 1, {"loaded": "not-loaded"}, "sudo modprobe nova_core"),
        # An old file that modprobe passes over is no break.
        ("new", "new", "beside an old one", 0, {"installed": "same-link"}, ""),
        ("new", "new", "not indexed", 1, {"installed": "not-indexed"}, "{depmod}"),
        ("new", "new", "deleted behind depmod", 1, {"installed": "file-gone"}, "{depmod}"),
        # The right file is named; that it is newer than modules.dep is a note of its own.
        ("new", "new", "after depmod", 0, {"installed": "index-older"}, "{depmod}"),
    ],
)  # fmt: skip
def test_what_is_installed_and_what_runs(
    tree: Miniature, machine: Machine, built: Path, old: Path, kdeps: RunKdeps,
    installed: str, loaded: str, how: str, status: int, kinds: dict[str, str], help_text: str,
) -> None:  # fmt: skip
    """Each may be the module that was built, an older one, or missing; the help mends the first break."""
    builds = {"new": built, "old": old}
    if how == "beside an old one":
        machine.install("kernel/drivers/gpu/nova-core.ko.xz", old.read_bytes(), index=False)
    if installed:
        data = builds[installed].read_bytes()
        file = machine.install("updates/nova-core.ko", data, index=how != "not indexed")
        if how == "deleted behind depmod":
            file.unlink()
        if how == "after depmod":
            touch_later(file)
    if loaded:
        machine.load(build_id_of(builds[loaded]))
    answer = ask(kdeps, tree, machine)
    assert answer.status == status
    assert {stage: answer.kinds[stage] for stage in kinds} == kinds
    mends = help_text.format(built=built, root=machine.root, depmod=machine.depmod)
    assert (answer.help or "").endswith(mends)
    assert bool(answer.help) == bool(help_text)


def test_updates_shadow_the_new_file(
    tree: Miniature, machine: Machine, built: Path, old: Path, kdeps: RunKdeps
) -> None:
    """modprobe takes the file that modules.dep names, whatever else is there."""
    new = machine.install("kernel/drivers/gpu/nova-core.ko", built.read_bytes(), index=False)
    machine.install("updates/dkms/nova-core.ko", old.read_bytes())
    machine.load(build_id_of(built))
    answer = ask(kdeps, tree, machine)
    assert (answer.status, answer.kinds["installed"]) == (1, "other-link")
    assert str(new) in answer.document["modules"][0]["links"][2]["others"]


def test_the_file_is_left_over_from_before_it_was_built_in(
    tree: Miniature, machine: Machine, built: Path, kdeps: RunKdeps
) -> None:
    """A kernel with the module built in never loads the file."""
    file = machine.install("updates/nova-core.ko", built.read_bytes())
    (machine.modules / "modules.builtin").write_text("kernel/drivers/gpu/nova-core/nova-core.ko\n")
    (machine.root / "sys/module/nova_core/parameters").mkdir(parents=True)
    answer = ask(kdeps, tree, machine)
    assert (answer.status, answer.kinds["installed"], answer.kinds["loaded"]) == (1, "left-over", "built-in")
    assert answer.help == f"sudo rm {file} && {machine.depmod}"


@pytest.mark.parametrize("state", ["coming", "going"])
def test_coming_and_going(
    tree: Miniature, machine: Machine, built: Path, kdeps: RunKdeps, state: str
) -> None:
    """A module that is on its way in or out is not called loaded."""
    machine.load(build_id_of(built), state=state)
    answer = ask(kdeps, tree, machine)
    assert (answer.status, answer.kinds["loaded"]) == (2, state)


@pytest.mark.parametrize("after", ["isdir", "initstate", "build-id"])
def test_unloaded_while_it_is_looked_at(
    machine: Machine, old: Path, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    """A module whose files vanish one after the other is not loaded, and not built in."""
    machine.load(build_id_of(old))
    read = files.read_bytes

    def unload(path: str, limit: int = 1 << 20) -> bytes:
        if after == "isdir":
            shutil.rmtree(machine.root / "sys/module/nova_core", ignore_errors=True)
        data = read(path, limit)
        if path.endswith(after):
            shutil.rmtree(machine.root / "sys/module/nova_core")
        return data

    for module in (files, running_machine):
        monkeypatch.setattr(module, "read_bytes", unload)
    facts = running_machine.collect_facts(str(machine.root), {"nova_core": None}, machine.release, {})
    assert facts.loaded == {}


@pytest.mark.parametrize("shell", SHELLS)
def test_unloaded_while_the_script_looks_at_it(machine: Machine, old: Path, shell: tuple[str, ...]) -> None:
    machine.load(build_id_of(old))
    script = render_script(("nova_core",), machine.release)
    unloading = script.replace("\tstate=$(", '\trm -r "$sysfs"\n\tstate=$(')
    assert unloading != script
    done = subprocess.run(
        [*shell, "-s"], input=unloading.encode(), capture_output=True, check=True,
        env={**os.environ, "KDEPS_ROOT": str(machine.root)},
    )  # fmt: skip
    assert parse_facts(done.stdout, "facts").loaded == {}


def test_no_build_id_anywhere(tree: Miniature, machine: Machine, kdeps: RunKdeps, tmp_path: Path) -> None:
    """The code decides of a file, and nothing of a loaded module."""
    built = put_module(tree, build_module(tmp_path / "new", 2, build_id="none"))
    machine.install("updates/nova-core.ko", built.read_bytes())
    machine.load(None)
    answer = ask(kdeps, tree, machine, by_script=False)
    assert (answer.status, answer.kinds["installed"], answer.kinds["loaded"]) == (2, "same-code", "no-id")


def test_no_build_id_and_other_code(
    tree: Miniature, machine: Machine, kdeps: RunKdeps, tmp_path: Path
) -> None:
    """Without ids other code is still told."""
    put_module(tree, build_module(tmp_path / "new", 2, build_id="none"))
    machine.install("updates/nova-core.ko", build_module(tmp_path / "old", 1, build_id="none"))
    machine.load(None)
    answer = ask(kdeps, tree, machine, by_script=False)
    assert (answer.status, answer.kinds["installed"]) == (1, "other-link")


def test_the_sources_are_newer(tree: Miniature, machine: Machine, built: Path, kdeps: RunKdeps) -> None:
    """The build that is loaded everywhere is old by itself."""
    machine.install("updates/nova-core.ko", built.read_bytes())
    machine.load(build_id_of(built))
    tree.append("rust/kernel/io.rs", "// edited\n")
    answer = ask(kdeps, tree, machine)
    assert (answer.status, answer.kinds["sources"]) == (1, "sources-changed")
    assert answer.help.startswith("kdeps make ")


def test_the_module_itself_was_edited(
    tree: Miniature, machine: Machine, built: Path, kdeps: RunKdeps
) -> None:
    """What make would rebuild by itself is not what runs either."""
    machine.load(build_id_of(built))
    tree.append(f"{FOLDER}/gpu.rs", "// edited\n")
    answer = ask(kdeps, tree, machine)
    assert (answer.status, answer.kinds["sources"]) == (1, "sources-changed")


def test_another_release_runs(tree: Miniature, tmp_path: Path, built: Path, kdeps: RunKdeps) -> None:
    """The installed file is looked for below the release that the module is for."""
    machine = Machine(tmp_path / "other", release="6.1.0")
    folder = machine.root / "lib/modules/7.2.13"
    folder.mkdir(parents=True)
    (folder / "nova-core.ko").write_bytes(built.read_bytes())
    (folder / "modules.dep").write_text("nova-core.ko:\n")
    answer = ask(kdeps, tree, machine)
    assert (answer.status, answer.kinds["installed"], answer.kinds["booted"]) == (
        1,
        "same-link",
        "other-release",
    )


@pytest.mark.parametrize(("same", "status", "kind"), [(True, 0, "same-kernel"), (False, 1, "other-kernel")])
def test_vmlinux_of_the_tree(
    tree: Miniature, machine: Machine, built: Path, kdeps: RunKdeps, tmp_path: Path,
    same: bool, status: int, kind: str,
) -> None:  # fmt: skip
    """The same release is not the same kernel; the ids decide."""
    build_id = "aa" * 20 if same else "bb" * 20
    (tmp_path / "notes").write_bytes(note(build_id))
    part = compile_object(tmp_path, "int x;")
    (tmp_path / "vmlinux.o").write_bytes(part)
    vmlinux = tree.objtree / "vmlinux"
    times = vmlinux.stat() if vmlinux.exists() else None
    subprocess.run(
        ["objcopy", "--add-section", ".notes=notes", "vmlinux.o", str(vmlinux)], cwd=tmp_path, check=True
    )
    if times:
        os.utime(vmlinux, ns=(times.st_atime_ns, times.st_mtime_ns))
    machine.load(build_id_of(built))
    answer = ask(kdeps, tree, machine)
    assert (answer.status, answer.kinds["booted"]) == (status, kind)


@pytest.mark.parametrize(("number", "status", "kind"), [(1, 0, "same-release"), (2, 1, "other-kernel")])
def test_vmlinux_without_a_build_id(
    tree: Miniature, machine: Machine, built: Path, kdeps: RunKdeps, tmp_path: Path,
    number: int, status: int, kind: str,
) -> None:  # fmt: skip
    """Its banner can still show that another link of it runs."""
    banner = f"Linux version 7.2.13 (a@b) (gcc) #{number} SMP PREEMPT_DYNAMIC now"
    vmlinux = compile_object(tmp_path, f'const char linux_banner[] = "{banner}\\n";')
    (tree.objtree / "vmlinux").write_bytes(vmlinux)
    machine.load(build_id_of(built))
    answer = ask(kdeps, tree, machine)
    assert (answer.status, answer.kinds["booted"]) == (status, kind)


def test_a_disk_image_without_a_kernel(
    tree: Miniature, machine: Machine, built: Path, kdeps: RunKdeps
) -> None:
    """Of the root of a disk image the files are judged."""
    machine.install("updates/nova-core.ko", built.read_bytes())
    shutil.rmtree(machine.root / "proc")
    shutil.rmtree(machine.root / "sys")
    answer = ask(kdeps, tree, machine)
    assert (answer.status, answer.kinds["loaded"], answer.kinds["booted"]) == (0, "no-kernel", "no-kernel")
