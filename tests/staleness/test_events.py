# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""One event is one message, with the count and the command that lists its causes one by one."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from kdeps.demo.miniature import TEMPLATE
from tests.conftest import CHECKOUT, RunKdeps
from tests.support.miniature import MODULE, Miniature

M = f"M={MODULE}"


def _pull(tree: Miniature) -> Miniature:
    """Git writes every source that differs."""
    for path in sorted(tree.srctree.rglob("*")):
        name = path.relative_to(tree.srctree)
        if path.suffix in (".rs", ".h", ".c") and (TEMPLATE / "linux" / name).is_file():
            path.write_text(path.read_text() + "\n")
    return tree


def _unpack(tree: Miniature) -> Miniature:
    """An archive is unpacked over the sources; Kconfig files are among them."""
    for path in sorted((TEMPLATE / "linux").rglob("*")):
        if path.is_file():
            os.utime(tree.srctree / path.relative_to(TEMPLATE / "linux"))
    return tree


def _clean(tree: Miniature) -> Miniature:
    tree.make("clean")
    return tree


def _delete_crates(tree: Miniature) -> Miniature:
    for path in (tree.objtree / "rust").glob("*.rmeta"):
        path.unlink()
    return tree


def _delete_built(tree: Miniature) -> Miniature:
    """The crates are gone with their records."""
    shutil.rmtree(tree.objtree / "rust")
    return tree


def _exchange_toolchain(tree: Miniature) -> Miniature:
    for tool in ("rustc", "bindgen", "clang", "gcc"):
        tree.set_version(tool, "99.0.0")
    return tree


def _date_in_future(tree: Miniature) -> Miniature:
    ahead_ns = time.time_ns() + 3600 * 10**9
    built = (".o", ".ko", ".mod", ".c", ".order", ".symvers", ".cmd")
    own = [path for path in tree.module.iterdir() if path.name.endswith(built)]
    for path in (*tree.objtree.rglob("*"), *own):
        if path.is_file():
            os.utime(path, ns=(ahead_ns, ahead_ns))
    return tree


def _move(tree: Miniature) -> Miniature:
    """The folder gets another name, as after ``mv`` or a checkout at another place."""
    new = tree.root.with_name("moved")
    tree.root.rename(new)
    return Miniature(new, new / tree.objtree.relative_to(tree.root))


EVENTS: dict[Callable[[Miniature], Miniature], str] = {
    _pull: r"stale\[newer-prerequisite\]: \d\d files were changed in one go, .* ago, and \d\d artifacts are older",
    _unpack: r"stale\[newer-prerequisite\]: \d\d files were changed in one go, .* ago, and \d\d artifacts are older",
    _clean: r"stale\[[a-z-]*\]: built files are missing, as after `make clean` or before the first build: .* and (\d+ more|others)",
    _delete_crates: r"stale\[[a-z-]*\]: built files are missing, as after `make clean` or before .* and 6 more",
    _delete_built: r"stale\[[a-z-]*\]: built files are missing, as after `make clean` or before .* and .*",
    _exchange_toolchain: r"stale\[toolchain-changed\]: the toolchain changed: \d compilers are not those of the last build",
    _date_in_future: r"unknown\[clock\]: .* is dated \d+ min in the future .*: until then make does not notice any edit",
    _move: r"stale\[missing-prerequisite\]: this tree was moved: \d+ files that it was built from are recorded in .*, which is gone",
}


@pytest.mark.parametrize("happen", EVENTS, ids=lambda happen: happen.__name__.strip("_"))
def test_one_event_is_one_message(
    happen: Callable[[Miniature], Miniature], tree: Miniature, kdeps: RunKdeps
) -> None:
    """Check says one thing; ``--all`` lists the causes; make says one line; the one command cures it."""
    tree = happen(tree)
    done = kdeps(tree, "check", M)
    messages = [line for line in done.stdout.splitlines() if re.match(r"(stale|unknown)\[", line)]
    assert len(messages) == 1, done.stdout
    assert re.fullmatch(EVENTS[happen], messages[0]), messages
    report = kdeps(tree, "ci", M).stdout
    # A report says when, not how long ago.
    expected = EVENTS[happen].replace(".* ago", ".*").replace(r"\d+ min", ".*")
    told = [line for line in report.splitlines() if re.match(r"(stale|unknown)\[", line)]
    assert [bool(re.fullmatch(expected, line)) for line in told] == [True], report
    said = kdeps(tree, "make", "--on-stale=fail", M).stderr
    lines = [line for line in said.splitlines() if re.match(r"kdeps: (stale|warning): ", line)]
    assert len(lines) == 1, said
    if happen is _date_in_future:
        return
    assert ": 1 cause" in done.stdout.splitlines()[-1]
    chain = re.search(r"= chain: (.*)", done.stdout)
    (command,) = re.findall(r"one by one: `(kdeps check --all .*)`", done.stdout)
    single = _type(tree, command)
    assert single.returncode == 1
    assert chain is None or chain[1] in single.stdout
    listed = [line for line in single.stdout.splitlines() if line.startswith(("stale[", "unknown["))]
    assert len(listed) >= 2
    assert "one by one" not in single.stdout
    (cure,) = re.findall(r"help: `(kdeps make .*)`, or by hand:", done.stdout)
    made = _type(tree, cure)
    assert made.returncode == 0, made.stderr
    assert kdeps(tree, "check", M).returncode == 0


def test_edits_at_different_times_stay_apart(tree: Miniature, kdeps: RunKdeps) -> None:
    """Three files that somebody edited within minutes are three messages, each with its chain."""
    now_ns = time.time_ns()
    for minutes, name in enumerate(("rust/kernel/io.rs", "rust/macros/module.rs", "include/linux/pci.h"), 1):
        path = tree.path(name)
        path.write_text(path.read_text() + "\n")
        os.utime(path, ns=(now_ns + minutes * 60 * 10**9,) * 2)
    done = kdeps(tree, "check", M)
    assert len(re.findall(r"^stale\[newer-prerequisite\]: ", done.stdout, re.MULTILINE)) == 3
    assert "one by one" not in done.stdout


def test_ci_says_an_event_once_and_its_json_has_all(tree: Miniature, kdeps: RunKdeps) -> None:
    """A report for people joins; one for machines keeps every issue."""
    _pull(tree)
    done = kdeps(tree, "ci", M)
    assert len(re.findall(r"^stale\[", done.stdout, re.MULTILINE)) == 1, done.stdout
    assert "one by one: `--format=json`" in done.stdout
    assert kdeps(tree, "ci", "--format=json", M).stdout.count('"newer-prerequisite"') > 10


def _type(tree: Miniature, command: str) -> subprocess.CompletedProcess[str]:
    """Type a command that was shown, in the source tree."""
    words = shlex.split(command)
    assert words[0] == "kdeps"
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=tree.srctree,
        env=tree.environment({"PYTHONPATH": str(CHECKOUT)}),
        capture_output=True,
        text=True,
        check=False,
    )
