# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""From the host into the lab: a command inside the chroot, with a copy of this checkout."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
_PARTS = ("kdeps", "tests", "examples", "Makefile.snippet", "README.md", "pyproject.toml", ".ci", "LICENSES")
"""What tests read and pip installs, relative to the checkout."""

_SCRIPT = """
T=$1; shift
mount --bind "$T" "$T" && cd "$T" || exit 99
mount -t proc proc "$T/proc" && mount --rbind /dev "$T/dev" || exit 99
while [ "$1" != -- ]; do
    mkdir -p "$T/mnt/$1" && mount --bind "$2" "$T/mnt/$1" || exit 99
    shift 2
done
shift
# Not a mere chroot: in one there would be no user namespaces.
mkdir -p mnt/outside && pivot_root . mnt/outside || exit 99
exec chroot . env -i HOME=/root TERM="${TERM:-dumb}" LC_ALL=C.UTF-8 \
    PYTHONPATH=/mnt/kdeps:/mnt/site PYTHONPYCACHEPREFIX=/tmp/pycache \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
"""
_INNER = 'umount -l /mnt/outside && cd /mnt/kdeps && exec "$@"'


def run_in_lab(
    lab: Path,
    command: Sequence[str],
    *,
    site: Path | None = None,
    mounts: Mapping[str, Path] | None = None,
    environ: Mapping[str, str] | None = None,
    exclusive: bool = True,
) -> int:
    """Run a command inside the lab, in a copy of this checkout; return its status.

    A run takes up to an hour, and all of it must judge one and the same kdeps, whatever happens to the checkout
    meanwhile; hence the copy. ``site`` is a folder with other Python packages than the lab's own, ``mounts`` are seen
    as ``/mnt/NAME``; of the caller's variables only ``TERM`` gets in. It holds the lab, and waits for another that
    does.
    """
    if os.geteuid() != 0:
        raise SystemExit("lab: error: run as root, for the lab is a chroot")
    if not (lab / "var/lib/kdeps-lab/layouts").is_dir():
        raise SystemExit(f"lab: error: {lab}: no lab there; make one: tests/lab/make-lab.sh -t {lab}")
    with tempfile.TemporaryDirectory(prefix="kdeps-lab-") as folder:
        _take_snapshot(Path(folder))
        bound: dict[str, Path] = {"kdeps": Path(folder), **(mounts or {})}
        if site is not None:
            bound["site"] = site
        words = [word for name, path in bound.items() for word in (name, str(path.resolve()))]
        assignments = [f"{name}={value}" for name, value in (environ or {}).items()]
        into = ["unshare", "-m", "bash", "-c", _SCRIPT, "lab", str(lab.resolve()), *words, "--", *assignments]
        with _locked(lab, exclusive):
            return subprocess.run([*into, "sh", "-c", _INNER, "sh", *command], check=False).returncode


def read_revision() -> str:
    """Return which kdeps is judged, as git describes it (inside the lab)."""
    return (CHECKOUT / "REVISION").read_text()


def _take_snapshot(folder: Path) -> None:
    for name in _PARTS:
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(
                source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules")
            )
        else:
            shutil.copy(source, folder / name)
    revision = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    (folder / "REVISION").write_text(revision.stdout.strip() or "unknown")


@contextmanager
def _locked(lab: Path, exclusive: bool) -> Iterator[None]:
    """Hold the lab: kdeps' caches in it are warmed for one run at a time."""
    if not exclusive:
        yield
        return
    with open(lab / "var/lib/kdeps-lab/lock", "w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"lab: waiting for another run in {lab}", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
