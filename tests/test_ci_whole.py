# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps ci --scope=tree``: every record of a tree, and the index that remembers them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kdeps.ci.index import Index
from kdeps.demo.miniature import MODULE, Miniature, create
from kdeps.rules import Rule, read_rules
from kdeps.tree import find_tree
from tests.conftest import CHECKOUT, RunKdeps
from tests.reports import read_json


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache directory of this test's own."""
    folder = tmp_path / "own-cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


@pytest.fixture
def whole(tree: Miniature) -> Miniature:
    """A miniature with a small kernel in it: two folders of objects, their archives, vmlinux and its image.

    The records are written by hand, in the words of a real 7.2: the miniature's make knows
    no vmlinux. Kbuild itself is the referee of tests/whole, on real kernels.
    """
    for folder in ("alpha", "beta"):
        for name in ("one", "two"):
            source = tree.edit(tree.srctree / f"{folder}/{name}.c", "int x;\n")
            command = f"clang -Wp,-MMD,{folder}/.{name}.o.d -D__KERNEL__ -c -o {folder}/{name}.o {source}"
            record(tree, f"{folder}/{name}.o", command, source)
        record(tree, f"{folder}/built-in.a", archive(f"{folder}/built-in.a", folder, "one.o", "two.o"))
    record(tree, "built-in.a", archive("built-in.a", "", "alpha/built-in.a", "beta/built-in.a"))
    record(tree, "vmlinux", "ld -o vmlinux built-in.a")
    record(tree, "arch/x86/boot/vmlinux.bin", "llvm-objcopy -O binary vmlinux arch/x86/boot/vmlinux.bin")
    return tree


def test_a_tree_that_was_only_prepared_is_no_whole_kernel(tree: Miniature, kdeps: RunKdeps) -> None:
    """Plain make would build nearly everything, of which no record tells: that is not fresh."""
    done = kdeps(tree, "ci", "--scope=tree")
    assert done.returncode == 2
    assert "build/vmlinux: never built: plain `make` first" in done.stdout


def archive(name: str, folder: str, *members: str) -> str:
    prefix = f"{folder}/" if folder else ""
    return f'rm -f {name};  printf "{prefix}%s " {" ".join(members)} | xargs llvm-ar cDPrST {name}'


def record(tree: Miniature, name: str, command: str, *listed: Path) -> Path:
    target = tree.edit(tree.objtree / name, "made")
    text = f"savedcmd_{name} := {command}\n"
    if listed:
        files = "".join(f"  {path} \\\n" for path in listed[1:])
        text += f"\nsource_{name} := {listed[0]}\n\ndeps_{name} := \\\n{files}\n{name}: $(deps_{name})\n\n$(deps_{name}):\n"
    target.with_name(f".{target.name}.cmd").write_text(text)
    return target


def rules_of(tree: Miniature) -> dict[str, Rule]:
    found = find_tree((*tree.tree_args,), str(tree.srctree), dict(os.environ))
    return {rule.name: rule for rule in read_rules(found, whole=True).rules}


def ask(kdeps: RunKdeps, tree: Miniature, *words: str) -> dict[str, Any]:
    done = kdeps(tree, "ci", "--scope=tree", "--format=json", *words)
    report = read_json(done.stdout)
    assert done.returncode == {"fresh": 0, "stale": 1, "unknown": 2}[report["verdict"]], done.stderr
    part: dict[str, Any] = report["modules"][0]
    return part


def environment(tree: Miniature) -> dict[str, str]:
    return tree.environment({"PYTHONPATH": str(CHECKOUT)})


def settle(kdeps: RunKdeps, tree: Miniature) -> None:
    """Let the index be written of records that are old enough to be remembered."""
    time.sleep(1.1)
    assert ask(kdeps, tree)["verdict"] == "fresh"


# -- what is judged -----------------------------------------------------------


def test_every_record_is_a_rule_and_every_list_an_edge(whole: Miniature) -> None:
    """Archives, links and images lead from the sources to what is booted, by their commands alone."""
    rules = rules_of(whole)
    objtree = str(whole.objtree)
    assert f"{objtree}/alpha/one.o" in rules["alpha/built-in.a"].prerequisites
    assert f"{objtree}/beta/built-in.a" in rules["built-in.a"].prerequisites
    assert f"{objtree}/alpha/built-in.a" not in rules["beta/built-in.a"].prerequisites
    assert f"{objtree}/vmlinux" in rules["arch/x86/boot/vmlinux.bin"].prerequisites
    assert "rust/kernel.o" in rules


def test_a_source_makes_everything_behind_it_stale(whole: Miniature, kdeps: RunKdeps) -> None:
    """One cause; the command that helps is plain make's."""
    assert ask(kdeps, whole)["verdict"] == "fresh"
    whole.touch("alpha/one.c")
    done = kdeps(whole, "ci", "--scope=tree", "--format=json")
    report = read_json(done.stdout)
    (issue,) = report["issues"]
    assert issue["target"] == "alpha/one.o"
    assert report["modules"][0]["direct"] == ["alpha/one.o"]
    assert report["modules"][0]["stats"]["stale_kernel_artifacts"] == 5
    assert report["cure"][-1].endswith(" all")


def test_a_module_whose_object_is_gone_is_made_because_that_one_is(whole: Miniature, kdeps: RunKdeps) -> None:
    """The .ko is found by a pattern, ``%.ko: %.o``: without the object make has nothing to compare it with."""
    source = whole.edit(whole.srctree / "fs/x.c", "int x;\n")
    record(whole, "fs/x.o", f"clang -D__KERNEL__ -DMODULE -c -o fs/x.o {source}", source)
    record(whole, "fs/x.mod.o", "clang -D__KERNEL__ -DMODULE -c -o fs/x.mod.o fs/x.mod.c")
    record(whole, "fs/modules.order", "{   echo fs/x.o; :; } > fs/modules.order")
    record(whole, "modules.order", "{   cat fs/modules.order; :; } > modules.order")
    record(whole, "fs/x.ko", "ld -r -T ./scripts/module.lds -o fs/x.ko fs/x.o fs/x.mod.o")
    (whole.objtree / "fs/x.o").unlink()
    (reached,) = [rule for name, rule in rules_of(whole).items() if name == "fs/x.ko"]
    assert f"{whole.objtree}/fs/x.o" not in reached.prerequisites
    assert f"{whole.objtree}/fs/x.o" in reached.optional
    part = ask(kdeps, whole)
    assert "fs/x.o" in part["direct"]
    assert "fs/x.ko" not in part["direct"]


def test_what_no_list_leads_to_is_not_visited(whole: Miniature, kdeps: RunKdeps) -> None:
    """Objects of another configuration stay behind; make never comes to them, whatever becomes of their sources."""
    source = whole.edit(whole.srctree / "gamma/old.c", "int x;\n")
    record(whole, "gamma/old.o", f"clang -D__KERNEL__ -c -o gamma/old.o {source}", source)
    record(whole, "gamma/built-in.a", archive("gamma/built-in.a", "gamma", "old.o"))
    record(whole, "gamma/table.h", f"gamma/gen > gamma/table.h {source}")
    (whole.objtree / "gamma/.broken.o.cmd").write_text("savedcmd_gamma/broken.o := clang $(x\n")
    whole.touch("gamma/old.c")
    assert ask(kdeps, whole)["verdict"] == "fresh"
    # A list that is damaged may have listed it.
    whole.edit(whole.objtree / ".built-in.a.cmd", "savedcmd_built-in.a := rm -f buil")
    assert "gamma/old.o" in ask(kdeps, whole)["direct"]


def test_a_linker_script_that_somebody_wrote_needs_no_record(tmp_path: Path) -> None:
    """Built in the source tree, both kinds lie side by side: other architectures have some without ``.lds.S``."""
    tree = create(tmp_path / "linux")
    tree.build()
    for name in ("written.lds", "generated.lds", "generated.lds.S"):
        tree.edit(tree.srctree / "arch/alpha" / name, "")
    rules = rules_of(tree)
    assert "arch/alpha/generated.lds" in rules
    assert "arch/alpha/written.lds" not in rules


@pytest.mark.parametrize("folder", ["alpha", "rust"])
def test_a_copy_of_a_folder_is_not_visited(whole: Miniature, kdeps: RunKdeps, folder: str) -> None:
    """Somebody keeps the old one beside it, records and all: they make nothing there, and not what they were copied from."""
    record(whole, "rust/built-in.a", archive("rust/built-in.a", "rust", "kernel.o"))
    shutil.copytree(whole.objtree / folder, whole.objtree / f"{folder}.orig")
    assert ask(kdeps, whole)["verdict"] == "fresh"
    (whole.objtree / "alpha/.built-in.a.cmd").write_text("")
    assert "alpha/built-in.a" in ask(kdeps, whole)["direct"]


def test_an_object_without_a_record_is_told_where_a_list_names_it(whole: Miniature, kdeps: RunKdeps) -> None:
    (whole.objtree / "alpha/.one.o.cmd").unlink()
    assert ask(kdeps, whole)["direct"] == ["alpha/one.o"]
    (whole.objtree / "alpha/one.o").unlink()
    assert ask(kdeps, whole)["direct"] == ["alpha/one.o"]


@pytest.mark.parametrize(
    "name",
    [
        "arch/x86/include/generated/asm/orc_hash.h",
        "arch/x86/boot/bzImage",
        "arch/x86/entry/vdso/vdso64/vdso64-image.c",
        "modules.builtin",
        ".checked-atomic-long.h",
    ],
)
def test_a_file_that_no_suffix_tells_needs_its_record(name: str, whole: Miniature, kdeps: RunKdeps) -> None:
    """A header, an image, a list: make makes it again when its record is gone."""
    target = record(whole, name, f"printf x > {name}")
    assert ask(kdeps, whole)["verdict"] == "fresh"
    target.with_name(f".{target.name}.cmd").unlink()
    assert ask(kdeps, whole)["direct"] == [name]


def test_a_record_of_a_module_build_is_none_to_plain_make(whole: Miniature, kdeps: RunKdeps) -> None:
    """make M= in the tree writes names that plain make does not know: it would make the target again."""
    path = whole.objtree / "alpha/.one.o.cmd"
    whole.edit(path, path.read_text().replace("alpha/one.o", "one.o"))
    assert ask(kdeps, whole)["direct"] == ["alpha/one.o"]


def test_other_object_trees_and_tools_below_it_are_left_alone(whole: Miniature) -> None:
    """An object tree inside the source tree, the tools that nobody builds the kernel with."""
    for folder in ("build-arm64", "tools/perf", "Documentation"):
        record(whole, f"{folder}/x.o", f"clang -c -o {folder}/x.o")
    whole.edit(whole.objtree / "build-arm64/.config", "")
    assert not [name for name in rules_of(whole) if name.endswith("x.o")]


def test_a_module_may_be_named_beside_the_tree(whole: Miniature, kdeps: RunKdeps) -> None:
    whole.make(f"M={MODULE}")
    done = kdeps(whole, "ci", "--scope=tree", "--format=json", f"M={MODULE}")
    assert [part["name"] for part in read_json(done.stdout)["modules"]] == ["tree", MODULE]


# -- the index ----------------------------------------------------------------


def test_an_answer_that_still_holds_reads_no_record(whole: Miniature, kdeps: RunKdeps) -> None:
    """The same report, with no record opened; not even after a make that had nothing to do.

    Such a make makes and deletes files in the object tree all the same.
    """
    settle(kdeps, whole)
    for folder in ("", "include/config/", "alpha/"):
        (whole.objtree / f"{folder}.tmp_1").mkdir()
        (whole.objtree / f"{folder}.tmp_1").rmdir()
    script = (
        "import sys, kdeps.rules.reader as r; r.Reader.read = None\n"
        "from kdeps.cli.start import main; sys.argv = ['kdeps', *sys.argv[1:]]; sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "ci", "--scope=tree", "--format=json", *whole.tree_args],
        cwd=whole.srctree, env=environment(whole), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    warm = read_json(done.stdout)["modules"][0]
    assert warm["stats"]["rules"] == len(rules_of(whole))


CHANGES: dict[str, Callable[[Miniature], object]] = {
    "a source is newer": lambda tree: tree.touch("alpha/one.c"),
    "a header is newer": lambda tree: tree.touch("rust/kernel/io.rs"),
    "a target is older": lambda tree: os.utime(tree.objtree / "vmlinux", ns=(0, 0)),
    "a target is gone": lambda tree: (tree.objtree / "beta/two.o").unlink(),
    "a target is empty, its time kept": lambda tree: truncate(tree.objtree / "beta/two.o"),
    "a record is gone": lambda tree: (tree.objtree / "beta/.two.o.cmd").unlink(),
    "a record is cut, its time kept": lambda tree: truncate(tree.objtree / "beta/.two.o.cmd"),
    "a record is new": lambda tree: record(tree, "drivers/new.txt", "cp vmlinux drivers/new.txt", tree.srctree / "none"),
    "a list names more": lambda tree: tree.edit(
        tree.objtree / ".built-in.a.cmd",
        f"savedcmd_built-in.a := {archive('built-in.a', '', 'alpha/built-in.a', 'beta/built-in.a', 'x.o')}\n",
    ),
    "a dep-info is left": lambda tree: tree.edit(tree.objtree / "alpha/.one.o.d", "x"),
    "a prerequisite is a folder that cannot be entered": lambda tree: (tree.srctree / "alpha").rename(
        tree.srctree / "alpha-away"
    ),
    "a stray crate lies beside the crates": lambda tree: shutil.copy(
        tree.objtree / "rust/libkernel.rmeta", tree.objtree / "rust/libkernel-2.rmeta"
    ),
    "an artifact that was looked into is another, its time kept": lambda tree: truncate(
        tree.objtree / "include/generated/autoconf.h", keep=1
    ),
    "the configuration is newer": lambda tree: tree.edit(tree.objtree / ".config", "CONFIG_NEW=y\n"),
}  # fmt: skip


def truncate(path: Path, keep: int = 0) -> None:
    """Cut a file off after so many lines and put its time back: nothing that compares times can notice."""
    before = path.stat()
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:keep]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("name", CHANGES)
def test_with_the_index_and_without_it_the_answer_is_the_same(
    name: str, whole: Miniature, kdeps: RunKdeps, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever changes behind an answer that was kept, it is seen."""
    settle(kdeps, whole)
    CHANGES[name](whole)
    first, again = ask(kdeps, whole), ask(kdeps, whole)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache / "none"))
    anew = ask(kdeps, whole)
    for part in (first, again, anew):
        del part["stats"]["elapsed_ms"]
    assert first == again == anew
    assert anew["verdict"] != "fresh"


def index_of(cache: Path) -> Path:
    (path,) = (cache / "kdeps/index").iterdir()
    return path


@pytest.mark.parametrize("at", [0, 8, 12, 20, 40, 60, 0.3, 0.6, 0.9, -1])
def test_a_flipped_bit_costs_time_and_never_an_answer(
    at: float, whole: Miniature, kdeps: RunKdeps, cache: Path
) -> None:
    settle(kdeps, whole)
    path = index_of(cache)
    data = bytearray(path.read_bytes())
    data[int(len(data) * at) if 0 < at < 1 else int(at)] ^= 0x10
    path.write_bytes(data)
    assert ask(kdeps, whole)["verdict"] == "fresh"
    path.write_bytes(data)
    whole.touch("alpha/one.c")
    assert ask(kdeps, whole)["direct"] == ["alpha/one.o"]


@pytest.mark.parametrize("content", [b"", b"kdepsidx", b"\0" * 4096, "cut", "fifo", "folder", "unreadable"])
def test_what_is_no_index_is_none(
    content: bytes | str, whole: Miniature, kdeps: RunKdeps, cache: Path
) -> None:
    """Cut off, of another kind, something else in its place."""
    settle(kdeps, whole)
    path = index_of(cache)
    data = path.read_bytes()
    path.unlink()
    if content == "folder":
        path.mkdir()
    elif content == "fifo":
        os.mkfifo(path)
    elif content == "unreadable":
        path.symlink_to(path)
    else:
        path.write_bytes(data[: len(data) // 2] if content == "cut" else content)  # type: ignore[arg-type]
    assert ask(kdeps, whole)["verdict"] == "fresh"
    whole.touch("beta/two.c")
    assert ask(kdeps, whole)["direct"] == ["beta/two.o"]


def test_the_index_of_another_version_or_tree_is_none(whole: Miniature, kdeps: RunKdeps) -> None:
    settle(kdeps, whole)
    tree = find_tree((*whole.tree_args,), str(whole.srctree), dict(os.environ))
    assert Index(tree, dict(os.environ)).load_answer() is not None
    assert Index(tree._replace(version=(6, 1)), dict(os.environ)).load_answer() is None
    assert Index(tree._replace(srctree="/elsewhere"), dict(os.environ)).load_rules() == {}


def test_two_writers_leave_one_whole_index(whole: Miniature, cache: Path) -> None:
    """Eight at once, three rounds; each answers right, and what is left is whole."""
    time.sleep(1.1)
    command = [sys.executable, "-m", "kdeps", "ci", "--scope=tree", "--format=json", *whole.tree_args]
    for _ in range(3):
        running = [
            subprocess.Popen(
                command, cwd=whole.srctree, env=environment(whole), stdout=subprocess.PIPE, text=True
            )
            for _ in range(8)
        ]
        assert {json.loads(process.communicate()[0])["verdict"] for process in running} == {"fresh"}
    tree = find_tree((*whole.tree_args,), str(whole.srctree), dict(os.environ))
    index = Index(tree, dict(os.environ))
    assert index.load_answer() is not None
    assert len(index.load_rules()) == sum(rule.record is not None for rule in rules_of(whole).values())
    assert [path.name for path in (cache / "kdeps/index").iterdir() if path.name.endswith(".new")] == []


def test_a_killed_writer_leaves_the_old_index(whole: Miniature, kdeps: RunKdeps) -> None:
    """SIGKILL in the middle of writing: the next look finds the old one, or none, and answers right."""
    settle(kdeps, whole)
    script = (
        "import os, signal, sys, kdeps.ci.index as i\n"
        "i.os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "from kdeps.cli.start import main; sys.argv = ['kdeps', *sys.argv[1:]]; sys.exit(main())"
    )
    whole.touch("alpha/one.c")
    done = subprocess.run(
        [sys.executable, "-c", script, "ci", "--scope=tree", *whole.tree_args], cwd=whole.srctree, env=environment(whole), check=False,
        capture_output=True,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    assert ask(kdeps, whole)["direct"] == ["alpha/one.o"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")
def test_a_full_disk_costs_time_and_nothing_else(whole: Miniature, kdeps: RunKdeps, cache: Path) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(cache)], check=True)
    try:
        time.sleep(1.1)
        for _ in range(2):
            done = kdeps(whole, "ci", "--scope=tree")
            assert (done.returncode, done.stderr) == (0, "")
        assert list((cache / "kdeps").rglob("*.new")) == []
        whole.touch("alpha/one.c")
        assert ask(kdeps, whole)["direct"] == ["alpha/one.o"]
    finally:
        subprocess.run(["umount", str(cache)], check=True)
