# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Boot a kernel in QEMU without KVM, run a shell script in the guest, and return what it printed.

Needs Debian's ``qemu-system-x86`` and ``busybox-static``. The kernel needs ``BLK_DEV_INITRD``, ``BINFMT_ELF``,
``BINFMT_SCRIPT``, ``DEVTMPFS``, ``TTY`` and ``SERIAL_8250_CONSOLE``.

The kernel's messages go to the first serial line, the script's output to the second: neither is mixed into the
other. A boot of Debian's cloud kernel takes 3 s on an idle machine, and 20 s on a busy one, where the kernel's check
of its timer can fail; so it does without.
"""

from __future__ import annotations

import gzip
import shlex
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

BUSYBOX = Path("/bin/busybox")
_END = "kdeps-guest-end"
_INIT = f"""#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp /sbin /usr/bin /usr/sbin
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
[ -c /dev/ttyS1 ] || exec reboot -f
stty -F /dev/ttyS1 raw
{{ sh /guest-script; echo "{_END} $?"; }} > /dev/ttyS1 2>&1
sync
reboot -f
"""


class GuestResult(NamedTuple):
    """What one boot gave."""

    output: str
    """What the script wrote to standard output and standard error."""
    status: int | None
    """The script's exit status; None if the guest ended before the script did (a panic)."""
    console: str
    """The first serial line: the kernel's messages."""


class CloudKernel(NamedTuple):
    """Debian's kernel package for virtual machines, unpacked."""

    release: str
    image: Path
    modules: Path
    """``lib/modules/RELEASE``, without the files that depmod makes."""


def pack_cpio(files: Mapping[str, bytes]) -> bytes:
    """Pack a newc archive, padded as cpio does; folders are added, every file is executable."""
    folders = sorted({str(p) for name in files for p in Path(name).parents if str(p) != "."})
    rows = [(name, 0o040755, b"") for name in folders]
    rows += [(name, 0o100755, data) for name, data in files.items()]
    rows.append(("TRAILER!!!", 0, b""))
    archive = bytearray()
    for inode, (name, mode, data) in enumerate(rows, 1):
        text = name.encode() + b"\0"
        fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(text), 0)
        archive += b"070701" + "".join(f"{field:08x}" for field in fields).encode() + text
        archive += bytes(-len(archive) % 4) + data
        archive += bytes(-len(archive) % 4)
    return bytes(archive) + bytes(-len(archive) % 512)


def boot(
    kernel: Path,
    script: str,
    *,
    files: Mapping[str, bytes] | None = None,
    append: str = "",
    memory_mb: int = 512,
    timeout_s: float = 600,
) -> GuestResult:
    """Boot a bzImage with a busybox initramfs, which has to fit in memory twice, and run a script as root.

    Raises TimeoutError, with the end of the kernel's messages, if the guest did not end by itself.
    """
    own = {"bin/busybox": BUSYBOX.read_bytes(), "init": _INIT.encode(), "guest-script": script.encode()}
    with tempfile.TemporaryDirectory(prefix="kdeps-guest-") as name:
        folder = Path(name)
        (folder / "initrd").write_bytes(gzip.compress(pack_cpio({**(files or {}), **own}), 1))
        command = [
            "qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", str(memory_mb), "-nodefaults", "-display", "none",
            "-no-reboot", "-kernel", str(kernel), "-initrd", str(folder / "initrd"),
            "-append", f"console=ttyS0 rdinit=/init panic=-1 no_timer_check {append}",
            "-serial", f"file:{folder}/console", "-serial", f"file:{folder}/output",
        ]  # fmt: skip
        try:
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=timeout_s)
        except subprocess.TimeoutExpired:
            tail = _read(folder / "console")[-2000:]
            raise TimeoutError(f"{shlex.join(command)}: no end after {timeout_s} s\n{tail}") from None
        output, console = _read(folder / "output"), _read(folder / "console")
    head, marker, tail = output.rpartition(f"{_END} ")
    return GuestResult(head, int(tail), console) if marker else GuestResult(output, None, console)


def fetch_cloud_kernel(folder: Path) -> CloudKernel:
    """Download and unpack Debian's cloud kernel with apt, unless the folder has it already."""
    if not list(folder.glob("boot/vmlinuz-*")):
        folder.mkdir(parents=True, exist_ok=True)
        about = _run("apt-cache", "depends", "linux-image-cloud-amd64")
        package = next(w for w in about.split() if w.startswith("linux-image-") and w[12].isdigit())
        _run("apt-get", "-q", "download", package, cwd=folder)
        deb = next(folder.glob("linux-image-*.deb"))
        _run("dpkg-deb", "-x", str(deb), str(folder))
        deb.unlink()
    image = next(folder.glob("boot/vmlinuz-*"))
    release = image.name.removeprefix("vmlinuz-")
    modules = next(path for path in (folder / "lib/modules", folder / "usr/lib/modules") if path.is_dir())
    return CloudKernel(release, image, modules / release)


def _run(*command: str, cwd: Path | None = None) -> str:
    return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout


def _read(path: Path) -> str:
    return path.read_text(errors="replace").replace("\r\n", "\n") if path.exists() else ""
