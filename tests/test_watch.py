# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A watch on a miniature tree: real files, real events, a real make."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jsonschema
import pytest

from kdeps.demo.miniature import MODULE, Miniature
from kdeps.repair.lock import take_lock
from tests.conftest import CHECKOUT
from tests.watch.dog import Document, Dog, check

M = f"M={MODULE}"
PATIENCE_S = 60.0
"""Far beyond what anything takes, and no part of any claim."""
StartDog = Callable[..., Dog]


@pytest.fixture
def env(tree: Miniature, tmp_path: Path) -> dict[str, str]:
    """The environment of a shell in front of a miniature tree."""
    return tree.environment({"PYTHONPATH": str(CHECKOUT), "XDG_RUNTIME_DIR": str(tmp_path / "run")})


@pytest.fixture
def dog(tree: Miniature, env: dict[str, str], tmp_path: Path) -> Iterator[StartDog]:
    """Start watches; all are ended afterwards."""
    dogs: list[Dog] = []

    def start(*words: str, options: tuple[str, ...] = (), wrap: tuple[str, ...] = (), **more: str) -> Dog:
        started = Dog(
            [*tree.tree_args, *(words or (M,))], str(tree.srctree), tmp_path / "run",
            options=options, wrap=wrap, env={**env, **more},
        )  # fmt: skip
        dogs.append(started)
        started.wait_current()
        return started

    yield start
    for one in dogs:
        one.close()


def wait(true: Callable[[], object], what: str = "it") -> None:
    """Wait until something is so."""
    until = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < until, f"{what} did not come to pass"
        time.sleep(0.01)


def verdict(dog: Dog, module: str = MODULE) -> str:
    """The verdict of the status file, if it is that of this moment."""
    document = dog.status(module)
    return document["verdict"] if document and document["watch"]["state"] == "current" else ""


def same_as_check(dog: Dog, tree: Miniature, env: dict[str, str], *words: str) -> bool:
    """Whether the watch comes to what a fresh check says."""
    words = words or (M,)
    expected = {word[2:]: check([*tree.tree_args, word], str(tree.srctree), env) for word in words}
    return dog.wait_for(expected, PATIENCE_S).keys() == expected.keys()


def run(tree: Miniature, env: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """Run ``kdeps watch`` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "kdeps", "watch", *words],
        cwd=tree.srctree, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip


# -- the verdict ---------------------------------------------------------------


def test_a_save_is_seen_and_so_is_the_build_that_follows(
    tree: Miniature, env: dict[str, str], dog: StartDog
) -> None:
    """Fresh, stale after an edit, fresh after the refresh and the module's build, each as ``check`` has it."""
    watch = dog()
    assert verdict(watch) == "fresh"
    tree.touch("rust/kernel/io.rs")
    wait(lambda: verdict(watch) == "stale")
    assert same_as_check(watch, tree, env)
    tree.make("modules_prepare")
    tree.make(M)
    wait(lambda: verdict(watch) == "fresh")
    assert same_as_check(watch, tree, env)
    assert watch.missed == 0


def test_every_line_follows_the_schema_of_check(tree: Miniature, dog: StartDog) -> None:
    """One object a line on standard output, in the schema of ``check --format json``."""
    watch = dog()
    tree.touch("rust/kernel/io.rs")
    wait(lambda: verdict(watch) == "stale")
    shutil.rmtree(tree.objtree)
    wait(lambda: verdict(watch) == "unknown")
    documents = [json.loads(line) for line in watch.log.read_text().splitlines()]
    schema = json.loads((CHECKOUT / "kdeps/report/verdict.schema.json").read_text())
    for document in documents:
        jsonschema.validate(document, schema)
    assert [d["verdict"] for d in documents][:2] == ["fresh", "stale"]
    assert documents[-1]["verdict"] == "unknown"


@pytest.mark.parametrize("options", [(), ("--poll",)], ids=["events", "polling"])
def test_new_files_folders_and_links_are_followed(
    tree: Miniature, env: dict[str, str], dog: StartDog, options: tuple[str, ...]
) -> None:
    """A folder moved away and back, replaced by a copy, made a link; a file behind the link edited."""
    watch = dog(options=options)
    folder = tree.srctree / "rust/kernel"
    aside = tree.srctree / "rust/kernel.aside"
    folder.rename(aside)
    assert same_as_check(watch, tree, env)
    folder.symlink_to("kernel.aside")
    assert same_as_check(watch, tree, env)
    tree.touch("rust/kernel/io.rs")
    assert same_as_check(watch, tree, env)
    assert verdict(watch) == "stale"
    folder.unlink()
    shutil.copytree(aside, folder)
    assert same_as_check(watch, tree, env)
    tree.touch("rust/kernel/lib.rs")
    assert same_as_check(watch, tree, env)
    assert watch.missed == 0


def test_a_tree_that_is_deleted_is_unknown_until_it_is_back(
    tree: Miniature, env: dict[str, str], dog: StartDog
) -> None:
    """The object tree goes and is built anew: unknown, then what a check says; then an edit is seen."""
    watch = dog()
    saved = tree.root / "saved"
    shutil.copytree(tree.objtree, saved, symlinks=True)
    shutil.rmtree(tree.objtree)
    wait(lambda: verdict(watch) == "unknown")
    shutil.copytree(saved, tree.objtree, symlinks=True)
    assert same_as_check(watch, tree, env)
    tree.touch("include/linux/pci.h")
    assert same_as_check(watch, tree, env)
    assert verdict(watch) == "stale"


def test_several_modules_and_all_of_them(tree: Miniature, env: dict[str, str], dog: StartDog) -> None:
    """``M=a M=b`` are two verdicts; ``--all-modules`` is every one with a record, also one that is built later."""
    samples = "samples/rust"
    watch = dog(options=("--all-modules",))
    wait(lambda: set(watch.last) == {MODULE})
    tree.make(f"M={samples}")
    wait(lambda: verdict(watch, samples) == "fresh", "the new module")
    watch.close()
    both = dog(M, f"M={samples}")
    tree.touch("rust/kernel/io.rs")
    wait(lambda: verdict(both) == "stale" and verdict(both, samples) == "stale")
    assert same_as_check(both, tree, env, M, f"M={samples}")


# -- who is still writing ------------------------------------------------------


def test_no_answer_while_make_runs(tree: Miniature, env: dict[str, str], dog: StartDog) -> None:
    """A make stands in the object tree: the state says so, and the verdict comes when it ends."""
    watch = dog()
    gate = tree.root / "gate"
    os.mkfifo(gate)
    (tree.root / "slow.mk").write_text(f"all:\n\t@touch {tree.objtree}/rust/began; read line < {gate}\n")
    make = subprocess.Popen(["make", "-s", "-f", str(tree.root / "slow.mk")], cwd=tree.objtree, env=env)
    wait((tree.objtree / "rust/began").exists)
    watch.take_said()
    tree.touch("rust/kernel/io.rs")
    wait(lambda: (watch.status(MODULE) or {})["watch"]["state"] == "building")
    assert f"pid {make.pid}" in (watch.status(MODULE) or {})["watch"]["detail"]
    assert all(said.state != "current" for said in watch.take_said())
    gate.write_text("go on\n")
    assert make.wait(PATIENCE_S) == 0
    wait(lambda: verdict(watch) == "stale")
    assert same_as_check(watch, tree, env)


def test_no_answer_while_another_kdeps_refreshes(tree: Miniature, env: dict[str, str], dog: StartDog) -> None:
    """By ninja, say, which does not stand in the tree: whoever holds the lock and lives is waited for."""
    watch = dog()
    lock = take_lock(os.path.realpath(tree.objtree), env, lambda _pid: None)
    tree.touch("rust/kernel/io.rs")
    wait(lambda: (watch.status(MODULE) or {})["watch"]["state"] == "building")
    assert (watch.status(MODULE) or {})["watch"]["detail"] == f"kdeps make (pid {os.getpid()})"
    assert all('"verdict": "stale"' not in said.answer for said in watch.take_said())
    lock.release()
    wait(lambda: verdict(watch) == "stale")
    assert same_as_check(watch, tree, env)


def test_no_answer_while_git_checks_out(tree: Miniature, dog: StartDog) -> None:
    """git holds its lock: one answer when it lets go. The lock alone is no change."""
    (tree.srctree / ".git").mkdir()
    watch = dog()
    looks = (watch.status(MODULE) or {})["watch"]["looks"]
    lock = tree.srctree / ".git/index.lock"
    lock.touch()
    tree.touch("rust/kernel/io.rs")
    wait(lambda: (watch.status(MODULE) or {})["watch"]["state"] == "checkout")
    tree.touch("rust/kernel/lib.rs")
    assert (watch.status(MODULE) or {})["watch"]["looks"] == looks
    lock.unlink()
    wait(lambda: verdict(watch) == "stale")
    assert [said.state for said in watch.take_said()].count("current") <= 2


# -- what events cannot do -----------------------------------------------------


def test_an_overflow_of_the_queue_is_noticed(tree: Miniature, env: dict[str, str], dog: StartDog) -> None:
    """More happens than the queue holds while the watch is stopped; the change that counts is lost."""
    watch = dog()
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if limit > 1 << 17:
        pytest.skip("a queue of that size takes too long to fill")
    watch.process.send_signal(signal.SIGSTOP)
    one, other = tree.srctree / "rust/kernel/lib.rs", tree.srctree / "include/linux/pci.h"
    before = {path: path.stat() for path in (one, other)}
    for _ in range(limit // 2 + 100):
        for path, found in before.items():
            os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    tree.touch("rust/kernel/io.rs")
    watch.process.send_signal(signal.SIGCONT)
    wait(lambda: verdict(watch) == "stale")
    assert same_as_check(watch, tree, env)
    assert "events were lost" in watch.log.read_text()


def limited(what: str, most: int) -> tuple[str, ...]:
    """Words that run a command with fewer of something; skips where that cannot be."""
    inner = f'echo {most} > /proc/sys/user/max_inotify_{what} || exit 97; exec "$@"'
    wrap = ("unshare", "-Ur", "sh", "-c", inner, "sh")
    if (
        shutil.which("unshare") is None
        or subprocess.run([*wrap, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("no user namespaces here")
    return wrap


@pytest.mark.parametrize(("what", "most"), [("watches", 12), ("instances", 0)])
def test_what_cannot_be_watched_is_polled_and_said(
    tree: Miniature, env: dict[str, str], dog: StartDog, what: str, most: int
) -> None:
    """At the limit of watches, and without any instance: the sysctl is named, and no change is missed."""
    watch = dog(wrap=limited(what, most))
    assert f"fs.inotify.max_user_{what}" in watch.log.read_text()
    for name in ("rust/kernel/io.rs", "include/linux/pci.h"):
        tree.touch(name)
        assert same_as_check(watch, tree, env)
    assert verdict(watch) == "stale"
    assert (watch.status(MODULE) or {})["watch"]["polled"] > 0
    assert watch.missed == 0


# -- telling -------------------------------------------------------------------


def test_lines_for_a_log(tree: Miniature, env: dict[str, str]) -> None:
    """Not a terminal: one line for each change, and the end at the first stale verdict if that was asked for."""
    tree.touch("rust/kernel/io.rs")
    done = run(tree, env, "--on-stale=fail", *tree.tree_args, M)
    assert (done.returncode, done.stderr) == (1, "")
    line = done.stdout.strip()
    assert line[10] == "T"
    assert line[20:].startswith(f"{MODULE}: stale: crate `kernel` is older than rust/kernel/io.rs, changed ")
    assert "\n" not in line


def test_the_status_for_a_prompt(tree: Miniature, env: dict[str, str], dog: StartDog) -> None:
    """A line for each module that is watched, and the exit status of the worst; 2 where none is."""
    none = run(tree, env, "--status")
    assert (none.returncode, none.stdout, none.stderr) == (2, "", "kdeps: no watch runs here\n")
    watch = dog()
    done = run(tree, env, "--status")
    assert (done.returncode, done.stdout) == (0, f"{MODULE}: fresh\n")
    tree.touch("rust/kernel/io.rs")
    wait(lambda: verdict(watch) == "stale")
    done = run(tree, env, "--status", M)
    assert done.returncode == 1
    assert done.stdout.startswith(f"{MODULE}: stale: crate `kernel` is older than rust/kernel/io.rs")
    assert run(tree, env, "--status", "M=other").returncode == 2
    document: Document = json.loads(run(tree, env, "--status", "--format=json").stdout)
    assert (document["verdict"], document["watch"]["pid"]) == ("stale", watch.process.pid)
    assert watch.close() == 0
    assert run(tree, env, "--status").returncode == 2


def test_the_status_of_a_watch_that_was_killed_is_not_believed(
    tree: Miniature, env: dict[str, str], dog: StartDog
) -> None:
    """Its files are still there, and nobody holds its lock; the next watch takes them over."""
    watch = dog()
    watch.process.kill()
    watch.process.wait()
    assert list((watch.runtime / "kdeps").glob("*.json"))
    assert run(tree, env, "--status").returncode == 2
    assert verdict(dog()) == "fresh"


def test_the_status_of_a_watch_that_does_not_follow_is_not_believed(
    tree: Miniature, env: dict[str, str], dog: StartDog
) -> None:
    """Stopped (Ctrl-Z), or silent for longer than it ever is at rest: what it said last may be true no more."""
    watch = dog()
    pid = watch.process.pid
    watch.process.send_signal(signal.SIGSTOP)
    tree.touch("rust/kernel/io.rs")
    stopped = f"{MODULE}: unknown: the watch (pid {pid}) is stopped\n"
    wait(lambda: run(tree, env, "--status").stdout == stopped)
    done = run(tree, env, "--status", "--format=json")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", stopped)
    watch.process.send_signal(signal.SIGCONT)
    wait(lambda: run(tree, env, "--status").returncode == 1)
    (line,) = (watch.runtime / "kdeps").glob("*.line")
    for state in ("current", "settling"):
        line.write_text(line.read_text().replace("\tcurrent\t", f"\t{state}\t"))
        os.utime(line, (time.time() - 3600, time.time() - 3600))
        done = run(tree, env, "--status")
        assert done.returncode == 2
        assert done.stdout == f"{MODULE}: unknown: the watch (pid {pid}) has said nothing for 60 minutes\n"


def test_the_files_are_the_users_own(dog: StartDog) -> None:
    """Folder, files and socket: nobody else can read or connect."""
    watch = dog()
    folder = watch.runtime / "kdeps"
    assert folder.stat().st_mode & 0o77 == 0
    assert [path.name for path in folder.iterdir() if path.stat().st_mode & 0o77] == []


def test_check_does_not_care_whether_a_watch_runs(
    tree: Miniature, env: dict[str, str], dog: StartDog
) -> None:
    """The same answer with and without, and while the watch is stopped."""
    words = [*tree.tree_args, M]
    tree.touch("rust/kernel/io.rs")
    without = check(words, str(tree.srctree), env)
    watch = dog()
    assert check(words, str(tree.srctree), env) == without
    watch.process.send_signal(signal.SIGSTOP)
    tree.touch("rust/kernel/lib.rs")
    assert check(words, str(tree.srctree), env) != without
    watch.process.send_signal(signal.SIGCONT)


def test_who_listens_hears_that_nothing_has_changed_after_all(tree: Miniature, dog: StartDog) -> None:
    """An edit with the same time: the verdict was in question for a moment, and is confirmed."""
    watch = dog()
    wait(lambda: MODULE in watch.last)
    path = tree.srctree / "rust/kernel/io.rs"
    found = path.stat()
    watch.take_said()
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    heard: list[str] = []

    def is_confirmed() -> bool:
        heard.extend(said.state for said in watch.take_said())
        return heard[-1:] == ["current"]

    wait(is_confirmed)
    assert "settling" in heard
    assert verdict(watch) == "fresh"


def test_a_desktop_notification_where_the_verdict_changes(tree: Miniature, dog: StartDog) -> None:
    """``--notify`` calls notify-send with the module and the cause, and not at the start."""
    told = tree.root / "told"
    program = tree.toolchain / "bin/notify-send"
    program.write_text(f'#!/bin/sh\nfor word; do echo "$word"; done >> {told}\n')
    program.chmod(0o755)
    dog(options=("--notify",))
    assert not told.exists()
    tree.touch("rust/kernel/io.rs")
    wait(lambda: told.exists() and told.read_text().count("\n") == 4)
    lines = told.read_text().splitlines()
    assert lines[2] == f"kdeps: {MODULE}"
    assert lines[3].startswith("stale: crate `kernel` is older than rust/kernel/io.rs")


def test_a_notification_that_cannot_be_sent_is_no_loss(tree: Miniature, dog: StartDog) -> None:
    """The program is gone for a moment, as in an upgrade: the watch goes on."""
    program = tree.toolchain / "bin/notify-send"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    watch = dog(options=("--notify",))
    program.unlink()
    tree.touch("rust/kernel/io.rs")
    wait(lambda: verdict(watch) == "stale")


# -- acting --------------------------------------------------------------------


def test_it_refreshes_what_is_stale(tree: Miniature, dog: StartDog) -> None:
    """``--on-stale=rebuild`` makes the crates; the module itself is left to its own make."""
    watch = dog(options=("--on-stale=rebuild",))
    object_before = (tree.module / "nova_core.o").stat().st_mtime_ns
    tree.touch("rust/kernel/io.rs")
    wait(lambda: "refreshed in" in watch.log.read_text())
    assert verdict(watch) == "fresh"
    assert tree.rebuilds("modules_prepare") == set()
    assert (tree.module / "nova_core.o").stat().st_mtime_ns == object_before


def test_it_refreshes_what_make_itself_cannot_see(tree: Miniature, dog: StartDog) -> None:
    """A deleted ``libkernel.rmeta``: its object has to go first."""
    watch = dog(options=("--on-stale=rebuild",))
    (tree.objtree / "rust/libkernel.rmeta").unlink()
    wait(lambda: "refreshed in" in watch.log.read_text())
    assert (tree.objtree / "rust/libkernel.rmeta").exists()


def test_a_refresh_that_fails_is_not_repeated_until_something_changes(tree: Miniature, dog: StartDog) -> None:
    """A missing source: one try, and a message. The source appears, in no record: another try, which succeeds."""
    tree.make("M=samples/rust")
    watch = dog(M, "M=samples/rust", options=("--on-stale=rebuild",))
    tree.append("rust/kernel/lib.rs", "mod kdeps_missing;\n")

    def tries() -> int:
        return watch.log.read_text().count("refreshing: make")

    wait(lambda: watch.log.read_text().count("waiting for the next change") == 2)
    assert tries() == 1
    (tree.srctree / "rust/kernel/.lib.rs.swp").touch()
    wait(lambda: "waiting for the next change" in (watch.status(MODULE) or {})["watch"]["note"])
    assert tries() == 1
    watch.take_said()
    (tree.srctree / "rust/kernel/kdeps_missing.rs").write_text("// here it is\n")
    wait(lambda: "refreshed in" in watch.log.read_text())
    assert tries() == 2
    assert verdict(watch) == "fresh"
    # While it tries again, nobody hears that it has failed.
    assert {one.note for one in watch.take_said() if (one.state, one.module) == ("refreshing", MODULE)} == {
        ""
    }


def test_a_refresh_that_cannot_help_is_not_begun(dog: StartDog) -> None:
    """The tree was configured with another compiler: a person has to act, and is told so."""
    watch = dog("CC=another-cc", M, options=("--on-stale=rebuild",))
    wait(lambda: "a refresh cannot help here" in watch.log.read_text())
    assert verdict(watch) == "stale"
    assert "refreshing: make" not in watch.log.read_text()


def test_a_command_gets_the_verdict(tree: Miniature, dog: StartDog, tmp_path: Path) -> None:
    """``--exec``: one run for each new verdict, with it on standard input."""
    out = tmp_path / "out"
    watch = dog(options=(f"--exec=cat >> {out}; echo $KDEPS_VERDICT $KDEPS_MODULE >> {out}",))
    wait(lambda: out.exists() and f"fresh {MODULE}" in out.read_text())
    tree.touch("rust/kernel/io.rs")
    wait(lambda: f"stale {MODULE}" in out.read_text())
    lines = out.read_text().splitlines()
    assert [json.loads(line)["verdict"] for line in lines[::2]] == ["fresh", "stale"]
    assert watch.process.poll() is None


def test_what_is_edited_while_it_is_compiled_is_made_once_more(tree: Miniature, dog: StartDog) -> None:
    """By its time the object is newer than the edit, so make would never notice; the watch was there."""
    gate, marker = tree.root / "gate", tree.root / "compiling"
    os.mkfifo(gate)
    rustc = tree.toolchain / "bin/rustc"
    watch = dog(options=("--on-stale=rebuild",))
    rustc.rename(tree.toolchain / "bin/rustc.real")
    rustc.write_text(
        f'#!/bin/sh\ncase "$*" in *crate-name\\ kernel*) [ -e {marker} ] || {{ : > {marker}; read line < {gate}; }};; esac\n'
        'exec "$0.real" "$@"\n'
    )
    rustc.chmod(0o755)
    tree.touch("rust/kernel/io.rs")
    wait(marker.exists)
    tree.append("rust/kernel/lib.rs", "// edited now\n")
    gate.write_text("go on\n")
    wait(lambda: "refreshed in" in watch.log.read_text())
    assert "edited while it was compiled: kernel.o; once more" in watch.log.read_text()
    assert watch.log.read_text().count("refreshing: make") == 2
    assert verdict(watch) == "fresh"


def test_it_ends_its_own_make(tree: Miniature, env: dict[str, str]) -> None:
    """SIGTERM in the middle of a refresh: make is ended, and there is no process left."""
    gate = tree.root / "gate"
    os.mkfifo(gate)
    rustc = tree.toolchain / "bin/rustc"
    rustc.rename(tree.toolchain / "bin/rustc.real")
    rustc.write_text(
        f'#!/bin/sh\ncase "$*" in *crate-name*) : > {tree.root}/compiling; read line < {gate};; esac\nexec "$0.real" "$@"\n'
    )
    rustc.chmod(0o755)
    tree.touch("rust/kernel/io.rs")
    watch = Dog(
        [*tree.tree_args, M], str(tree.srctree), Path(env["XDG_RUNTIME_DIR"]), options=("--on-stale=rebuild",), env=env
    )  # fmt: skip
    wait((tree.root / "compiling").exists)
    assert watch.close() == 0
    left = subprocess.run(["pgrep", "-f", str(tree.root)], capture_output=True, text=True, check=False).stdout
    assert left == ""


# -- life ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 0), (signal.SIGHUP, 0), (signal.SIGINT, 130)]
)
def test_it_ends_when_told_to(dog: StartDog, number: signal.Signals, status: int) -> None:
    """With the status for it, and no files left but the lock's."""
    watch = dog()
    watch.process.send_signal(number)
    assert watch.process.wait(PATIENCE_S) == status
    assert [path.suffix for path in (watch.runtime / "kdeps").iterdir()] == [".lock"]


def test_a_second_watch_joins_the_first_and_takes_over(
    tree: Miniature, env: dict[str, str], dog: StartDog
) -> None:
    """It shows what the first one sees; when that ends, it watches itself."""
    first = dog()
    second = subprocess.Popen(
        [sys.executable, "-m", "kdeps", "watch", *tree.tree_args, M],
        cwd=tree.srctree, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert second.stdout is not None
    assert f"joined the watch that runs already (pid {first.process.pid})" in second.stdout.readline()
    assert f"{MODULE}: fresh" in second.stdout.readline()
    tree.touch("rust/kernel/io.rs")
    assert f"{MODULE}: stale: crate `kernel`" in second.stdout.readline()
    first.process.send_signal(signal.SIGSTOP)
    assert f"(pid {first.process.pid}) is stopped" in second.stdout.readline()
    third = run(tree, env, *tree.tree_args, M)
    assert (third.returncode, "is stopped: continue or end it" in third.stderr) == (2, True)
    first.process.send_signal(signal.SIGCONT)
    assert f"(pid {first.process.pid}) goes on" in second.stdout.readline()
    first.close()
    assert "taking over" in second.stdout.readline()
    assert f"{MODULE}: stale" in second.stdout.readline()
    tree.touch("rust/kernel/lib.rs")
    assert "rust/kernel/lib.rs" in second.stdout.readline()
    second.terminate()
    assert second.wait(PATIENCE_S) == 0
    second.stdout.close()


def test_only_one_watch_may_act(tree: Miniature, env: dict[str, str], dog: StartDog) -> None:
    """A second one that would refresh, or that means another build, says so and ends."""
    first = dog()
    done = run(tree, env, "--on-stale=rebuild", *tree.tree_args, M)
    assert done.returncode == 2
    assert (
        f"another kdeps watch (pid {first.process.pid}) has this module, and only one may act" in done.stderr
    )
    done = run(tree, env, *tree.tree_args, "LLVM=1", M)
    assert done.returncode == 2
    assert "with other arguments" in done.stderr


def test_what_cannot_be_watched_at_all_is_an_error(tree: Miniature, env: dict[str, str]) -> None:
    """No tree, no module folder, an unknown option: one line, exit 2."""
    for words in (("-C", "/nonexistent", M), (*tree.tree_args, "M=nowhere"), ("--frobnicate", M)):
        done = run(tree, env, *words)
        assert done.returncode == 2
        assert done.stderr.startswith("kdeps: error: ")
        assert done.stderr.count("\n") == 1
