# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""kdeps loaded: its text, its users and their mistakes."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from kdeps.cli.remembering import remember_modules
from kdeps.contents.remember import remember
from kdeps.running.provenance import Origin, find_origin, remember_origins
from kdeps.staleness.check import check_build
from tests.conftest import CHECKOUT, RunKdeps, drop_privileges
from tests.support.elf_objects import compile_object, put
from tests.support.loaded import ask, build_id_of, initramfs
from tests.support.machine import FOLDER, Machine, build_module, put_module
from tests.support.miniature import Miniature
from tests.support.schemas import validate
from tests.support.whole_tree import record

# -- text, users, mistakes ----------------------------------------------------------


def test_text(tree: Miniature, machine: Machine, built: Path, old: Path, kdeps: RunKdeps) -> None:
    """One line for each link, and the command that mends the first break."""
    machine.install("updates/nova-core.ko", built.read_bytes())
    machine.load(build_id_of(old))
    done = kdeps(tree, "loaded", f"--sysroot={machine.root}", f"M={FOLDER}")
    lines = done.stdout.splitlines()
    assert lines[0] == "nova_core"
    assert [line.split()[:2] for line in lines[1:7]] == [
        ["ok", "sources"], ["ok", "built"], ["ok", "installed"], ["ok", "initramfs"], ["stale", "loaded"], ["ok", "booted"],
    ]  # fmt: skip
    assert "    sudo rmmod nova_core && sudo modprobe nova_core" in lines
    assert lines[-1] == "stale: nova_core: the loaded module is not the one that was built"


def test_a_user_without_rights(tree: Miniature, machine: Machine, built: Path) -> None:
    """No root is needed; an initramfs that the user may not read decides nothing about what runs."""
    machine.install("updates/nova-core.ko", built.read_bytes())
    machine.load(build_id_of(built))
    image = machine.boot_files(b"secret")
    image.chmod(0)
    words = [*tree.tree_args, f"M={FOLDER}"]
    done = subprocess.run(
        [sys.executable, "-m", "kdeps", "loaded", f"--sysroot={machine.root}", "--format=json", *words],
        cwd=tree.srctree, env=tree.environment({"PYTHONPATH": str(CHECKOUT)}), preexec_fn=drop_privileges,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stderr, done.returncode) == ("", 0)
    kinds = [link["kind"] for link in json.loads(done.stdout)["modules"][0]["links"]]
    assert "not-readable-here" in kinds


def test_nothing_is_built(tree: Miniature, machine: Machine, kdeps: RunKdeps) -> None:
    """A module that was never built is one line."""
    tree.make(f"M={FOLDER}", "clean")
    done = kdeps(tree, "loaded", f"--sysroot={machine.root}", f"M={FOLDER}")
    assert done.returncode == 2
    assert "no module was built there" in done.stderr


def kinds_by_name(document: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Module → stage → kind."""
    return {m["name"]: {link["stage"]: link["kind"] for link in m["links"]} for m in document["modules"]}


def test_several_modules_are_named(
    tree: Miniature, machine: Machine, built: Path, old: Path, kdeps: RunKdeps
) -> None:
    """Each has a chain of its own, and one that is old makes the answer stale."""
    hello = tree.srctree / "samples/hello"
    shutil.copytree(tree.srctree / FOLDER, hello)
    words = (f"M={FOLDER}", "M=samples/hello")
    machine.load(build_id_of(built))
    done = kdeps(tree, "loaded", f"--sysroot={machine.root}", "--format=json", *words)
    assert (done.returncode, done.stderr) == (0, "")
    machine.load(build_id_of(old))
    done = kdeps(tree, "loaded", f"--sysroot={machine.root}", "--format=json", *words)
    kinds = kinds_by_name(json.loads(done.stdout))
    assert (done.returncode, kinds["nova_core"]["loaded"]) == (1, "other-link")
    done = kdeps(tree, "loaded", f"--sysroot={machine.root}", f"M={FOLDER}", "M=nowhere")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


@pytest.fixture
def kernel(tree: Miniature, tmp_path: Path) -> Path:
    """The tree as a whole kernel with two modules of its own; returns the file of fs/one.ko."""
    for name, value in (("one", 5), ("two", 6)):
        source = tree.edit(tree.srctree / f"fs/{name}.c", "int x;\n")
        record(tree, f"fs/{name}.o", f"clang -D__KERNEL__ -DMODULE -c -o fs/{name}.o {source}", source)
        tree.edit(tree.objtree / f"fs/{name}.mod.c", "int y;\n")
        record(tree, f"fs/{name}.mod.o", f"clang -D__KERNEL__ -DMODULE -c -o fs/{name}.mod.o fs/{name}.mod.c")
        linked = f"ld -r -T ./scripts/module.lds -o fs/{name}.ko fs/{name}.o fs/{name}.mod.o"
        record(tree, f"fs/{name}.ko", linked)
        put(tree.objtree / f"fs/{name}.ko", build_module(tmp_path / name, value, name=name))
    record(tree, "fs/modules.order", "{   echo fs/one.o; echo fs/two.o; :; } > fs/modules.order")
    record(tree, "modules.order", "{   cat fs/modules.order; :; } > modules.order")
    record(tree, "vmlinux", "ld -o vmlinux")
    (tree.objtree / "modules.order").write_text("fs/one.o\nfs/two.o\n")
    put_module(tree, build_module(tmp_path / "new", 2))
    put(tree.objtree / "vmlinux", compile_object(tmp_path, "int x;"))
    return tree.objtree / "fs/one.ko"


def test_every_module_of_a_tree(
    tree: Miniature, machine: Machine, kernel: Path, old: Path, kdeps: RunKdeps
) -> None:
    """Without M= the kernel's own modules and those that were built with M= are compared, one line each."""
    machine.load(build_id_of(kernel), name="one")
    done = kdeps(tree, "loaded", f"--sysroot={machine.root}")
    assert (done.stderr, done.stdout.splitlines()) == (
        "",
        [
            "fresh: one: the loaded module is the one that was built",
            "fresh: two: no older copy is in use",
            "fresh: nova_core: no older copy is in use",
        ],
    )
    machine.install("kernel/fs/one.ko", old.read_bytes())
    machine.load(build_id_of(old), name="two")
    tree.touch("fs/two.c")
    done = kdeps(tree, "loaded", f"--sysroot={machine.root}", "--format=json")
    document = json.loads(done.stdout)
    kinds = kinds_by_name(document)
    assert (done.returncode, list(kinds)) == (1, ["one", "two", "nova_core"])
    assert (kinds["one"]["sources"], kinds["one"]["installed"]) == ("up-to-date", "other-link")
    assert (kinds["two"]["sources"], kinds["two"]["loaded"]) == ("sources-changed", "other-link")
    helps = [module["help"] for module in document["modules"]]
    assert helps[0].endswith(f" modules_install INSTALL_MOD_PATH={machine.root} && {machine.depmod}")
    assert helps[1].startswith("kdeps make ")
    assert helps[1].endswith(" modules")


def test_a_tree_without_modules(tree: Miniature, machine: Machine, kdeps: RunKdeps) -> None:
    """Where nothing was built there is nothing to compare."""
    tree.make(f"M={FOLDER}", "clean")
    done = kdeps(tree, "loaded", f"--sysroot={machine.root}")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_a_root_that_is_no_machine(tree: Miniature, built: Path, tmp_path: Path, kdeps: RunKdeps) -> None:
    """A mistyped folder is not a machine without modules."""
    del built
    done = kdeps(tree, "loaded", f"--sysroot={tmp_path}/nowhere", f"M={FOLDER}")
    assert done.returncode == 2
    assert "nowhere" in done.stderr


def test_json_follows_its_schema(
    tree: Miniature, machine: Machine, built: Path, old: Path, kdeps: RunKdeps
) -> None:
    """The document is what the schema says."""
    machine.load(build_id_of(old))
    validate(ask(kdeps, tree, machine).document, "loaded")
    machine.install("updates/nova-core.ko", built.read_bytes())
    validate(ask(kdeps, tree, machine).document, "loaded")


def test_which_source_an_old_module_is_from(
    tree: Miniature,
    machine: Machine,
    built: Path,
    old: Path,
    kdeps: RunKdeps,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was built under the eyes of kdeps make is named by its commit, long after its file is gone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # other tests build the same module
    repository = tmp_path / "repository"
    repository.mkdir()
    identity = ("-c", "user.name=x", "-c", "user.email=x@x")
    for words in (
        ("init", "-q"),
        (*identity, "commit", "-q", "--allow-empty", "-m", "x"),
        ("tag", "v7.2-rc3"),
    ):
        subprocess.run(["git", *words], cwd=repository, check=True)
    build_id = build_id_of(old)
    os.utime(old, (1_700_000_000, 1_700_000_000))
    environ = dict(os.environ)
    remember_origins({str(old): None, str(tmp_path / "gone.ko"): None}, str(repository), environ)
    (repository / "later").touch()
    os.utime(old, (1_800_000_000, 1_800_000_000))
    remember_origins({str(old): None}, str(tmp_path), environ)
    assert find_origin(build_id, environ) == Origin(str(old), 1_700_000_000, "v7.2-rc3")
    assert find_origin("00" * 20, environ) is None
    old.unlink()

    machine.load(build_id)
    answer = ask(kdeps, tree, machine)
    loaded = answer.document["modules"][0]["links"][4]
    assert loaded["origin"] == {
        "path": str(old), "linked_s": 1_700_000_000, "commit": "v7.2-rc3", "root": None, "edited": None,
        "ledger": None,
    }  # fmt: skip
    assert loaded["message"].endswith(" from v7.2-rc3")
    assert ", built on 2023-11-1" in loaded["message"]
    assert built


def test_which_edit_an_old_module_is_older_than(
    tree: Miniature, machine: Machine, built: Path, old: Path, kdeps: RunKdeps
) -> None:
    """What the memory of builds has of a module goes with its build id: the edits since then have names."""

    def remember_build() -> None:
        environ = dict(tree.environment())
        result = check_build((*tree.tree_args, f"M={FOLDER}"), str(tree.srctree), environ)
        remember_modules(result, remember(result, environ, time.time_ns()), environ)

    def loaded() -> dict[str, Any]:
        link: dict[str, Any] = ask(kdeps, tree, machine).document["modules"][0]["links"][4]
        return link

    time.sleep(0.1)  # what changed a moment ago is not remembered
    remember_build()
    machine.load(build_id_of(built))
    first = loaded()
    assert (len(first["origin"]["root"]), first["origin"]["edited"]) == (40, None)

    tree.append("rust/kernel/io.rs", "// edited\n")
    tree.append("rust/kernel/lib.rs", "// edited\n")
    assert loaded()["message"].endswith("rust/kernel/io.rs and 1 more file were edited")
    for name in ("io", "lib"):
        path = tree.srctree / f"rust/kernel/{name}.rs"
        path.write_text(path.read_text().replace("// edited\n", ""))
    edited = tree.edit(tree.srctree / f"{FOLDER}/gpu.rs", "// other\n")
    tree.touch(f"{FOLDER}/gpu.rs")

    put_module(tree, old.read_bytes())
    message = loaded()["message"]
    assert message.startswith("another build, ")
    assert message.endswith(f", before {FOLDER}/gpu.rs was edited")
    assert edited.exists()


def test_it_costs_at_most_three_checks(tree: Miniature, machine: Machine, built: Path) -> None:
    """With a large initramfs and thousands of installed modules, counted in the processor's time."""
    name = f"usr/lib/modules/{machine.release}/updates/nova-core.ko"
    noise = random.Random(1)
    files = {f"usr/lib/file{number}": noise.randbytes(1 << 19) for number in range(20)}
    path = machine.boot_files(initramfs("gz", {**files, name: built.read_bytes()}))
    for number in range(2000):
        machine.install(f"kernel/drivers/d{number // 8}/m{number}.ko", b"", index=False)
    dep = "".join(f"kernel/drivers/d{number // 8}/m{number}.ko:\n" for number in range(2000))
    machine.install("updates/nova-core.ko", built.read_bytes())
    (machine.modules / "modules.dep").write_text(f"{dep}updates/nova-core.ko:\n")
    machine.load(build_id_of(built))
    os.utime(path, (1_700_000_000, 1_700_000_000))
    time.sleep(0.2)  # what changed a moment ago is not remembered

    def used_s(*words: str) -> float:
        """Seconds of a child of this process: of one that was forked elsewhere nothing is counted."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-m", "kdeps", *words, *tree.tree_args, f"M={FOLDER}"],
            cwd=tree.srctree, env=tree.environment({"PYTHONPATH": str(CHECKOUT)}), stdout=subprocess.DEVNULL, check=True,
        )  # fmt: skip
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    first = used_s("loaded", f"--sysroot={machine.root}")
    loaded = min(used_s("loaded", f"--sysroot={machine.root}") for _ in range(3))
    check = min(used_s("check") for _ in range(3))
    assert 0 < loaded <= 3 * check, (first, loaded, check)
