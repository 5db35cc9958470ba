# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Which build is the log of, and which one runs: by what kdeps remembers of a build id, and by what a ledger records."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from kdeps.cli.remembering import remember_modules
from kdeps.contents.ledger import Build
from kdeps.contents.ledger_file import read_ledger, write_ledger
from kdeps.running.provenance import find_origin
from kdeps.staleness.check import check_build
from tests.conftest import RunKdeps
from tests.support.loaded import build_id_of
from tests.support.machine import FOLDER, Machine, build_module, note, put_module
from tests.support.miniature import Miniature
from tests.support.schemas import validate

M = f"M={FOLDER}"
LOG = """\
[    2.4] CPU: 0 UID: 0 PID: 61 Comm: insmod Tainted: G           O        7.2.13 #3 PREEMPT(lazy)  {kernel}
[    2.4] Call Trace:
[    2.4]  start+0x3/0x20 [nova_core {module}]
[    2.4] ---[ end trace 0000000000000000 ]---
"""


def tag(tree: Miniature, name: str) -> None:
    """Give the sources a commit with a name."""
    for words in (
        ("init", "-q"),
        ("-c", "user.name=x", "-c", "user.email=x@x", "commit", "-q", "--allow-empty", "-m", "x"),
        ("tag", name),
    ):
        subprocess.run(["git", *words], cwd=tree.srctree, check=True)


def put_vmlinux(tree: Miniature, folder: Path, build_id: str) -> Path:
    """Link a vmlinux with a build id among its notes, as Kbuild does."""
    (folder / "notes").write_bytes(note(build_id))
    (folder / "empty.c").write_text("int x;\n")
    vmlinux = tree.objtree / "vmlinux"
    for command in (
        ("gcc", "-c", "empty.c", "-o", "empty.o"),
        ("objcopy", "--add-section", ".notes=notes", "empty.o", str(vmlinux)),
    ):
        subprocess.run(command, cwd=folder, check=True)
    return vmlinux


@pytest.fixture
def recorded(
    tree: Miniature, kdeps: RunKdeps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, str]:
    """A ledger of one build, and the id of its module; the tree has another build since, and nothing is remembered."""
    (tree.objtree / "include/config/kernel.release").write_text("7.2.13\n")
    tag(tree, "v7.2-rc3")
    build_id = build_id_of(put_module(tree, build_module(tmp_path / "first", 1)))
    ledger = tmp_path / "good.ledger"
    done = kdeps(tree, "ci", f"--record={ledger}", M, env={"XDG_CACHE_HOME": str(tmp_path / "other")})
    assert (done.returncode, done.stderr) == (0, "")
    put_module(tree, build_module(tmp_path / "second", 2))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "own"))
    return ledger, build_id


def test_a_ledger_has_the_build_ids_of_its_modules(recorded: tuple[Path, str]) -> None:
    ledger, build_id = recorded
    name = f"$(srctree)/{FOLDER}/nova-core.ko"
    assert read_ledger(str(ledger)).builds == {build_id: Build(name, "v7.2-rc3")}


def test_decode_names_the_build_that_a_ledger_records(
    tree: Miniature, recorded: tuple[Path, str], kdeps: RunKdeps, tmp_path: Path
) -> None:
    ledger, build_id = recorded
    log = tmp_path / "log"
    log.write_text(LOG.format(kernel="", module=build_id))
    shown = os.path.relpath(ledger, tree.srctree)
    for words, line in (
        ((f"--ledger={ledger}",), f"nova_core.ko of this log: built from v7.2-rc3, as ledger {shown} records"),
        ((), "which one is not known: no ledger and no `kdeps make` here recorded its build id"),
    ):  # fmt: skip
        done = kdeps(tree, "decode", *words, str(log), M)
        added = [line for line in done.stdout.splitlines() if line.startswith("kdeps: ")]
        assert (done.returncode, done.stderr) == (1, "")
        assert added[0].startswith("kdeps: another build: nova_core.ko had the build id ")
        assert added[1] == f"kdeps:   {line}"
    (tree.srctree / FOLDER / "nova-core.ko").unlink()
    done = kdeps(tree, "decode", f"--ledger={ledger}", str(log), M)
    assert done.returncode == 2
    assert "kdeps:   nova_core.ko of this log: built from v7.2-rc3" in done.stdout


def test_loaded_names_the_build_that_a_ledger_records(
    tree: Miniature, recorded: tuple[Path, str], machine: Machine, kdeps: RunKdeps
) -> None:
    ledger, build_id = recorded
    machine.load(build_id)
    words = (f"--sysroot={machine.root}", "--format=json", f"--ledger={ledger}", M)
    done = kdeps(tree, "loaded", *words)
    assert (done.returncode, done.stderr) == (1, "")
    document = json.loads(done.stdout)
    validate(document, "loaded")
    link = next(link for link in document["modules"][0]["links"] if link["stage"] == "loaded")
    shown = os.path.relpath(ledger, tree.srctree)
    assert link["message"].endswith(f", built from v7.2-rc3, as ledger {shown} records")
    assert (link["origin"]["linked_s"], link["origin"]["ledger"]) == (None, str(ledger))


def test_nothing_in_a_ledger_is_trusted(
    tree: Miniature, recorded: tuple[Path, str], kdeps: RunKdeps, tmp_path: Path
) -> None:
    """A commit is a text: short, and without control characters. What is no build id makes it no ledger."""
    ledger, build_id = recorded
    log = tmp_path / "log"
    log.write_text(LOG.format(kernel="", module=build_id))
    known = read_ledger(str(ledger))
    hostile = {build_id: Build("/etc/passwd\n", "\x1b[2Jv1\nkdeps: this build" + "x" * 5000)}
    write_ledger(str(ledger), known._replace(builds=hostile))
    done = kdeps(tree, "decode", f"--ledger={ledger}", str(log), M)
    added = [line for line in done.stdout.splitlines() if "kdeps: " in line]
    assert (len(added), done.returncode, "\x1b" in done.stdout) == (3, 1, False)
    assert max(map(len, added)) < 500
    for wrong in ("", "zz" * 20, "../../x" * 4, "aa" * 1000):
        write_ledger(str(ledger), known._replace(builds={wrong: Build("a", "b")}))
        done = kdeps(tree, "decode", f"--ledger={ledger}", str(log), M)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_a_ledger_without_build_ids_is_still_read(
    tree: Miniature, recorded: tuple[Path, str], kdeps: RunKdeps, tmp_path: Path
) -> None:
    """As the first version wrote them; one note says that it names no build."""
    ledger, build_id = recorded
    log = tmp_path / "log"
    log.write_text(LOG.format(kernel="", module=build_id))
    start, _, rest = ledger.read_bytes().partition(b'"builds": {\n')
    body = start.split(b"\n", 3)[3] + rest.partition(b"\n},\n")[2]
    checksum = hashlib.blake2b(body, digest_size=20).hexdigest()
    ledger.write_text(f'{{\n"schema": "kdeps.ledger/1",\n"checksum": "{checksum}",\n{body.decode()}')
    assert read_ledger(str(ledger)).builds == {}
    done = kdeps(tree, "decode", f"--ledger={ledger}", str(log), M)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith(f"kdeps: note: {ledger}: has no build ids; ")
    done = kdeps(tree, "decode", f"--ledger={ledger}", str(log), cwd=tree.srctree)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("kdeps: error: --ledger: add make's arguments")


def test_a_ledger_of_another_build_is_not_joined(
    tree: Miniature, recorded: tuple[Path, str], machine: Machine, kdeps: RunKdeps, tmp_path: Path
) -> None:
    """What was tested is what was built now, but the ledger is that of the build before."""
    ledger, build_id = recorded
    facts = tmp_path / "facts"
    for loaded, status, in_ledger in ((2, 1, False), (1, 0, True)):
        path = put_module(tree, build_module(tmp_path / "tested", loaded))
        machine.load(build_id_of(path))
        script = kdeps(tree, "loaded", "--script", M).stdout
        facts.write_bytes(
            subprocess.run(
                ["sh", "-s"], input=script.encode(), check=True, capture_output=True,
                env={**os.environ, "KDEPS_ROOT": str(machine.root)},
            ).stdout
        )  # fmt: skip
        done = kdeps(tree, "ci", f"--built-id={facts}", f"--against={ledger}", M)
        document: dict[str, Any] = json.loads(done.stdout)
        assert (done.returncode, document["modules"][0]["in_ledger"]) == (status, in_ledger)
    assert build_id == document["modules"][0]["loaded"]


# -- what is remembered -------------------------------------------------------------


def test_a_make_of_the_whole_tree_remembers_what_it_linked(
    tree: Miniature, machine: Machine, built: Path, kdeps: RunKdeps, tmp_path: Path
) -> None:
    """vmlinux and modules, by the commit of the sources; what is older than that make may be of another one."""
    tag(tree, "v7.2-rc3")
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    later = time.time() + 5
    vmlinux = put_vmlinux(tree, tmp_path, "aa" * 20)
    files = {name: tree.objtree / f"{name}.ko" for name in ("one", "two")}
    for number, path in enumerate(files.values()):
        path.write_bytes(build_module(tmp_path / path.name, number, name=path.stem))
    (tree.objtree / "modules.order").write_text("one.o\ntwo.o\n")
    for path in (vmlinux, files["one"]):
        os.utime(path, (later, later))
    assert kdeps(tree, "make", "modules_prepare", env=cache).returncode == 0
    deadline = time.monotonic() + 120
    while not find_origin(build_id_of(files["one"]), cache) and time.monotonic() < deadline:
        time.sleep(0.05)
    origin = find_origin("aa" * 20, cache)
    assert origin is not None
    assert (origin.path, origin.linked_s, origin.commit) == (str(vmlinux), int(later), "v7.2-rc3")
    assert find_origin(build_id_of(files["two"]), cache) is None

    put_vmlinux(tree, tmp_path, "bb" * 20)
    machine.load(build_id_of(built))
    done = kdeps(tree, "loaded", f"--sysroot={machine.root}", M, env=cache)
    booted = next(line for line in done.stdout.splitlines() if " booted " in line)
    assert "7.2.13 runs, from another link of vmlinux than the tree's (#1 SMP" in booted
    assert booted.endswith(" from v7.2-rc3")
    (tree.objtree / "include/config/kernel.release").write_text("7.2.13\n")
    log = tmp_path / "log"
    log.write_text(LOG.format(kernel="aa" * 20, module=build_id_of(built)))
    done = kdeps(tree, "decode", str(log), M, env=cache)
    assert done.returncode == 1
    assert "vmlinux had the build id aaaaaaaaaaaa…, here it has bbbbbbbbbbbb…" in done.stdout
    assert "\nkdeps:   vmlinux of this log: built " in done.stdout


def test_a_module_that_make_did_not_renew_is_not_of_this_commit(
    tree: Miniature, built: Path, tmp_path: Path
) -> None:
    """make failed, and the file of an older commit is still there."""
    environ = {**tree.environment(), "XDG_CACHE_HOME": str(tmp_path / "cache")}

    def remember() -> None:
        result = check_build((*tree.tree_args, M), str(tree.srctree), environ)
        remember_modules(result, None, environ)

    time.sleep(0.1)
    tree.append(f"{FOLDER}/gpu.rs", "// edited\n")
    data, build_id = built.read_bytes(), build_id_of(built)
    remember()
    assert find_origin(build_id, environ) is None
    tree.make(M)
    put_module(tree, data)
    remember()
    assert find_origin(build_id, environ) is not None
