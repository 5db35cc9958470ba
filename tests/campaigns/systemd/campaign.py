# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The campaign: what is done to the watch, and what has to be seen then."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

from kdeps.watch.service import WATCHDOG_S
from tests.lab.campaign import Campaign

from .machine import User, booted, make_root

UNITS = "/home/dev/.config/systemd/user"
TREE = "/home/dev/mini/linux"
FOLDER = "/run/user/1000/kdeps"
MODULE = "drivers/gpu/nova-core"
KDEPS = ("python3", "-m", "kdeps")
_PATIENCE_S = 45.0
_SHORT_WATCHDOG_S = 6


class Story:
    """What is done, and what has to be seen then."""

    def __init__(self, user: User) -> None:
        self.user = user
        self.failed = 0
        self.checks = 0
        self.unit = ""
        """The name that it gives itself."""

    def see(self, what: str, wanted: Callable[[], str]) -> None:
        """Wait until ``wanted`` finds nothing missing; it returns what it saw instead."""
        until = time.monotonic() + _PATIENCE_S
        while (seen := wanted()) and time.monotonic() < until:
            time.sleep(0.2)
        self.checks += 1
        self.failed += bool(seen)
        print(f"{'FAIL' if seen else 'ok  '} {what}{': ' + seen if seen else ''}", flush=True)

    def shell(self, script: str) -> str:
        """Run a script in the tree; its output."""
        return self.user.run("sh", "-c", script, cwd=TREE).stdout

    def install(self, *options: str, watchdog_s: int = WATCHDOG_S) -> None:
        """Write the unit anew and start it."""
        words = " ".join((*KDEPS, "watch", "--systemd", *options, f"M={MODULE}"))
        shorter = f"sed s/WatchdogSec={WATCHDOG_S}/WatchdogSec={watchdog_s}/"
        print(self.shell(f"mkdir -p {UNITS} && {words} | {shorter} > unit"), end="")
        self.unit = self.shell("sed -n 's,.*~/.config/systemd/user/\\(.*\\)[.]service.*,\\1,p' unit").strip()
        print(self.shell(f"mv unit {UNITS}/{self.unit}.service"), end="")
        print(self.shell(f"systemctl --user daemon-reload && systemctl --user restart {self.unit}"), end="")

    def shows(self, name: str, text: str) -> str:
        """Empty where a property of the unit holds ``text``; else what it is."""
        value = self.shell(f"systemctl --user show -p {name} --value {self.unit}").strip()
        return "" if text in value else f"{name} is {value!r}"

    def pid(self) -> str:
        """Of the watch."""
        return self.shell(f"systemctl --user show -p MainPID --value {self.unit}").strip()

    def leaves(self, name: str, pattern: str) -> str:
        """Empty where a pattern matches this one file of the watch's folder; else what it matches."""
        found = self.shell(f"cd {FOLDER} && echo {pattern}").strip()
        return "" if found == name else found

    def says(self, text: str, status: int) -> str:
        """Empty where ``kdeps watch --status`` says so; else what it says."""
        done = self.user.run(*KDEPS, "watch", "--status", cwd=TREE)
        seen = f"exit {done.returncode}: {done.stdout.strip()}"
        return "" if text in done.stdout and done.returncode == status else seen


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root", type=Path, default=Path("/var/tmp/kdeps-systemd"))


def run(options: argparse.Namespace) -> int:
    make_root(options.root)
    with booted(options.root) as user:
        story = Story(user)
        _tell(story)
    print(f"systemd: {story.checks} checks, {story.failed} failed")
    return int(bool(story.failed))


def _tell(story: Story) -> None:
    demo = story.user.run(*KDEPS, "demo", "--keep", "/home/dev/mini")
    story.see("the miniature is built", lambda: "" if demo.returncode == 0 else demo.stdout[-400:])
    story.install()
    verify = story.user.run("systemd-analyze", "--user", "verify", f"{UNITS}/{story.unit}.service")
    story.see("systemd finds no fault with the unit", lambda: verify.stdout.strip())
    story.see("it becomes active", lambda: story.shows("ActiveState", "active"))
    story.see("its status is the verdict", lambda: story.shows("StatusText", f"{MODULE}: fresh"))
    story.see("--status says the same", lambda: story.says("fresh", 0))
    story.shell("echo '// edit' >> rust/kernel/io.rs")
    stale = "crate `kernel` is older than rust/kernel/io.rs"
    story.see("an edit is in the status", lambda: story.shows("StatusText", stale))
    story.see("and in --status", lambda: story.says(stale, 1))
    story.shell(f"make -s modules_prepare && make -s M={MODULE}")
    story.see("a build by hand makes it fresh", lambda: story.says("fresh", 0))
    killed = story.pid()
    story.user.run("kill", "-KILL", killed)
    story.see("killed, it is no longer believed", lambda: story.says("no watch runs", 2))
    story.see("and started again", lambda: story.shows("NRestarts", "1") or story.says("fresh", 0))
    story.see("without its old socket", lambda: story.leaves(f"{story.pid()}.socket", "*.socket"))
    story.install(watchdog_s=_SHORT_WATCHDOG_S)
    time.sleep(_SHORT_WATCHDOG_S * 2)
    story.see("signs of life keep it running", lambda: story.shows("NRestarts", "0"))
    story.user.run("kill", "-STOP", story.pid())
    story.see("stopped, it is no longer believed", lambda: story.says("stopped", 2))
    story.see("and systemd replaces it", lambda: story.shows("NRestarts", "1") or story.says("fresh", 0))
    story.install("--on-stale=rebuild")
    story.see("a unit that refreshes starts, too", lambda: story.says("fresh", 0))
    story.shell("echo '// edit' >> rust/kernel/io.rs")
    story.see("it has the crate refreshed", lambda: story.says("of its own to rebuild", 0))
    check = story.user.run(*KDEPS, "check", f"M={MODULE}", cwd=TREE)
    story.see("so a check finds it fresh", lambda: "" if check.returncode == 0 else check.stdout)
    story.shell(f"systemctl --user stop {story.unit}")
    story.see(
        "it stops cleanly", lambda: story.shows("Result", "success") or story.shows("ExecMainStatus", "0")
    )
    lock = story.shell(f"cd {FOLDER} && echo *.lock").strip()
    story.see("and leaves only its lock", lambda: story.leaves(lock, "*"))


CAMPAIGN = Campaign(add_options, run, in_lab=False)
