# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Read what ``collect.sh`` printed. It comes from another machine, so nothing in it is trusted.

No path in it is opened. It has a bound, it must be whole, and every line must be of a known form. The text may have
what a serial line adds: carriage returns, and other lines before the first and after the last of ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NoReturn

from kdeps.running.facts import Facts, FileCopy, Initramfs, Installed, LoadedModule, LoadState
from kdeps.running.machine import parse_state
from kdeps.system.errors import Unreadable

MAX_BYTES = 16 << 20
_MAX_LINE = 8192
_BEGIN, _END = "kdeps-facts 1", "end"
_ID = re.compile(r"[0-9a-f]{8,128}", re.ASCII)
_MODULE = re.compile(r"\w{1,64}", re.ASCII)
_NO_ID = {"-": "", "missing": "is missing", "unreadable": "cannot be read there"}


class _Bad(Exception):
    """One line is not of its form."""


def parse_facts(data: bytes, origin: str) -> Facts:
    """Read facts; ``origin`` is what to call them in an error.

    Raises Unreadable: it is not what the script prints, not whole, or too large.
    """
    if len(data) > MAX_BYTES:
        raise Unreadable(f"{origin}: more than {MAX_BYTES >> 20} MB, so not the facts of a machine")
    lines = [line.rstrip("\r") for line in data.decode("utf-8", "replace").split("\n")]
    if _BEGIN not in lines:
        raise Unreadable(
            f"{origin}: no line `{_BEGIN}`, so not what `kdeps loaded --script` prints when it is run"
        )
    start = lines.index(_BEGIN)
    if _END not in lines[start:]:
        raise Unreadable(f"{origin}: cut off: the last line, `{_END}`, is missing; collect the facts again")
    reader = _Reader()
    end = lines.index(_END, start)
    for number, line in enumerate(lines[start + 1 : end], start + 2):
        try:
            reader.read(line)
        except _Bad as error:
            raise Unreadable(f"{origin}:{number}: {error}") from error
    return reader.finish()


class _Reader:
    """Takes one line after the other."""

    def __init__(self) -> None:
        self._words = {"release": "", "version": "", "boot-id": "", "folder": ""}
        self._kernel_id: str | None = None
        self._loaded: dict[str, LoadedModule] | None = None
        self._livepatched: list[str] = []
        self._looked_for: set[str] = set()
        self._has_folder = False
        self._dep_mtime: int | None = None
        self._chosen: dict[str, FileCopy] = {}
        self._others: dict[str, list[str]] = {}
        self._built_in: set[str] = set()
        self._images: list[tuple[str, dict[str, tuple[FileCopy, ...]], str, bool]] = []
        self._readers: dict[str, Callable[[str], None]] = {
            "kernel-id": self._read_kernel_id,
            "livepatch": lambda rest: self._livepatched.append(_text(rest)),
            "has-folder": self._read_folder,
            "has-loaded": self._read_has_loaded,
            "loaded": self._read_loaded,
            "looked-for": lambda rest: self._looked_for.add(_module(rest)),
            "installed": self._read_installed,
            "also": self._read_also,
            "builtin": lambda rest: self._built_in.add(_module(rest)),
            "initramfs": lambda rest: self._images.append((_text(rest), {}, "", False)),
            "initramfs-problem": self._read_problem,
            "initramfs-denied": self._read_denied,
            "packed": self._read_packed,
        }

    def read(self, line: str) -> None:
        """Take one line. Raises _Bad: it is not of a known form."""
        if len(line) > _MAX_LINE:
            raise _Bad("a line is too long")
        word, _, rest = line.partition(" ")
        if word in self._words:
            self._words[word] = _text(rest)
        elif word in self._readers:
            self._readers[word](rest)
        else:
            raise _Bad(f"`{word[:40]}` is not known; is the script from another version of kdeps?")

    def finish(self) -> Facts:
        """Return what was read."""
        names = {*self._chosen, *self._others, *self._built_in}
        return Facts(
            release=self._words["release"],
            version=self._words["version"],
            boot_id=self._words["boot-id"],
            kernel_id=self._kernel_id,
            loaded=self._loaded,
            livepatched=tuple(self._livepatched),
            installed_release=self._words["folder"],
            has_modules_folder=self._has_folder,
            dep_mtime=self._dep_mtime,
            installed={
                name: Installed(
                    self._chosen.get(name), tuple(self._others.get(name, ())), name in self._built_in
                )
                for name in sorted(names)
            },
            initramfs=tuple(Initramfs(*image) for image in self._images),
            looked_for=frozenset(self._looked_for),
        )

    def _read_kernel_id(self, rest: str) -> None:
        self._kernel_id = _id(rest) if rest else None

    def _read_folder(self, rest: str) -> None:
        self._has_folder = True
        self._dep_mtime = _time(rest)

    def _read_has_loaded(self, rest: str) -> None:
        self._loaded = {} if not rest else _fail("`has-loaded` has no value")

    def _read_loaded(self, rest: str) -> None:
        name, state, build_id = _split(rest, 3)
        if self._loaded is None:
            raise _Bad("a loaded module before `has-loaded`")
        # Parts of the kernel itself may have any name; only a module's can be looked up.
        known = LoadState.BUILT_IN if state == "built-in" else parse_state(state)
        self._loaded[_module(name)] = LoadedModule(known, None if build_id == "-" else _id(build_id))

    def _read_installed(self, rest: str) -> None:
        name, build_id, mtime, path = _split(rest, 4)
        self._chosen[_module(name)] = _copy(path, build_id, _time(mtime))

    def _read_also(self, rest: str) -> None:
        name, path = _split(rest, 2)
        self._others.setdefault(_module(name), []).append(_text(path))

    def _last_image(self) -> tuple[str, dict[str, tuple[FileCopy, ...]], str, bool]:
        return self._images[-1] if self._images else _fail("no initramfs was named before")

    def _read_problem(self, rest: str) -> None:
        path, modules, _, denied = self._last_image()
        self._images[-1] = (path, modules, _text(rest) or "cannot be read", denied)

    def _read_denied(self, rest: str) -> None:
        path, modules, _, _ = self._last_image()
        self._images[-1] = (path, modules, _text(rest) or "it was not looked at there", True)

    def _read_packed(self, rest: str) -> None:
        name, build_id, path = _split(rest, 3)
        modules = self._last_image()[1]
        # A later file of the same name replaces the earlier one.
        others = tuple(copy for copy in modules.get(_module(name), ()) if copy.path != path)
        modules[name] = (*others, _copy(path, build_id, None))


def _fail(message: str) -> NoReturn:
    raise _Bad(message)


def _split(rest: str, count: int) -> list[str]:
    parts = rest.split(" ", count - 1)
    if len(parts) != count or not all(parts):
        raise _Bad(f"{count} values should stand here")
    return parts


def _text(text: str) -> str:
    if "\0" in text:
        raise _Bad("a NUL byte")
    return text


def _module(name: str) -> str:
    if not _MODULE.fullmatch(name):
        raise _Bad("not the name of a module")
    return name


def _id(text: str) -> str:
    if not _ID.fullmatch(text):
        raise _Bad("not a build id")
    return text


def _time(text: str) -> int | None:
    if text == "-":
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise _Bad("not a time")
    return int(text)


def _copy(path: str, build_id: str, mtime: int | None) -> FileCopy:
    if build_id in _NO_ID:
        return FileCopy(_text(path), None, _NO_ID[build_id], mtime)
    return FileCopy(_text(path), _id(build_id), "", mtime)
