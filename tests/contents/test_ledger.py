# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The ledger's verdict is what hashing everything tells, whatever the times say."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from kdeps.contents.compare import compare_ledgers
from kdeps.contents.judge import Judgement, judge_by_content
from kdeps.contents.ledger import CONFIGURATION, Ledger, inputs_of, take_ledger
from kdeps.contents.ledger_file import write_ledger
from kdeps.staleness.check import CheckResult, check_build
from kdeps.staleness.reasons import ReasonKind, Status
from tests.campaigns.ledger.file_events import HAPPENINGS, edited_with_the_old_time
from tests.campaigns.ledger.truth import digests, tell_truth
from tests.conftest import RunKdeps
from tests.support.ledger import contents_of, look, record
from tests.support.miniature import MODULE, Miniature
from tests.support.schemas import read_json

CASES = 200


def against(tree: Miniature, ledger: Ledger, cache: Path) -> Judgement:
    found = look(tree)
    contents = contents_of(found, cache)
    judged = judge_by_content(found, ledger, contents, tree.environment())
    contents.store()
    return judged


def everything(tree: Miniature) -> dict[str, str]:
    """Every file there is, by another hash than the ledger's."""
    tops = (tree.root, tree.objtree)
    return digests(str(path) for top in tops for path in top.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def shared(pristine: Miniature, tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    """A tree for many cases in a row; each puts everything back as it was."""
    return pristine.copy_to(tmp_path_factory.mktemp("ledger") / "tree")


def sources(result: CheckResult) -> list[str]:
    """Files of the source tree that some step has read, by name."""
    root = f"{result.tree.srctree}/"
    return sorted(
        {path for rule in result.graph.rules for path in inputs_of(rule) if path.startswith(root)}
        - result.graph.producers.keys()
    )  # fmt: skip


@pytest.mark.parametrize("part", range(8))
def test_the_ledger_says_what_hashing_everything_says(shared: Miniature, tmp_path: Path, part: int) -> None:
    """Of 200 seeded cases none is wrong: neither a change behind an mtime, nor a mere touch."""
    kept = {p: (p.read_bytes(), p.stat()) for p in map(Path, sources(look(shared)))}
    ledger = record(shared, tmp_path)
    before = everything(shared)
    seen: set[str] = set()
    for case in range(part, CASES, 8):
        rng = random.Random(case)
        chosen = rng.sample(sorted(kept), rng.randrange(1, 4))
        happened = []
        for path in chosen:
            happening = rng.choice(HAPPENINGS)
            happening(path, rng)
            happened.append(f"{path.name} {happening.__name__}")
        judged = against(shared, ledger, tmp_path)
        truth = tell_truth(judged.result, before, everything(shared))
        told = {target for target, _ in judged.changed}
        idle = {target for target, _ in judged.touched} - told
        assert told == truth.changed, (case, happened)
        assert idle == truth.touched, (case, happened)
        assert not judged.uncovered, (case, happened)
        stale = {
            state.rule.target
            for state in (*judged.result.verdict.stale, *judged.result.verdict.pending)
            if state.direct
        }
        assert stale == truth.changed, (case, happened)
        seen |= {word.rpartition(" ")[2] for word in happened}
        for path in chosen:
            data, found = kept[path]
            path.write_bytes(data)
            os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert len(seen) >= 6


# -- the artifacts -------------------------------------------------------------------


def test_artifacts_from_a_cache_hide_an_edit_from_make_alone(tree: Miniature, tmp_path: Path) -> None:
    """Restored after the checkout, artifacts are newer than the source they were not made from."""
    ledger = record(tree, tmp_path)
    tree.append("rust/kernel/io.rs", "pub fn later() {}\n")
    moment = time.time_ns()
    for path in (*tree.objtree.rglob("*"), *tree.module.rglob("*")):
        if path.is_file():
            os.utime(path, ns=(moment, moment))
    assert look(tree).verdict.status is Status.FRESH
    judged = against(tree, ledger, tmp_path)
    assert judged.result.verdict.status is Status.STALE
    kinds = {(s.rule.name, r.kind) for s in judged.result.verdict.stale for r in s.reasons if s.direct}
    assert ("rust/kernel.o", ReasonKind.CONTENT_CHANGED) in kinds


def test_after_the_cure_nothing_is_stale(tree: Miniature, kdeps: RunKdeps, tmp_path: Path) -> None:
    """What was built since is not known to the old ledger, but modules.order only names the new object."""
    ledger, source = tmp_path / "ledger", tree.srctree / "rust/kernel/io.rs"
    assert kdeps(tree, "ci", f"--record={ledger}", f"M={MODULE}").returncode == 0
    status = source.stat()
    source.write_text(source.read_text() + "// more\n")
    os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns))
    done = kdeps(tree, "ci", f"--against={ledger}", "--format=json", f"M={MODULE}")
    assert done.returncode == 1
    for line in read_json(done.stdout)["cure"]:
        subprocess.run(line, shell=True, cwd=tree.srctree, env=tree.environment(), check=True)
    done = kdeps(tree, "ci", f"--against={ledger}", f"M={MODULE}")
    assert (done.returncode, "stale:" in done.stdout) == (2, False), done.stdout
    assert kdeps(tree, "ci", f"--record={ledger}", f"M={MODULE}").returncode == 0
    assert kdeps(tree, "ci", f"--against={ledger}", f"M={MODULE}").returncode == 0


def test_a_checkout_with_new_times_is_fresh(tree: Miniature, tmp_path: Path) -> None:
    """Every source newer than every artifact, Kconfig files and .config too, and nothing else."""
    ledger = record(tree, tmp_path)
    for path in sorted(tree.srctree.rglob("*")):
        if path.is_file() and tree.objtree not in path.parents and tree.module not in path.parents:
            os.utime(path)
    os.utime(tree.objtree / ".config")
    assert look(tree).verdict.status is Status.STALE
    judged = against(tree, ledger, tmp_path)
    assert judged.result.verdict.status is Status.FRESH
    assert not judged.result.verdict.stale
    assert [d.status for d in judged.findings] == [Status.FRESH]


def test_a_configuration_that_went_back_in_time_is_not_synced(
    tree: Miniature, kdeps: RunKdeps, tmp_path: Path
) -> None:
    """``.config`` of another build, with an old mtime: make sees nothing, and never will; the cure makes it."""
    ledger = record(tree, tmp_path)
    config = tree.objtree / ".config"
    times = config.stat()
    config.write_text(config.read_text().replace("=y", "=n", 1))
    os.utime(config, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert look(tree).verdict.status is Status.STALE  # by its ctime; and without one, too:
    judged = against(tree, ledger, tmp_path)
    assert judged.result.verdict.status is Status.STALE
    assert [f.kind for f in judged.result.verdict.findings] == [ReasonKind.CONFIG_NOT_SYNCED]
    path = tmp_path / "ledger"
    write_ledger(str(path), ledger)
    for options in (
        (f"--against={path}",),
        (),
    ):  # then it is known which symbols the module's objects lag behind
        report = read_json(kdeps(tree, "ci", "--format=json", *options, f"M={MODULE}").stdout)
        for line in report["cure"]:
            subprocess.run(
                line, shell=True, cwd=tree.srctree, env=tree.environment(), check=True, capture_output=True
            )
    assert kdeps(tree, "ci", f"--record={path}", f"M={MODULE}").returncode == 0
    assert look(tree).verdict.status is Status.FRESH


def test_a_symbol_with_another_value_makes_its_users_stale(tree: Miniature, tmp_path: Path) -> None:
    """Its stamp says only when it changed; the ledger has what it was."""
    ledger = record(tree, tmp_path)
    symbol = next(n[7:] for r in look(tree).graph.rules for n in [f"CONFIG_{s}" for s in r.config][:1])
    changed = ledger._replace(config={**ledger.config, f"CONFIG_{symbol}": "other"})
    judged = against(tree, changed, tmp_path)
    assert {os.path.basename(path) for _, path in judged.changed} == {symbol}
    assert judged.result.verdict.status is Status.STALE


def test_what_was_built_since_is_unknown(tree: Miniature, tmp_path: Path) -> None:
    """The ledger cannot speak of an artifact that it does not know, and times are not trusted; a new one can."""
    ledger = record(tree, tmp_path)
    tree.append("rust/kernel/io.rs", "pub fn later() {}\n")
    tree.make("modules_prepare")
    tree.make(f"M={MODULE}")
    judged = against(tree, ledger, tmp_path)
    assert any(target.endswith("rust/kernel.o") for target in judged.uncovered)
    assert not any(target.endswith("rust/kernel.o") for target, _ in judged.changed)
    assert ("not-in-ledger", Status.UNKNOWN) in {(d.kind.value, d.status) for d in judged.findings}
    judged = against(tree, record(tree, tmp_path), tmp_path)
    assert judged.result.verdict.status is Status.FRESH
    assert not judged.findings


def test_what_is_stale_is_not_in_a_ledger(tree: Miniature, tmp_path: Path) -> None:
    """Nobody knows any more what it was built from."""
    tree.append("rust/kernel/io.rs", "pub fn later() {}\n")
    ledger = record(tree, tmp_path)
    assert "$(objtree)/rust/kernel.o" not in ledger.rules
    assert "$(objtree)/rust/core.o" in ledger.rules


def test_an_edit_while_the_ledger_is_written_is_not_in_it(tree: Miniature, tmp_path: Path) -> None:
    """What was judged fresh and then edited was not built from what is hashed; make would see the edit."""
    found = look(tree)
    tree.edit(tree.srctree / "rust/kernel/io.rs", "// another\n")
    ledger, problems = take_ledger((found,), contents_of(found, tmp_path), tree.environment())
    assert "$(objtree)/rust/kernel.o" not in ledger.rules
    assert "$(objtree)/rust/ffi.o" in ledger.rules
    (problem,) = problems
    assert problem.path.endswith("rust/kernel/io.rs")
    assert "changed while the ledger was written" in problem.message
    assert against(tree, ledger, tmp_path).result.verdict.status is Status.STALE


def test_a_configuration_edited_while_the_ledger_is_written_is_not_in_it(
    tree: Miniature, tmp_path: Path
) -> None:
    """The same for what the configuration was synced from."""
    found = look(tree)
    with open(tree.objtree / ".config", "a", encoding="utf-8") as file:
        file.write("CONFIG_MORE=y\n")
    ledger, problems = take_ledger((found,), contents_of(found, tmp_path), tree.environment())
    assert CONFIGURATION not in ledger.rules
    assert any(problem.path.endswith(".config") for problem in problems)


def test_a_configuration_of_another_name_is_the_one_that_counts(tree: Miniature, tmp_path: Path) -> None:
    """``KCONFIG_CONFIG`` of the environment names it, as for every other answer."""
    environ = {**tree.environment(), "KCONFIG_CONFIG": "work.config"}
    (tree.objtree / ".config").rename(tree.objtree / "work.config")
    found = check_build((*tree.tree_args, f"M={MODULE}"), str(tree.srctree), environ)
    ledger, _ = take_ledger((found,), contents_of(found, tmp_path), environ)
    assert "$(objtree)/work.config" in ledger.rules[CONFIGURATION].inputs


def test_two_modules_of_one_name_keep_theirs(tree: Miniature, kdeps: RunKdeps, tmp_path: Path) -> None:
    """Whichever of them is judged, it is compared with itself; one that the ledger has not seen, with none."""
    for place in ("a", "b", "c"):
        folder = tmp_path / place / "hello"
        shutil.copytree(tree.root / "hello", folder)
        with open(folder / "hello.rs", "a", encoding="utf-8") as file:
            file.write(f"// {place}\n")
        tree.make(f"M={folder}")
    a, b, c = (f"M={tmp_path / place}/hello" for place in ("a", "b", "c"))
    ledger = tmp_path / "ledger"
    assert kdeps(tree, "ci", f"--record={ledger}", a, b).returncode == 0
    for words in ((a,), (b,), (a, b)):
        done = kdeps(tree, "ci", f"--against={ledger}", *words)
        assert done.returncode == 0, done.stdout
    done = kdeps(tree, "ci", f"--against={ledger}", c)
    assert (done.returncode, "the ledger has nothing about" in done.stdout) == (2, True)
    source = tmp_path / "b/hello/hello.rs"
    status = source.stat()
    source.write_text(source.read_text() + "// more\n")
    os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert kdeps(tree, "ci", f"--against={ledger}", "--built", a).returncode == 0
    assert kdeps(tree, "ci", f"--against={ledger}", "--built", b).returncode == 1
    (tmp_path / "a").rename(tmp_path / "moved")
    # Moved alone, it lies neither where it lay nor beside the sources as it did: nobody guesses which one it is.
    assert kdeps(tree, "ci", f"--against={ledger}", f"M={tmp_path}/moved/hello").returncode == 2


def test_a_ledger_holds_for_a_tree_that_was_moved(tree: Miniature, tmp_path: Path) -> None:
    """The same contents elsewhere: nothing of it is stale for its content."""
    ledger = record(tree, tmp_path)
    moved = tree.root.with_name("moved")
    moved.mkdir()
    for name in ("linux", "build"):
        (tree.root / name).rename(moved / name)
    (moved / "toolchain").symlink_to(tree.toolchain)  # a compiler stays where it is
    there = Miniature(moved, moved / "build")
    judged = against(there, ledger, tmp_path)
    assert not judged.changed
    assert not judged.uncovered
    path = there.path("rust/kernel/io.rs")
    times = path.stat()
    path.write_text(path.read_text() + "//\n")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert {os.path.basename(t) for t, _ in against(there, ledger, tmp_path).changed} == {"kernel.o"}


def test_record_and_against_from_the_command_line(tree: Miniature, kdeps: RunKdeps, tmp_path: Path) -> None:
    """Stale by content is 1, touched only is 0 with a note."""
    path = tmp_path / "good.ledger"
    assert kdeps(tree, "ci", f"--record={path}", f"M={MODULE}").returncode == 0
    tree.touch("rust/kernel/io.rs")
    elsewhere = {"XDG_CACHE_HOME": str(tmp_path / "another machine")}
    assert kdeps(tree, "ci", f"M={MODULE}", env=elsewhere).returncode == 1
    done = kdeps(tree, "ci", "--format=json", f"--against={path}", f"M={MODULE}", env=elsewhere)
    assert done.returncode == 0
    assert [issue["kind"] for issue in read_json(done.stdout)["issues"]] == ["touched-only"]
    edited_with_the_old_time(tree.path("rust/kernel/lib.rs"), random.Random(1))
    done = kdeps(tree, "ci", "--format=json", f"--against={path}", f"M={MODULE}")
    assert done.returncode == 1
    report = read_json(done.stdout)
    assert report["issues"][0]["kind"] == "content-changed"
    assert report["cure"][0].startswith("rm -f ")
    for line in report["cure"]:
        subprocess.run(line, shell=True, cwd=tree.srctree, env=tree.environment(), check=True, capture_output=True)  # fmt: skip
    assert kdeps(tree, "ci", f"--record={path}", f"M={MODULE}").returncode == 0
    assert kdeps(tree, "ci", f"--against={path}", f"M={MODULE}").returncode == 0


def test_a_source_that_leads_out_of_the_trees_now_is_unknown(
    tree: Miniature, kdeps: RunKdeps, tmp_path: Path
) -> None:
    """The ledger has its content and nobody looks there: not fresh, and --outside says what it is."""
    path = tmp_path / "ledger"
    assert kdeps(tree, "ci", f"--record={path}", "--outside", f"M={MODULE}").returncode == 0
    source, elsewhere = tree.path("rust/kernel/io.rs"), tmp_path / "io.rs"
    shutil.copy2(source, elsewhere)
    edited_with_the_old_time(elsewhere, random.Random(1))
    source.unlink()
    source.symlink_to(elsewhere)
    done = kdeps(tree, "ci", "--format=json", f"--against={path}", f"M={MODULE}")
    assert done.returncode == 2
    (issue,) = read_json(done.stdout)["issues"]
    assert "rust/kernel/io.rs" in issue["paths"][0]["path"]
    assert "--outside" in issue["message"]
    done = kdeps(tree, "ci", "--format=json", f"--against={path}", "--outside", f"M={MODULE}")
    assert done.returncode == 1
    assert [issue["kind"] for issue in read_json(done.stdout)["issues"]] == ["content-changed"]


def test_an_input_that_the_record_lost_still_counts(tree: Miniature, tmp_path: Path) -> None:
    """A record from a cache, shorter than the one the ledger was written of, hides nothing."""
    ledger = record(tree, tmp_path)
    path = tree.objtree / "rust/.kernel.o.cmd"
    times = path.stat()
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.endswith("rust/kernel/io.rs \\\n")))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert len(path.read_text()) < times.st_size
    assert against(tree, ledger, tmp_path).result.verdict.status is Status.FRESH
    source = tree.path("rust/kernel/io.rs")
    edited_with_the_old_time(source, random.Random(1))
    assert ("rust/kernel.o", str(source)) in [
        (os.path.relpath(target, tree.objtree), path) for target, path in against(tree, ledger, tmp_path).changed
    ]  # fmt: skip


def test_the_ledger_of_another_build_makes_nothing_fresh(
    tree: Miniature, kdeps: RunKdeps, tmp_path: Path
) -> None:
    """It knows none of the artifacts: exit 2, not the 0 that times alone would give."""
    path = tmp_path / "ledger"
    write_ledger(str(path), record(tree, tmp_path)._replace(rules={}))
    done = kdeps(tree, "ci", "--format=json", f"--against={path}", f"M={MODULE}")
    assert done.returncode == 2
    assert [issue["kind"] for issue in read_json(done.stdout)["issues"]] == ["not-in-ledger"]


def test_two_ledgers_differ_in_words(tree: Miniature, kdeps: RunKdeps, tmp_path: Path) -> None:
    """Which input, which flag, old and new."""
    old = record(tree, tmp_path)
    assert compare_ledgers(old, old) == []
    tree.append("rust/kernel/io.rs", "pub fn later() {}\n")
    tree.make("modules_prepare", "KRUSTFLAGS=-Cdebuginfo=1")
    tree.make(f"M={MODULE}")
    new = record(tree, tmp_path)
    lines = compare_ledgers(old, new)
    assert any(
        line.startswith("input $(srctree)/rust/kernel/io.rs: other content (") and "rust/kernel.o" in line
        for line in lines
    )
    assert any("command of" in line and "+`-Cdebuginfo=1`" in line for line in lines)
    for name, ledger in (("old", old), ("new", new)):
        write_ledger(str(tmp_path / name), ledger)
    done = kdeps(tree, "ci", "--compare", cwd=tmp_path)
    assert done.returncode == 2
    done = subprocess.run(
        [*done.args[:3], "ci", "--compare", "old", "new", "--color", "never"], cwd=tmp_path, capture_output=True, text=True, check=False,
        env=tree.environment({"PYTHONPATH": os.getcwd()}),
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout.splitlines() == lines
