# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A Debian that is booted by systemd in a container, and a user who is logged in there."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.enter import CHECKOUT

SUITE = "bookworm"
PACKAGES = (
    "systemd", "systemd-sysv", "libpam-systemd", "dbus", "dbus-user-session", "procps", "make", "util-linux",
    "python3", "python3-click", "python3-watchdog",
)  # fmt: skip
_BOOT_S = 60.0
_ENVIRONMENT = (
    "HOME=/home/dev",
    "USER=dev",
    "PATH=/home/dev/mini/toolchain/bin:/usr/local/bin:/usr/bin:/bin",
    "PYTHONPATH=/home/dev/kdeps",
    "XDG_RUNTIME_DIR=/run/user/1000",
    "DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus",
    "LC_ALL=C.UTF-8",
)


def make_root(root: Path) -> None:
    """Make the Debian, unless it is there already."""
    ready = root / "var/lib/kdeps-systemd"
    if ready.exists():
        return
    if root.exists() and any(root.iterdir()):
        if not (root / "debootstrap").is_dir():
            raise SystemExit(f"systemd: error: {root}: not empty, and not made by this suite")
        shutil.rmtree(root)
    uris = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)"], capture_output=True, text=True, check=True
    ).stdout.split()
    mirror = next((uri for uri in uris if uri.endswith("/debian/")), None)
    if mirror is None:
        raise SystemExit("systemd: error: apt here knows no Debian mirror: run apt-get update")
    include = f"--include={','.join(PACKAGES)}"
    command = ["debootstrap", "--variant=minbase", include, SUITE, str(root), mirror]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    subprocess.run(["chroot", str(root), "useradd", "-m", "-u", "1000", "dev"], check=True)
    linger = root / "var/lib/systemd/linger"
    linger.mkdir(parents=True, exist_ok=True)
    (linger / "dev").touch()  # the user manager starts at boot
    ready.touch()


class User:
    """Who is logged in there."""

    def __init__(self, leader: int) -> None:
        self._leader = leader

    def run(self, *command: str, cwd: str = "/home/dev") -> subprocess.CompletedProcess[str]:
        """Run a command as this user, next to the user manager; standard error goes with the output."""
        into = ["nsenter", "-t", str(self._leader), "-m", "-u", "-i", "-n", "-p"]
        who = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "env", "-i", *_ENVIRONMENT]
        there = ["sh", "-c", 'cd "$0" && exec "$@"', cwd]
        return subprocess.run(
            [*into, *who, *there, *command],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip


@contextmanager
def booted(root: Path) -> Iterator[User]:
    """Boot the Debian, with a copy of this checkout in it, and shut it down in the end."""
    home = root / "home/dev"
    for name in ("kdeps", "mini", ".config", ".cache"):
        shutil.rmtree(home / name, ignore_errors=True)
    shutil.copytree(
        CHECKOUT / "kdeps", home / "kdeps/kdeps", ignore=shutil.ignore_patterns("__pycache__"), symlinks=True
    )
    subprocess.run(["chown", "-R", "1000:1000", str(home)], check=True)
    # Neither registered nor in a scope: the host need not be run by systemd itself.
    command = ["systemd-nspawn", "-q", "-D", str(root), "--register=no", "--keep-unit", "-b"]
    machine = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
    )
    try:
        yield _wait_for_user(machine)
    finally:
        machine.terminate()  # an orderly shutdown
        try:
            machine.wait(30)
        except subprocess.TimeoutExpired:
            machine.kill()
            machine.wait()


def _wait_for_user(machine: subprocess.Popen[bytes]) -> User:
    until = time.monotonic() + _BOOT_S
    while time.monotonic() < until and machine.poll() is None:
        children = Path(f"/proc/{machine.pid}/task/{machine.pid}/children").read_text().split()
        if children:
            user = User(int(children[0]))
            if user.run("systemctl", "--user", "is-system-running").stdout.strip() == "running":
                return user
        time.sleep(0.2)
    raise SystemExit("systemd: error: the container did not boot: systemd-nspawn cannot work here")
