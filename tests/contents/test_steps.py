# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The store of steps: what was built before comes back, and nothing that a build would change."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kdeps.cli.remembering import _remember
from kdeps.contents.recall import recall
from kdeps.contents.restore import restore_steps
from kdeps.contents.steps import load_index
from kdeps.staleness.check import check_build
from kdeps.system.blobs import Blobs
from kdeps.system.cache import cache_directory
from tests.conftest import RunKdeps
from tests.support.miniature import MODULE, Miniature

M = f"M={MODULE}"
SOURCE = "rust/kernel/io.rs"
HEADER = "include/linux/pci.h"
RAN = re.compile(r"^  (?:RUSTC|BINDGEN|CC|SYNC)\b.*", re.MULTILINE)


@pytest.fixture
def kept(tree: Miniature, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Miniature:
    """A built miniature whose steps are kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    keep(tree)
    return tree


def keep(tree: Miniature) -> None:
    """Remember the build as it is, once nothing in it is racy any more."""
    time.sleep(0.06)
    _remember((*tree.tree_args, M), str(tree.srctree), tree.environment(), time.time_ns(), whole=False)


def build(tree: Miniature, kdeps: RunKdeps) -> list[str]:
    """Build by ``kdeps make`` and keep what was built; return the steps that ran."""
    done = kdeps(tree, "make", M)
    assert done.returncode == 0, done
    assert not re.search("not checked|a bug in kdeps", done.stderr), done
    keep(tree)
    return RAN.findall(done.stdout)


def digests(tree: Miniature) -> dict[str, str]:
    """Hash all that was built; the ``.cmd`` of the synced configuration included."""
    found = {}
    for path in sorted([*tree.objtree.rglob("*"), *(tree.srctree / MODULE).rglob("*")]):
        if path.is_file() and not path.is_symlink() and ".git" not in path.parts:
            found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def both_ways(tree: Miniature, kdeps: RunKdeps, edit: Callable[[], object]) -> tuple[list[str], list[str]]:
    """Build, edit, build, undo with a new time and build; return the steps of the last two builds."""
    before = {path: path.read_bytes() for path in tree.srctree.rglob("*") if path.is_file()}
    first = digests(tree)
    edit()
    there = build(tree, kdeps)
    for path, data in before.items():
        if path.suffix in {".rs", ".h", ".c"} and (not path.exists() or path.read_bytes() != data):
            path.write_bytes(data)
    back = build(tree, kdeps)
    assert digests(tree) == first
    return there, back


@pytest.mark.parametrize("name", [SOURCE, HEADER, f"{MODULE}/gpu.rs", "rust/macros/lib.rs"])
def test_a_branch_that_was_built_before_compiles_nothing(kept: Miniature, kdeps: RunKdeps, name: str) -> None:
    """There something ran; back nothing did, and every byte is as it was."""
    there, back = both_ways(kept, kdeps, lambda: kept.append(name, "/* other */\n"))
    assert (bool(there), back) == (True, [])
    assert kdeps(kept, "check", "--by=time", M).returncode == 0


def test_a_flag_of_a_makefile_there_and_back_compiles_nothing(kept: Miniature, kdeps: RunKdeps) -> None:
    """No time shows the change; Kbuild names the commands, and what they built before comes back."""
    makefile = kept.srctree / "Makefile"
    here = makefile.read_text()
    there = here.replace("-Cpanic=abort", "-Cpanic=abort -Cforce-frame-pointers=y")
    kept.append(SOURCE, "// built here\n")
    assert [bool(build(kept, kdeps)) for text in (here, there) if makefile.write_text(text)] == [True, True]
    by_there = digests(kept)
    makefile.write_text(here)
    assert build(kept, kdeps) == []
    assert digests(kept) != by_there
    makefile.write_text(there)
    assert build(kept, kdeps) == []
    assert digests(kept) == by_there


def test_what_is_generated_each_time_comes_back_as_well(tree: Miniature, kdeps: RunKdeps) -> None:
    """Another symbol changes the target of rustc; with what was generated for it, all that was compiled for it is there."""
    config = tree.objtree / ".config"
    here = config.read_text()
    there = here.replace("# CONFIG_DEBUG_INFO is not set", "CONFIG_DEBUG_INFO=y")
    assert here != there
    tree.append(SOURCE, "// built here\n")
    target = tree.objtree / "scripts/target.json"
    target.unlink()
    build(tree, kdeps)
    generated = target.read_bytes()
    config.write_text(there)
    assert any("core.o" in step for step in build(tree, kdeps))
    assert target.read_bytes() != generated
    config.write_text(here)
    assert [step for step in build(tree, kdeps) if ".mod.o" not in step] == []
    assert target.read_bytes() == generated


def test_after_a_configuration_was_synced_what_was_built_in_it_comes_back(
    tree: Miniature, kdeps: RunKdeps
) -> None:
    """A branch has one more symbol: .config, which is not in git, is another one only after olddefconfig."""
    names = [tree.srctree / "rust/kernel/Kconfig", tree.srctree / SOURCE]
    here = [path.read_text() for path in names]
    there = [here[0] + '\nconfig RUST_MORE\n\tbool "more"\n\tdefault y\n', here[1] + "// more\n"]
    ran = []
    for texts in (there, here, there, here):
        for path, text in zip(names, texts, strict=True):
            path.write_text(text)
        ran.append([step for step in build(tree, kdeps) if "RUSTC" in step])
    assert [bool(steps) for steps in ran] == [True, True, False, False]


def test_a_configuration_that_was_built_before_compiles_nothing(kept: Miniature, kdeps: RunKdeps) -> None:
    """A symbol there and back: neither syncconfig nor a compiler runs."""
    first = digests(kept)
    config = (kept.objtree / ".config").read_text()
    kept.set_config(RUST_OVERFLOW_CHECKS="n")
    assert build(kept, kdeps)
    (kept.objtree / ".config").write_text(config)
    assert build(kept, kdeps) == []
    assert digests(kept) == first


def test_a_cleaned_module_comes_back(kept: Miniature, kdeps: RunKdeps) -> None:
    """Objects and records are gone; links are make's."""
    first = digests(kept)
    kept.make("clean", M)
    assert digests(kept) != first
    assert [line for line in build(kept, kdeps) if not line.endswith(".mod.o")] == []
    assert digests(kept) == first


def test_nothing_is_put_back_where_nothing_may_change(kept: Miniature, kdeps: RunKdeps) -> None:
    """A refusal, a warning and a dry run leave every byte alone."""
    text = (kept.srctree / SOURCE).read_text()
    kept.append(SOURCE, "// other\n")
    build(kept, kdeps)
    kept.edit(SOURCE, text)
    before = {path: about for path, about in kept.listing().items() if "/build/" in path}
    assert kdeps(kept, "make", "--on-stale=fail", M).returncode == 1
    for options in (("--on-stale=warn",), ("-n",)):
        assert "put back" not in kdeps(kept, "make", *options, M).stderr
    after = kept.listing()
    assert {path: after.get(path) for path in before} == before


def other_and_back(tree: Miniature, kdeps: RunKdeps, name: str = SOURCE) -> None:
    """Build another text of a file, then put the first one back, with a new time."""
    text = (tree.srctree / name).read_text()
    tree.append(name, "/* other */\n")
    build(tree, kdeps)
    tree.edit(name, text)


def blobs() -> list[Path]:
    return [*Path(cache_directory(dict(os.environ)), "blobs").iterdir()]


def test_a_damaged_copy_counts_as_none(kept: Miniature, kdeps: RunKdeps) -> None:
    """One flipped bit in each: make builds, and every byte is right."""
    first = digests(kept)
    other_and_back(kept, kdeps)
    for path in blobs():
        data = bytearray(path.read_bytes())
        data[-1:] = bytes([data[-1] ^ 1]) if data else b"x"
        path.write_bytes(data)
    assert build(kept, kdeps)
    assert digests(kept) == first


@pytest.mark.parametrize(
    ("edited", "name"), [(HEADER, "build/include/linux/pci.h"), (SOURCE, "linux/rust/kernel/io/mod.rs")]
)
def test_what_could_stand_in_for_an_input_is_seen(
    kept: Miniature, kdeps: RunKdeps, edited: str, name: str
) -> None:
    """A file of that name was not there when the step ran: it is left to make."""
    other_and_back(kept, kdeps, edited)
    shadow = kept.root / name
    shadow.parent.mkdir(parents=True, exist_ok=True)
    shadow.write_text("/* shadows */\n")
    done = kdeps(kept, "make", M)
    assert "put back" not in done.stderr or RAN.findall(done.stdout), done


def test_another_tool_puts_nothing_back(kept: Miniature, kdeps: RunKdeps) -> None:
    """A compiler that was replaced in place may give other outputs."""
    other_and_back(kept, kdeps)
    for name in ("rustc", "bindgen", "clang"):
        tool = kept.toolchain / "bin" / name
        tool.write_bytes(tool.read_bytes() + b"\n# patched\n")
    done = kdeps(kept, "make", M)
    assert "put back" not in done.stderr, done


def test_what_had_other_outputs_from_the_same_inputs_is_not_put_back(
    kept: Miniature, kdeps: RunKdeps
) -> None:
    """Seen to be not reproducible: make runs it each time."""
    target = kept.objtree / "rust/kernel.o"
    target.unlink()
    kept.make("modules_prepare")
    target.write_text(target.read_text() + "a date\n")
    keep(kept)
    index = load_index(str(kept.objtree), kept.environment())
    assert index is not None
    assert [step.entry.outputs for step in index.steps[str(target)]] == [b""]
    other_and_back(kept, kdeps)
    assert any("kernel.o" in line for line in build(kept, kdeps))


def test_what_was_broken_off_is_built(
    kept: Miniature, kdeps: RunKdeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after the outputs, before the record: make has no record, and runs the step."""
    first = digests(kept)
    other_and_back(kept, kdeps)
    replace = os.replace

    def stop(source: str, target: str, **more: int) -> None:
        if target.endswith("/rust/.kernel.o.cmd"):
            raise KeyboardInterrupt
        replace(source, target, **more)

    environ = kept.environment()
    result = check_build((*kept.tree_args, M), str(kept.srctree), environ)
    recalled = recall(result, environ)
    assert recalled is not None
    monkeypatch.setattr(os, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        restore_steps(result, recalled, environ)
    monkeypatch.setattr(os, "replace", replace)
    assert not (kept.objtree / "rust/.kernel.o.cmd").exists()
    build(kept, kdeps)
    assert not list(kept.objtree.rglob(".tmp_kdeps_*"))
    assert digests(kept) == first


def test_an_edit_behind_its_time_and_undone_comes_back(kept: Miniature, kdeps: RunKdeps) -> None:
    """``mv io.rs.orig io.rs``: what is put back is newer than what was made from the other one."""
    first = digests(kept)
    source = kept.srctree / SOURCE
    original = source.with_name("io.rs.orig")
    shutil.copy2(source, original)
    kept.append(SOURCE, "// other\n")
    build(kept, kdeps)
    original.rename(source)
    assert build(kept, kdeps) == []
    assert digests(kept) == first
    assert kdeps(kept, "check", "--by=time", M).returncode == 0


def test_copies_have_a_bound(kept: Miniature) -> None:
    """Those that were used longest ago go first; a step whose copies are gone is left to make."""
    environ = kept.environment()
    with Blobs(environ) as store:
        kept_before = len(blobs())
        store.drop_old(10_000)
    assert 0 < len(blobs()) < kept_before
    assert sum(path.stat().st_size for path in blobs()) <= 10_000
