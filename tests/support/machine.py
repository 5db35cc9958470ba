# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A machine in a folder: ``/proc``, ``/sys``, ``/lib/modules`` and ``/boot``, with real modules in them."""

from __future__ import annotations

import functools
import os
import struct
import subprocess
import tempfile
from pathlib import Path

from tests.support.elf_objects import RELEASE, compile_object, put
from tests.support.miniature import Miniature

MODULE = """
__attribute__((section(".modinfo"), used)) static const char magic[] = "vermagic={release} ";
__attribute__((section(".modinfo"), used)) static const char name[] = "name={name}";
int state = {value};
int touch(int *);
int start(void) {{ return touch(&state) + {value}; }}
"""
FOLDER = "drivers/gpu/nova-core"


def build_module(
    folder: Path,
    value: int,
    *,
    release: str = RELEASE,
    name: str = "nova_core",
    build_id: str = "sha1",
    debug: str = "",
) -> bytes:
    """Compile and link a module as Kbuild does: ``ld -r --build-id=sha1``; with some debug information or none."""
    data = _link(MODULE.format(value=value, release=release, name=name), build_id, debug)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "linked.ko").write_bytes(data)
    return data


@functools.cache
def _link(text: str, build_id: str, debug: str) -> bytes:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        compile_object(folder, text)
        if debug:
            (folder / "debug").write_text(debug)
            _run(folder, "objcopy", "--add-section", ".debug_info=debug", "module.o")
        _run(folder, "ld", "-r", f"--build-id={build_id}", "-o", "linked.ko", "module.o")
        return (folder / "linked.ko").read_bytes()


def _run(folder: Path, *command: str) -> None:
    subprocess.run(command, cwd=folder, check=True)


def note(build_id: str) -> bytes:
    """A GNU note as sysfs has it."""
    data = bytes.fromhex(build_id)
    return struct.pack("<III4s", 4, len(data), 3, b"GNU\0") + data


class Machine:
    """A root folder that looks like a running machine."""

    def __init__(self, root: Path, release: str = RELEASE) -> None:
        self.root = root
        self.release = release
        self.modules = root / "lib/modules" / release
        self.depmod = f"sudo depmod -b {root} {release}"
        (root / "sys/module").mkdir(parents=True)
        (root / "boot").mkdir()
        self._write("proc/sys/kernel/osrelease", f"{release}\n")
        self._write("proc/sys/kernel/version", "#1 SMP PREEMPT_DYNAMIC now\n")
        xen = struct.pack("<III4sI", 4, 4, 6, b"Xen\0", 7)
        self._write("sys/kernel/notes", xen + note("aa" * 20))
        self.dep: dict[str, str] = {}

    def load(self, build_id: str | None, *, name: str = "nova_core", state: str = "live") -> None:
        self._write(f"sys/module/{name}/initstate", f"{state}\n")
        if build_id is not None:
            self._write(f"sys/module/{name}/notes/.note.gnu.build-id", note(build_id))

    def install(self, path: str, data: bytes, *, index: bool = True) -> Path:
        """Put a file below ``/lib/modules/RELEASE`` and into modules.dep."""
        file = self.modules / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        if index:
            name = file.name.split(".ko")[0]
            self.dep[name] = path
            self._write(
                f"lib/modules/{self.release}/modules.dep", "".join(f"{p}:\n" for p in self.dep.values())
            )
        return file

    def boot_files(self, data: bytes) -> Path:
        """Give the machine an initramfs."""
        path = self.root / f"boot/initrd.img-{self.release}"
        path.write_bytes(data)
        return path

    def _write(self, name: str, data: str | bytes) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)


def put_module(tree: Miniature, data: bytes) -> Path:
    """Let the tree's nova-core.ko be a real module, behind its mtime."""
    path = tree.srctree / FOLDER / "nova-core.ko"
    put(path, data)
    return path


def touch_later(path: Path) -> None:
    """Date a file two seconds later than it is."""
    times = path.stat()
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns + 2_000_000_000))
