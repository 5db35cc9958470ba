# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Collect the facts of this machine, or of a root folder.

Reads ``/proc``, ``/sys``, ``/lib/modules`` and ``/boot``, and needs no root: what cannot be read is a problem of that
one fact.
"""

from __future__ import annotations

import os

from kdeps.running.build_id import parse_build_id
from kdeps.running.facts import Facts, FileCopy, Initramfs, Installed, LoadedModule, LoadState
from kdeps.running.initramfs import Built, read_initramfs
from kdeps.running.module_file import module_name, read_module
from kdeps.system.errors import Unreadable, UsageError
from kdeps.system.files import list_names, read_bytes, read_text
from kdeps.system.stat import status_of

_IMAGES = ("initrd.img-{0}", "initramfs-{0}.img", "initrd-{0}", "initramfs-{0}")
"""Debian, Fedora, SUSE, Gentoo. Arch has one name for all releases, so its file cannot be matched to one."""


def collect_facts(sysroot: str, built: Built, release: str, environ: dict[str, str]) -> Facts:
    """Look at a machine by the folder that is its root; "/" is this one. Raises UsageError if it is no such root.

    Of a file with another id, the code is hashed as well. Without a release it is that of the running kernel.
    """
    root = sysroot.rstrip("/")
    if not os.path.isdir(f"{root}/lib/modules") and not os.path.isdir(f"{root}/proc/sys/kernel"):
        raise UsageError(
            f"{sysroot}: not the root of a machine: it has neither lib/modules nor proc/sys/kernel"
        )
    wanted = frozenset(built)
    here = os.uname() if not root else None
    running = here.release if here else _read_line(f"{root}/proc/sys/kernel/osrelease")
    release = release or running
    folder = f"{root}/lib/modules/{release}"
    notes = read_bytes(f"{root}/sys/kernel/notes")
    dep = f"{folder}/modules.dep"
    return Facts(
        release=running,
        version=here.version if here else _read_line(f"{root}/proc/sys/kernel/version"),
        boot_id=_read_line(f"{root}/proc/sys/kernel/random/boot_id"),
        kernel_id=parse_build_id(notes),
        loaded=_find_loaded(root, wanted) if running else None,
        livepatched=_find_livepatches(root),
        installed_release=release,
        has_modules_folder=bool(release) and os.path.isdir(folder),
        dep_mtime=_modified_s(dep),
        installed=_find_installed(folder, built) if release else {},
        initramfs=_find_initramfs(root, built, release, environ) if release else (),
        looked_for=wanted,
    )


def _find_loaded(root: str, names: frozenset[str]) -> dict[str, LoadedModule] | None:
    folder = f"{root}/sys/module"
    if not os.path.isdir(folder):
        return None
    return {
        name: module for name in sorted(names) if (module := _read_loaded(f"{folder}/{name}")) is not None
    }


def _read_loaded(folder: str) -> LoadedModule | None:
    if not os.path.isdir(folder):
        return None
    state = _read_line(f"{folder}/initstate")
    build_id = parse_build_id(read_bytes(f"{folder}/notes/.note.gnu.build-id"))
    if not os.path.isdir(folder):
        return None  # unloaded meanwhile
    if not state:
        # A module that is no part of the kernel always has the file; see kernel/module/sysfs.c.
        return LoadedModule(LoadState.BUILT_IN, None)
    return LoadedModule(parse_state(state), build_id)


def parse_state(text: str) -> LoadState:
    """Read what ``initstate`` or ``/proc/modules`` calls a state."""
    return {"coming": LoadState.COMING, "loading": LoadState.COMING, "going": LoadState.GOING, "unloading": LoadState.GOING}.get(
        text.lower(), LoadState.LIVE
    )  # fmt: skip


def _find_livepatches(root: str) -> tuple[str, ...]:
    folder = f"{root}/sys/kernel/livepatch"
    return tuple(name for name in list_names(folder) if _read_line(f"{folder}/{name}/enabled") == "1")


def _find_installed(folder: str, built: Built) -> dict[str, Installed]:
    names = frozenset(built)
    chosen = find_named_modules(read_text(f"{folder}/modules.dep"), names)
    built_in = find_named_modules(read_text(f"{folder}/modules.builtin"), names)
    files: dict[str, list[str]] = {}
    for where, folders, entries in os.walk(folder):
        folders[:] = [name for name in folders if not (where == folder and name in ("build", "source"))]
        for entry in entries:
            name = module_name(entry)
            if name in names:
                files.setdefault(name, []).append(f"{where}/{entry}")
    found = {}
    for name in sorted(names):
        path = os.path.join(folder, chosen[name]) if name in chosen else ""
        others = tuple(sorted(other for other in files.get(name, ()) if other != path))
        copy = _read_copy(path, built[name]) if path else None
        if copy or others or name in built_in:
            found[name] = Installed(copy, others, name in built_in)
    return found


def find_named_modules(text: str, names: frozenset[str]) -> dict[str, str]:
    """Find the paths that ``modules.dep`` or ``modules.builtin`` has for some module names."""
    found = {}
    for line in text.splitlines():
        path = line.partition(":")[0]
        name = module_name(path)
        if name in names:
            found[name] = path
    return found


def _read_copy(path: str, built_id: str | None) -> FileCopy:
    try:
        module = read_module(path)
        if module.build_id is None or module.build_id != built_id:
            module = read_module(path, with_code=True)
    except FileNotFoundError:
        return FileCopy(path, None, "is missing")
    except Unreadable as error:
        return FileCopy(path, None, str(error).partition(": ")[2])
    return FileCopy(path, module.build_id, "", _modified_s(path), module.code)


def _find_initramfs(root: str, built: Built, release: str, environ: dict[str, str]) -> tuple[Initramfs, ...]:
    found = []
    for pattern in _IMAGES:
        try:
            found.append(read_initramfs(f"{root}/boot/{pattern.format(release)}", built, release, environ))
        except FileNotFoundError:
            continue
    return tuple(found)


def _modified_s(path: str) -> int | None:
    found = status_of(path)
    return None if found is None else int(found.st_mtime)


def _read_line(path: str) -> str:
    return read_text(path).partition("\n")[0].strip()
