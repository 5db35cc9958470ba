# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps check`` prints what it printed before, until something changes that this rests on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kdeps.cli import check, checking
from kdeps.contents.remember import remember
from kdeps.staleness import answers
from kdeps.staleness.answers import Question
from kdeps.staleness.check import check_build
from kdeps.staleness.reasons import Status
from tests.campaigns.watch.coverage import looked_at
from tests.conftest import CHECKOUT
from tests.staleness.test_answers import CHANGES, Keeper, is_no_matter, read_paths
from tests.support.miniature import MODULE, Miniature, Snapshot

MANNERS = [(output, by) for output in ("text", "json") for by in ("content", "time")]
_VARIES = re.compile(r'(?<="elapsed_ms": )[\d.]+|[\d.]+ (?:ms|s|min|h|days) ago')


class Checker(Keeper):
    """A fresh miniature that kdeps has a memory of, and the answers that are kept of it."""

    def __init__(self, tree: Miniature, tmp_path: Path) -> None:
        super().__init__(tree, tmp_path)
        remember(check_build(self.words, self.cwd, self.environ), self.environ, time.time_ns())
        self.settle()

    def ask(self, output: str = "text", by: str = "content") -> Question:
        return Question(("check", output, by, "plain", "utf-8", ""), self.words, self.cwd, self.environ)

    def find(self, question: Question) -> checking.Answer:
        """Judge, and keep the answer if it may be kept."""
        started_ns = time.time_ns()
        answer = checking.judge(question)
        if answer.keepable:
            checking.keep(question, answer, started_ns)
        return answer

    def keep_answer(self, question: Question) -> checking.Answer:
        """Judge until the answer is kept: others are at work in a folder above the trees."""
        for _ in range(60):
            answer = self.find(question)
            if question.recall() is not None:
                return answer
            time.sleep(0.1)
        raise AssertionError("the answer was not kept")

    def run(self, *more: str, cache: str = "") -> subprocess.CompletedProcess[str]:
        """Run ``kdeps check`` as a process that tells what it imports; without site, which imports for itself."""
        environ = {**self.environ, "PYTHONPATH": os.pathsep.join((str(CHECKOUT), *sys.path))}
        environ["XDG_CACHE_HOME"] = cache or environ["XDG_CACHE_HOME"]
        command = [sys.executable, "-S", "-X", "importtime", "-c", "from kdeps.cli.main import main; main()"]
        return subprocess.run(
            [*command, "check", *more, *self.words],
            cwd=self.cwd, env=environ, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip


def _imported(done: subprocess.CompletedProcess[str]) -> set[str]:
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}


@pytest.fixture
def checker(with_programs: Snapshot, tmp_path: Path) -> Checker:
    return Checker(with_programs.put(tmp_path / "tree"), tmp_path)


MORE_CHANGES: dict[str, Callable[[Checker], object]] = {
    "a header that shadows another": lambda c: _write(
        c.tree.srctree / "arch/x86/include/linux/pci.h", "/* x */\n"
    ),
    "the memory of builds, gone": lambda c: shutil.rmtree(Path(c.environ["XDG_CACHE_HOME"], "kdeps/builds")),
    "a folder, moved away": lambda c: c.tree.path("rust/kernel").rename(c.tree.path("rust/kernel.old")),
    "a folder, replaced by its copy": lambda c: _replace_by_copy(c.tree.path("rust/kernel")),
}


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _replace_by_copy(folder: Path) -> None:
    shutil.copytree(folder, f"{folder}.copy", symlinks=True)
    folder.rename(f"{folder}.old")
    os.rename(f"{folder}.copy", folder)


@pytest.mark.parametrize("change", [*CHANGES, *MORE_CHANGES])
def test_a_change_ends_it(checker: Checker, change: str) -> None:
    """Whatever the change does to the answer: it is found anew."""
    if change == "a Makefile that would come first":
        pytest.skip("commands are made from it, and a check from the record does not judge commands")
    question = checker.ask()
    checker.keep_answer(question)
    if change in CHANGES:
        CHANGES[change](checker)
    else:
        MORE_CHANGES[change](checker)
    assert checker.ask().recall() is None


STALE: dict[str, Callable[[Checker], object]] = {
    "nothing": lambda _: None,
    "a source": lambda c: c.tree.append("rust/kernel/io.rs", "// x\n"),
    "a source, touched": lambda c: c.tree.touch("rust/kernel/io.rs"),
    "a source, its mtime kept": lambda c: _edit_quietly(c.tree.path("rust/kernel/io.rs")),
    "the module's source": lambda c: c.tree.append(f"{MODULE}/gpu.rs", "// x\n"),
    "a record, gone": lambda c: (c.tree.objtree / "rust/.core.o.cmd").unlink(),
    "metadata, gone": lambda c: (c.tree.objtree / "rust/libkernel.rmeta").unlink(),
    "a source, gone": lambda c: c.tree.path("include/linux/pci.h").unlink(),
    ".config": lambda c: c.tree.touch(c.tree.objtree / ".config"),
    "a compiler, gone": lambda c: (c.tree.toolchain / "bin/bindgen").unlink(),
    "an interrupted compile": lambda c: (c.tree.objtree / "rust/.kernel.o.d").write_text("x: y\n"),
}
"""States of a tree, by what was changed in it."""


def _edit_quietly(path: Path) -> None:
    found = path.stat()
    path.write_text(path.read_text().replace("e", "a", 1))
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


@pytest.mark.parametrize("state", STALE)
def test_the_same_is_printed(checker: Checker, state: str) -> None:
    """In every state and format: byte for byte what is found anew, but for durations; and a change ends it."""
    STALE[state](checker)
    checker.settle()
    for output, by in MANNERS:
        question = checker.ask(output, by)
        answer = checker.keep_answer(question)
        status, parts = checker.ask(output, by).recall()
        anew = checking.render(question, checking.judge(question))
        assert _VARIES.sub("", check.fill_in(parts, 12.34)) == _VARIES.sub("", anew)
        assert status == {Status.FRESH: 0, Status.STALE: 1}[answer.result.verdict.status]
    checker.tree.append("rust/kernel/lib.rs", "// x\n")
    assert [checker.ask(*manner).recall() for manner in MANNERS] == [None] * len(MANNERS)


@pytest.mark.parametrize("state", STALE)
def test_whatever_was_looked_at_is_kept(checker: Checker, state: str) -> None:
    """Every path that finding and printing an answer looks at is a file, a folder or absent in what is kept."""
    STALE[state](checker)
    checker.settle()
    for by in ("content", "time"):
        question = checker.ask("text", by)
        with looked_at() as seen:
            checking.render(question, checking.judge(question))
        checker.keep_answer(question)
        known, folders, listed = read_paths(question)
        cache = checker.environ["XDG_CACHE_HOME"]
        missed = {
            f"{call} {path}"
            for call, path in seen
            if not path.startswith(cache)
            and path not in (listed if call in ("listdir", "scandir") else known | folders)
            and not is_no_matter(call, path, known, checker.tree)
        }
        assert missed == set()


def test_how_long_ago_is_said_as_it_is_now(checker: Checker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kept text does not freeze the time."""
    checker.tree.touch("rust/kernel/io.rs")
    checker.settle()
    question = checker.ask("text", "time")
    checker.keep_answer(question)
    _, parts = question.recall()
    now_ns = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now_ns + 3 * 3600 * 10**9)
    assert "changed 3 h ago" in check.fill_in(parts, 1.0)


def test_a_clock_that_was_set_back_ends_it(checker: Checker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Artifacts of a moment ago are then dated in the future, and the answer says so."""
    question = checker.ask()
    checker.keep_answer(question)
    now_ns = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now_ns - 3600 * 10**9)
    assert question.recall() is None


def test_another_kdeps_judges_anew(checker: Checker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A corrected rule counts at once, whatever the number of the version."""
    code = tmp_path / "judge.py"
    code.write_text("# as it was\n")
    checker.settle()
    monkeypatch.setattr(answers, "_own_code", lambda: [str(code)])
    question = checker.ask()
    checker.keep_answer(question)
    code.write_text("# corrected\n")
    assert question.recall() is None


def test_a_compiler_that_fails_leaves_nothing_to_keep(checker: Checker) -> None:
    """No file tells when it works again."""
    tool = checker.tree.toolchain / "bin/bindgen"
    subprocess.run(
        ["gcc", "-x", "c", "-o", tool, "-"], input="int main(void) { return 1; }", text=True, check=True
    )
    checker.settle()
    question = checker.ask()
    answer = checker.find(question)
    assert answer.result.verdict.status is Status.STALE
    assert question.recall() is None


def test_what_cannot_be_told_is_not_kept(checker: Checker) -> None:
    """The next check looks again."""
    (checker.tree.objtree / ".config").unlink()
    checker.settle()
    done = checker.run()
    assert done.returncode == 2
    time.sleep(1)
    assert not Path(checker.environ["XDG_CACHE_HOME"], "kdeps/answers").exists()


def test_a_mount_ends_it(checker: Checker) -> None:
    """What lies under it is not looked at any more."""
    question = checker.ask()
    checker.keep_answer(question)
    program = f"from tests.commands.test_check_kept import *; print(Question({question.manner!r}, {question.words!r}, {question.cwd!r}, dict(os.environ)).recall() is None)"
    mount = f"mount -t tmpfs none {checker.tree.path('rust/kernel')}"
    for command, ends in ((":", "False"), (mount, "True")):
        done = subprocess.run(
            ["unshare", "-m", "sh", "-ec", f"{command}; exec {sys.executable} -c '{program}'"],
            cwd=CHECKOUT, env=checker.environ, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode and ("unshare" in done.stderr or "mount" in done.stderr):
            pytest.skip(f"no mounts here: {done.stderr.strip()}")
        assert done.stdout.strip() == ends, done.stderr


def _check_until_kept(checker: Checker, *more: str) -> subprocess.CompletedProcess[str]:
    """Check until the answer is kept by a process beside us: others are at work in a folder above the trees."""
    folder = Path(checker.environ["XDG_CACHE_HOME"], "kdeps/answers")
    for _ in range(60):
        done = checker.run(*more)
        for _ in range(20):
            if folder.is_dir() and any(path.suffix != ".new" for path in folder.iterdir()):
                return done
            time.sleep(0.1)
    raise AssertionError("the answer was not kept")


def test_a_process_keeps_it_and_the_next_one_goes_by_it(checker: Checker) -> None:
    """The first prints at once; the second imports next to nothing and prints the same."""
    first = _check_until_kept(checker)
    second = checker.run()
    assert (second.returncode, second.stdout) == (first.returncode, first.stdout) == (0, first.stdout)
    loaded = _imported(second)
    assert "kdeps.staleness.answers" in loaded
    assert not loaded & {"enum", "re", "typing", "subprocess", "json", "click", "kdeps.cli.checking"}
    assert not loaded & {"kdeps.staleness.check", "kdeps.kbuild.tree", "kdeps.contents.recall"}
    checker.tree.append("rust/kernel/io.rs", "// x\n")
    third = checker.run()
    assert third.returncode == 1
    assert "rust/kernel/io.rs" in third.stdout


def test_an_option_goes_by_it_too(checker: Checker) -> None:
    """``--format json`` has an answer of its own."""
    first = _check_until_kept(checker, "--format", "json")
    second = checker.run("--format", "json")
    assert "kdeps.cli.checking" not in _imported(second)
    assert _VARIES.sub("", second.stdout) == _VARIES.sub("", first.stdout)


@pytest.mark.parametrize("cache", ["/dev/null", "/dev/null/cache", "/proc/self"])
def test_without_a_cache_it_works_as_before(checker: Checker, cache: str) -> None:
    """Nothing is kept, and nothing is said of it."""
    done = checker.run(cache=cache)
    assert done.returncode == 0
    assert {line[:12] for line in done.stderr.splitlines()} == {"import time:"}
    assert done.stdout.startswith("fresh")
