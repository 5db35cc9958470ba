# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""More than anybody does in a day, at once. Each storm ends in the right verdict, or in "unknown" meanwhile."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .actions import edit, run_make
from .git_actions import git
from .sequences import Judge, Tally
from .watch_process import Said, WatchProcess
from .world import World, put_times_back, read_times

CHECKOUT_FILES = 20_000
_QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")
_TRACKED = ("include", "rust", "kernel", "lib", "fs", "net", "block", "mm", "security", "sound", "drivers", "samples", "scripts",
            "crypto")  # fmt: skip


class Storm:
    """One world, one watch at a time, and what went wrong."""

    def __init__(self, world: World, words: list[str]) -> None:
        self.world, self.words = world, words
        self.wrong: list[str] = []
        self.tally = Tally()

    @contextmanager
    def watched(
        self, *options: str, wrap: tuple[str, ...] = ()
    ) -> Iterator[tuple[WatchProcess, Judge, Path]]:
        """A watch at rest, and its log."""
        log = self.world.private / f"storm-{time.monotonic_ns()}.log"
        watch = WatchProcess(
            self.words, self.world.layout.cwd, self.world.private / "run", options=options, log=log, wrap=wrap
        )
        try:
            watch.wait_current()
            yield watch, Judge(self.world, watch, self.tally), log
        finally:
            status = watch.close()
            if status != 0:
                self.wrong.append(f"the watch ended with {status}")
            if watch.missed:
                self.wrong.append(f"{watch.missed} changes were found by the clock alone")

    def expect(self, true: bool, what: str) -> None:
        """Note what is not as it must be."""
        if not true:
            self.wrong.append(what)

    def finish(self) -> list[str]:
        return [*self.wrong, *self.tally.missed, *self.tally.torn]


def _current(said: list[Said], module: str) -> list[str]:
    """The different answers that were published as current, in order."""
    answers: list[str] = []
    for one in said:
        if one.module == module and one.state == "current" and answers[-1:] != [one.answer]:
            answers.append(one.answer)
    return answers


def checkout_storm(storm: Storm) -> str:
    """``git checkout`` across 20,000 files and more: one answer, at the end."""
    world = storm.world
    if shutil.which("git") is None:
        return "skipped: no git in this lab"
    top = world.layout.srctree
    there = [name for name in _TRACKED if os.path.isdir(f"{top}/{name}")]
    git(world, "checkout", "-q", "-b", "all", "base")
    git(world, "add", "-f", "--", *there)
    git(world, "commit", "-q", "-m", "all")
    paths = [name for name in git(world, "ls-files").splitlines() if name.endswith((".c", ".h", ".rs"))]
    paths = [name for name in paths if not os.path.islink(f"{top}/{name}")][: CHECKOUT_FILES + 2000]
    times = read_times(f"{top}/{name}" for name in paths)
    git(world, "checkout", "-q", "-b", "storm")
    for name in paths:
        with open(f"{top}/{name}", "ab") as file:
            file.write(b"\n")
    git(world, "commit", "-q", "-a", "-m", "storm")
    git(world, "checkout", "-q", "all")
    put_times_back(times)
    changed = len(git(world, "diff", "--name-only", "all", "storm").splitlines())
    storm.expect(changed >= CHECKOUT_FILES, f"only {changed} files differ")
    took = []
    with storm.watched() as (watch, judge, _):
        for branch in ("storm", "all"):
            before = dict(judge.before)
            watch.take_said()
            started = time.monotonic()
            git(world, "checkout", "-q", branch)
            took.append(time.monotonic() - started)
            expected = judge.ask()
            arrived = watch.wait_for(expected, 15)
            storm.expect(
                arrived.keys() == expected.keys(), f"checkout of {branch}: not the verdict of a fresh check"
            )
            said = watch.take_said()
            for module, answer in expected.items():
                extra = [one for one in _current(said, module) if one not in (before[module], answer)]
                storm.expect(not extra, f"checkout of {branch}: {len(extra)} answers in the middle")
            judge.before = expected
    put_times_back(times)
    git(
        world, "symbolic-ref", "HEAD", "refs/heads/base"
    )  # not checkout: that would delete what base does not track
    git(world, "reset", "-q")
    return f"{changed} files there and back, git took {', '.join(f'{s:.1f} s' for s in took)}"


def overflow_stopped(storm: Storm) -> str:
    """The reader is stopped while more happens than the queue holds."""
    world = storm.world
    limit = int(_QUEUE.read_text())
    path = f"{world.layout.srctree}/rust/kernel/lib.rs"
    paths = [path, f"{world.layout.srctree}/include/linux/device.h"]
    with storm.watched() as (watch, judge, log):

        def flood() -> str:
            world.unsure = True
            for name in (*paths, f"{world.layout.srctree}/rust/kernel/io.rs"):
                world.keeper.keep(name)
            watch.process.send_signal(signal.SIGSTOP)
            for count in range(limit + 1000):
                os.utime(paths[count % 2])  # equal events in a row are merged
            os.utime(f"{world.layout.srctree}/rust/kernel/io.rs")  # lost
            watch.process.send_signal(signal.SIGCONT)
            return f"{limit + 1000} events while it was stopped"

        judge.do("overflow", flood)
        storm.expect("events were lost" in log.read_text(), "it did not notice that events were lost")
        judge.do("overflow", lambda: edit(world, f"{world.layout.srctree}/rust/kernel/sync.rs"))
        judge.do("overflow", lambda: _undo(world))
    return f"queue of {limit}"


def overflow_small(storm: Storm) -> str:
    """A queue of sixteen events, and forty files saved at once."""
    world = storm.world
    before = _QUEUE.read_text()
    try:
        _QUEUE.write_text("16\n")
    except OSError as error:
        return f"skipped: {error}"
    try:
        with storm.watched() as (watch, judge, log):
            _QUEUE.write_text(before)
            for _ in range(5):
                judge.do("small queue", lambda: edit(world, *world.sources[:60]))
                judge.do("small queue", lambda: _undo(world))
            storm.expect("events were lost" in log.read_text(), "it did not notice that events were lost")
            del watch
    finally:
        _QUEUE.write_text(before)
    return "queue of 16, ten bursts of 60 files"


def tree_rebuilt(storm: Storm) -> str:
    """The object tree is deleted, configured and built again, by the real compilers."""
    world = storm.world
    tree = world.layout.objtree
    config = Path(tree, ".config").read_bytes()
    real = {**world.env, "PATH": world.env["PATH"].partition(":")[2]}
    with storm.watched() as (watch, judge, _):

        def delete() -> str:
            world.unsure = True
            shutil.rmtree(tree)
            return f"{tree} deleted"

        def rebuild() -> str:
            world.unsure = True
            os.makedirs(tree)
            Path(tree, ".config").write_bytes(config)
            world.env, env = real, world.env
            try:
                status = [run_make(world, goal) for goal in ("olddefconfig", "modules_prepare")]
                status += [run_make(world, *module.make) for module in world.modules]
            finally:
                world.env = env
            return f"{tree} built again: exit {status}"

        judge.do("rebuilt", delete)
        storm.expect(set(judge.before.values()) == {"unknown"}, "without an object tree it is not unknown")
        began = time.monotonic()
        what = judge.do("rebuilt", rebuild)
        took = time.monotonic() - began
        fresh = all('"verdict": "fresh"' in answer for answer in judge.before.values())
        storm.expect(fresh, f"after the rebuild it is not fresh ({what})")
        judge.do("rebuilt", lambda: edit(world, f"{world.layout.srctree}/rust/kernel/io.rs"))
        judge.do("rebuilt", lambda: _undo(world))
        del watch
    return f"built in {took:.0f} s"


def limit_reached(storm: Storm) -> str:
    """Only some of the folders can be watched; the rest is polled, and it says so."""
    world = storm.world
    inner = 'echo 150 > /proc/sys/user/max_inotify_watches || exit 97; exec "$@"'
    wrap = ("unshare", "-Ur", "sh", "-c", inner, "sh")
    if subprocess.run([*wrap, "true"], check=False, capture_output=True).returncode != 0:
        return "skipped: no user namespaces here"
    with storm.watched(wrap=wrap) as (watch, judge, log):
        storm.expect("fs.inotify.max_user_watches" in log.read_text(), "it does not name the sysctl")
        for name in (
            "rust/kernel/io.rs",
            "include/linux/device.h",
            "rust/pin-init/src/lib.rs",
            "init/Kconfig",
        ):
            judge.do("limit", lambda name=name: edit(world, f"{world.layout.srctree}/{name}"))  # type: ignore[misc]
            judge.do("limit", lambda: _undo(world))
        document = watch.last[world.modules[0].make[0][2:]]["watch"]
        watched, polled = document["watched"], document["polled"]
        storm.expect(0 < watched <= 150 and polled > 100, f"{watched} watched, {polled} polled")
    return f"{watched} folders watched, {polled} polled"


def no_events(storm: Storm) -> str:
    """Without any inotify instance: everything is polled."""
    world = storm.world
    inner = 'echo 0 > /proc/sys/user/max_inotify_instances || exit 97; exec "$@"'
    wrap = ("unshare", "-Ur", "sh", "-c", inner, "sh")
    if subprocess.run([*wrap, "true"], check=False, capture_output=True).returncode != 0:
        return "skipped: no user namespaces here"
    with storm.watched(wrap=wrap) as (watch, judge, log):
        storm.expect("fs.inotify.max_user_instances" in log.read_text(), "it does not name the sysctl")
        for name in ("rust/kernel/io.rs", "include/linux/device.h"):
            judge.do("no events", lambda name=name: edit(world, f"{world.layout.srctree}/{name}"))  # type: ignore[misc]
            judge.do("no events", lambda: _undo(world))
        cpu_s, started = watch.cpu_s(), time.monotonic()
        time.sleep(20)
        share = (watch.cpu_s() - cpu_s) / (time.monotonic() - started)
    return f"polling takes {share:.1%} of a processor"


def never_quiet(storm: Storm) -> str:
    """A file that matters changes twenty times a second for ten seconds: no answer is a wrong one."""
    world = storm.world
    path = f"{world.layout.srctree}/rust/kernel/io.rs"
    with storm.watched() as (watch, judge, _):
        world.keeper.keep(path)
        watch.take_said()
        began = time.monotonic()
        while time.monotonic() - began < 10:
            os.utime(path)
            time.sleep(0.05)
        said = [one for one in watch.take_said() if one.state == "current"]
        judge.do("never quiet", lambda: "the last of many changes")
        judge.do("never quiet", lambda: _undo(world))
    return f"{len(said)} answers meanwhile"


def _undo(world: World) -> str:
    world.unsure = True
    world.keeper.restore()
    return "undone"


STORMS: dict[str, Callable[[Storm], str]] = {
    "checkout": checkout_storm,
    "stopped": overflow_stopped,
    "small-queue": overflow_small,
    "limit": limit_reached,
    "no-events": no_events,
    "never-quiet": never_quiet,
    "rebuilt": tree_rebuilt,
}
QUICK = ("stopped", "small-queue", "limit", "no-events", "never-quiet")
"""Those that take seconds."""


def run_storms(world: World, words: list[str], names: list[str]) -> bool:
    """Run some storms; whether one of them went wrong."""
    failed = False
    for name in names:
        storm = Storm(world, words)
        started = time.monotonic()
        try:
            what = STORMS[name](storm)
        except Exception as error:
            what = ""
            storm.wrong.append(f"{type(error).__name__}: {error}")
        finally:
            world.keeper.restore()
        wrong = storm.finish()
        failed |= bool(wrong)
        print(
            f"storm {name}: {'; '.join(wrong) or 'as it must be'} ({what}; {time.monotonic() - started:.0f} s)",
            flush=True,
        )
    return failed
