# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Find modules in an initramfs: concatenated newc archives, each plain or compressed.

Nothing is unpacked to disk, and no name of the archive is opened. The kernel takes the archives one after the other,
with any number of zero bytes between them; a later file replaces an earlier one of the same name.

Source: linux ``init/initramfs.c``, ``Documentation/driver-api/early-userspace/buffer-format.rst``.
"""

from __future__ import annotations

import io
import marshal
import os
import time
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from kdeps.running.facts import FileCopy, Initramfs
from kdeps.running.module_file import module_name, parse_module
from kdeps.running.reader import Packed, Reader
from kdeps.running.unpacking import (
    MAX_INITRAMFS_BYTES,
    MAX_MODULE_BYTES,
    is_compressed,
    open_plain,
    read_pieces,
    unpack,
)
from kdeps.system.cache import Store
from kdeps.system.errors import Unreadable
from kdeps.system.stat import Stamp, is_racy, stamp_of

_MAGICS = (b"070701", b"070702")
_HEADER = 110
_MAX_NAME = 4096
_FILE_TYPE, _REGULAR = 0o170000, 0o100000
_TRAILER = "TRAILER!!!"
_KEPT = 16


Built = Mapping[str, str | None]
"""Module name → the build id that the build has, if it has one."""
_Seen = dict[str, "tuple[str | None, str, str] | None"]
"""Path in the archive → build id, problem and code of a module; None for one that was not looked into."""


def read_initramfs(path: str, built: Built, release: str, environ: dict[str, str]) -> Initramfs:
    """Look for modules in one initramfs file; unpack it only if it changed, or if another module is looked for.

    Of a copy with another id, the code is hashed as well; copies for another release are left out. The answer has a
    problem where not all of the file could be read. Raises FileNotFoundError if it is not there.
    """
    store = Store("initramfs", environ, version=2, keep=_KEPT)
    problem, denied = "", False
    seen: _Seen = {}
    try:
        with open_plain(path) as file:
            stamp = stamp_of(os.fstat(file.fileno()))
            seen = _load(store, path, stamp, release)
            if not seen or any(_is_missing(name, copy, built) for name, copy in seen.items()):
                started_ns = time.time_ns()
                seen = _look(file, built, release, seen)
                if not is_racy(stamp, started_ns):
                    store.save(path, marshal.dumps((stamp, release, seen)))
    except Unreadable as error:
        problem, denied = str(error).partition(": ")[2], isinstance(error.__cause__, PermissionError)
    except Packed as error:
        problem = str(error)
        seen = {}  # of a damaged archive no copy can be trusted to be whole
    modules: dict[str, tuple[FileCopy, ...]] = {}
    for name, copy in seen.items():
        key = module_name(name)
        if key is not None and key in built and copy is not None:
            build_id, why, code = copy
            modules[key] = (*modules.get(key, ()), FileCopy(name, build_id, why, code=code))
    return Initramfs(path, modules, problem, denied)


def _load(store: Store, path: str, stamp: Stamp, release: str) -> _Seen:
    """Return what is remembered of an initramfs that still has this stamp."""
    data = store.load(path)
    known = marshal.loads(data) if data is not None else None
    return known[2] if known is not None and known[:2] == (stamp, release) else {}


def _is_missing(name: str, copy: tuple[str | None, str, str] | None, built: Built) -> bool:
    """Whether a module is looked for and not enough of it is known."""
    key = module_name(name)
    if key is None or key not in built:
        return False
    if copy is None:
        return True
    build_id, problem, code = copy
    return not problem and not code and (build_id is None or build_id != built[key])


def _look(file: BinaryIO, built: Built, release: str, known: _Seen) -> _Seen:
    """Unpack an initramfs, and read the modules that are looked for. Raises Packed: it is damaged."""
    seen: _Seen = {"": None}  # never empty, so that an initramfs without modules is remembered as well
    for name, data in iterate_files(Reader(read_pieces(file), MAX_INITRAMFS_BYTES)):
        key = module_name(name)
        if key is not None and f"/lib/modules/{release}/" in f"/{name}":
            seen[name] = _read_copy(data, built[key]) if key in built else known.get(name)
    return seen


def iterate_files(source: Reader) -> Iterator[tuple[str, Reader]]:
    """Yield every plain file of concatenated archives with a reader of its bytes.

    Raises Packed: an archive is damaged, or of an unknown kind.
    """
    begun = False
    while True:
        while (head := source.peek(6)) and head[:1] == b"\0":
            source.skip(len(head) - len(head.lstrip(b"\0")))
        if not head:
            if not begun:
                raise Packed("is empty")
            return
        begun = True
        if head in _MAGICS:
            yield from _iterate_archive(source)
        elif is_compressed(head):
            yield from iterate_files(unpack(source, MAX_INITRAMFS_BYTES))
        else:
            raise Packed(f"has an archive of a kind that is not known here (it begins with {head.hex()})")


def _iterate_archive(source: Reader) -> Iterator[tuple[str, Reader]]:
    while True:
        header = source.read(_HEADER)
        if len(header) < _HEADER:
            raise Packed("is cut off: an archive has no end")
        try:
            if header[:6] not in _MAGICS:
                raise ValueError
            mode, size, name_size = (int(header[6 + 8 * n : 14 + 8 * n], 16) for n in (1, 6, 11))
        except ValueError:
            raise Packed("is damaged: a header of an archive is wrong") from None
        if not 0 < name_size <= _MAX_NAME:
            raise Packed("is damaged: a name in an archive is too long")
        padded = (_HEADER + name_size + 3) // 4 * 4 - _HEADER
        name = source.read(padded)[: name_size - 1].decode("utf-8", "surrogateescape")
        if name == _TRAILER:
            return
        rest = [size]
        if mode & _FILE_TYPE == _REGULAR:
            yield name, Reader(_take(source, rest), MAX_MODULE_BYTES)
        if not source.skip(rest[0] + -size % 4):
            raise Packed("is cut off: an archive has no end")


def _take(source: Reader, rest: list[int]) -> Iterator[bytes]:
    """Yield the bytes of one file, and count down how many are left."""
    while rest[0]:
        piece = source.read(min(rest[0], 1 << 16))
        rest[0] -= len(piece)
        if not piece:
            return
        yield piece


def _read_copy(data: Reader, built_id: str | None) -> tuple[str | None, str, str]:
    """Return the build id of a module, what is wrong with it, and its code if the id is another one."""
    try:
        plain = unpack(data, MAX_MODULE_BYTES) if is_compressed(data.peek(6)) else data
        file = io.BytesIO(b"".join(plain.rest()))
        module = parse_module(file)
        if module.build_id is None or module.build_id != built_id:
            module = parse_module(file, with_code=True)
        return module.build_id, "", module.code
    except Packed as error:
        return None, str(error), ""
