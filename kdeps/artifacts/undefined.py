# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Find every symbol that modpost calls undefined, and why nothing exports it.

modpost prints ten of them and suppresses the rest. The module's object has all. For each one the cause is
decided from what is there: the dumps of exported symbols, the crates' objects, the headers. What the Rust
code of the kernel itself wants, the linker calls undefined; vmlinux.o has everything else.

Source: linux ``scripts/mod/modpost.c`` (``check_exports``, ``ignore_undef_symbol``), ``rust/Makefile`` (``cmd_exports``),
``rust/helpers/``; the Rust reference, "v0 Symbol Format".
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from kdeps.artifacts import build_assert
from kdeps.artifacts.object_file import ObjectError, list_symbols, read_object
from kdeps.formats.elf import GIVEN_BY_LINKER, Symbol
from kdeps.formats.symvers import parse_symvers
from kdeps.system.files import read_bytes

_CRATE = re.compile(r"C(?:s([0-9A-Za-z]*)_)?([1-9][0-9]*)_?([A-Za-z_]\w*)")
_HASH = re.compile(r"Cs[0-9A-Za-z]*_")
_BACK_REFERENCE = re.compile(r"B[0-9A-Za-z]*_")
_GENERIC = re.compile(r"_R[0-9]*I")
_HELPER = "rust_helper_"
_BOUND = re.compile(rb"pub (?:fn|static mut|static) (\w+)")
_INLINE = rb"^[ \t]*#[ \t]*define[ \t]+%b\b|^static (?:__always_)?inline\b[^;{}]{0,300}?\b%b[ \t\n]*\("
_DECLARED = rb"^(?!static\b|return\b|typedef\b)[A-Za-z_][\w \t\n*]{0,200}?\b%b[ \t\n]*\([^;{}]{0,2000};"
_MAX_BYTES = 64 << 20


class Cause(str, Enum):
    """Why a symbol is undefined. In the order in which a person should look at them."""

    NO_DUMP = "no-symvers"
    """The kernel's ``Module.symvers`` does not exist."""
    OTHER_BUILD = "other-crate-build"
    """The dump has the same item of another build of the crate."""
    OLD_DUMP = "old-symvers"
    """The kernel's objects have it; the dump is older."""
    OLD_OBJECT = "old-object"
    """Its crate no longer has it: the module was compiled against an older one."""
    OTHER_MODULE = "other-module"
    """Another module exports it, and its dump is not named."""
    GENERIC = "generic"
    """An instance of a generic function; no crate exports those."""
    NO_HELPER = "no-helper"
    """The C header only has it as ``static inline`` or as a macro."""
    NOT_EXPORTED = "not-exported"
    """vmlinux has it, without EXPORT_SYMBOL."""
    OTHER_CRATE = "unknown-crate"
    """A Rust item of a crate that no dump has."""
    NOWHERE = "nowhere"
    """Nothing here has it."""


class Undefined(NamedTuple):
    """One symbol that modpost does not find."""

    name: str
    """Mangled."""
    crate: str
    """The crate whose item it is; empty for C."""
    modules: tuple[str, ...]
    """The objects that want it."""
    cause: Cause
    evidence: str
    """The file that decided: the other dump, the header, the crate's object; empty if none did."""


class Places(NamedTuple):
    """Where to look. All paths are absolute."""

    dump: str
    """The kernel's ``Module.symvers``."""
    named_dumps: tuple[str, ...]
    """Further dumps that modpost reads."""
    other_dumps: tuple[str, ...]
    """Dumps of other modules, which modpost does not read."""
    crates: dict[str, str]
    """Crate → its object, of the kernel's crates."""
    helpers: str
    """The object of ``rust/helpers/``."""
    symbol_map: str
    """``System.map`` of vmlinux."""
    headers: tuple[str, ...]
    """The C headers that the bindings were made from."""
    bindings: str = ""
    """What bindgen made from them; it has what is declared, and leaves out macros and ``static inline``."""
    kernel: str = ""
    """``vmlinux.o``, which modpost reads in the place of a dump; empty in a build of a module."""


def crate_of(name: str) -> tuple[str, str]:
    """Return the crate in which a mangled Rust item stands, and the hash of that crate; empty for C."""
    if not name.startswith("_R"):
        return "", ""
    match = _CRATE.search(name)
    if match is None:
        return "", ""
    return match[3][: int(match[2])], match[1] or ""


def wanted_by(symbols: Iterable[Symbol]) -> frozenset[str]:
    """Find the symbols that an object wants from elsewhere, weak ones left out."""
    return frozenset(
        symbol.name
        for symbol in symbols
        if symbol.section == 0 and symbol.name and not symbol.is_weak and symbol.name not in GIVEN_BY_LINKER
    )


def exported_by(symbols: Iterable[Symbol]) -> frozenset[str]:
    """Find the symbols that an object exports: ``__export_symbol_X`` from 6.5 on, ``__ksymtab_X`` before."""
    names = [symbol.name for symbol in symbols if symbol.section]
    return frozenset(
        name[len(prefix) :]
        for name in names
        for prefix in ("__export_symbol_", "__ksymtab_")
        if name.startswith(prefix)
    )


def find_undefined(
    objects: Iterable[str], places: Places, built_in: Iterable[str] = ()
) -> tuple[Undefined, ...]:
    """Find what modpost or the linker would call undefined, ``rust_build_error`` apart, each with its cause.

    Raises ObjectError if an object cannot be read.
    """
    kernel = list_symbols(places.kernel) if places.kernel else ()
    defined = frozenset(symbol.name for symbol in kernel if symbol.section)
    exported = set(exported_by(kernel))
    wanted: dict[str, list[str]] = {}
    for path in objects:
        symbols = read_object(path).symbols
        exported |= exported_by(symbols)
        for name in sorted(wanted_by(symbols)):
            wanted.setdefault(name, []).append(path)
    for dump in (places.dump, *places.named_dumps):
        exported |= _read_dump(dump)
    missing = {name: paths for name, paths in wanted.items() if name not in exported}
    if kernel:
        for path in built_in:
            for name in sorted(wanted_by(read_object(path).symbols) - defined):
                missing.setdefault(name, []).append(path)
    missing.pop(build_assert.SYMBOL, None)
    if not missing:
        return ()
    decide = _Decision(places, frozenset(exported), defined)
    return tuple(
        Undefined(name, crate_of(name)[0], tuple(paths), *decide.cause(name))
        for name, paths in missing.items()
    )


class _Decision:
    """Decides the causes. What costs time is read once, and only if a symbol needs it."""

    def __init__(self, places: Places, exported: frozenset[str], in_kernel: frozenset[str]) -> None:
        self._places = places
        self._has_dump = bool(in_kernel) or os.path.exists(places.dump)
        self._in_kernel = in_kernel
        self._without_hash: dict[str, str] = {_without_hash(n): n for n in exported if n.startswith("_R")}
        self._defined: dict[str, frozenset[str]] = {}
        self._others: dict[str, str] | None = None
        self._map: frozenset[str] | None = None
        self._headers: list[tuple[str, bytes]] | None = None
        self._declared: frozenset[bytes] | None = None

    def cause(self, name: str) -> tuple[Cause, str]:
        """Decide the cause of one symbol, and name the file that shows it."""
        other = self._other_dumps().get(name)
        if other is not None:
            return Cause.OTHER_MODULE, other
        if name.startswith("_R"):
            return self._rust_cause(name)
        return self._c_cause(name)

    def _rust_cause(self, name: str) -> tuple[Cause, str]:
        crate, _ = crate_of(name)
        path = self._places.crates.get(crate, "")
        if path and name in self._defined_by(path):
            return (Cause.OLD_DUMP, path) if self._has_dump else (Cause.NO_DUMP, self._places.dump)
        if _GENERIC.match(name):
            return Cause.GENERIC, ""
        if path:
            return self._gone_from_crate(name, path)
        if _without_hash(name) in self._without_hash:
            return Cause.OTHER_BUILD, self._places.dump
        return (Cause.OTHER_CRATE, "") if self._has_dump else (Cause.NO_DUMP, self._places.dump)

    def _gone_from_crate(self, name: str, path: str) -> tuple[Cause, str]:
        """Decide about an item that a crate's object does not have, or not by this name."""
        short = _without_hash(name)
        if short in self._without_hash or any(_without_hash(n) == short for n in self._defined_by(path)):
            return Cause.OTHER_BUILD, path
        if not self._defined_by(path):
            return (Cause.OTHER_CRATE, "") if self._has_dump else (Cause.NO_DUMP, self._places.dump)
        return Cause.OLD_OBJECT, path

    def _c_cause(self, name: str) -> tuple[Cause, str]:
        helpers = self._places.helpers
        if name.startswith(_HELPER):
            if name not in self._defined_by(helpers):
                return Cause.NO_HELPER, ""
            return (Cause.OLD_DUMP, helpers) if self._has_dump else (Cause.NO_DUMP, self._places.dump)
        if not self._has_dump:
            header = self._inline_header(name)
            return (Cause.NO_HELPER, header) if header else (Cause.NO_DUMP, self._places.dump)
        if name in self._in_kernel:
            return Cause.NOT_EXPORTED, self._places.kernel
        if name in self._symbol_map():
            return Cause.NOT_EXPORTED, self._places.symbol_map
        header = self._inline_header(name)
        return (Cause.NO_HELPER, header) if header else (Cause.NOWHERE, "")

    def _defined_by(self, path: str) -> frozenset[str]:
        if path not in self._defined:
            try:
                symbols = list_symbols(path)
            except ObjectError:
                self._defined[path] = frozenset()
            else:
                self._defined[path] = frozenset(s.name for s in symbols if s.section and s.name)
        return self._defined[path]

    def _other_dumps(self) -> dict[str, str]:
        if self._others is None:
            self._others = {
                name: path for path in reversed(self._places.other_dumps) for name in _read_module_dump(path)
            }
        return self._others

    def _symbol_map(self) -> frozenset[str]:
        if self._map is None:
            lines = _read(self._places.symbol_map).decode("utf-8", "replace").splitlines()
            self._map = frozenset(line.split(" ")[2] for line in lines if line.count(" ") == 2)
        return self._map

    def _inline_header(self, name: str) -> str:
        """Find the header in which a C name is only a macro or ``static inline``, so that no object has it.

        A header that also declares the function has the other form for another configuration.
        """
        raw = name.encode()
        if self._declared is None:  # one file instead of a thousand, for nearly every name
            self._declared = frozenset(_BOUND.findall(_read(self._places.bindings)))
        if raw in self._declared:
            return ""
        if self._headers is None:
            self._headers = [(path, _read(path)) for path in self._places.headers]
        plain = re.escape(raw)
        inline = re.compile(_INLINE % (plain, plain), re.MULTILINE)
        declared = re.compile(_DECLARED % plain, re.MULTILINE)
        naming = [(path, text) for path, text in self._headers if raw in text]
        if any(declared.search(text) for _, text in naming):
            return ""
        return next((path for path, text in naming if inline.search(text)), "")


def _without_hash(name: str) -> str:
    """Take the hashes of crates out of a mangled name, and what counts its bytes."""
    return _BACK_REFERENCE.sub("B_", _HASH.sub("Cs_", name))


def _read_dump(path: str) -> frozenset[str]:
    return frozenset(parse_symvers(_read(path).decode("utf-8", "replace")))


def _read_module_dump(path: str) -> frozenset[str]:
    """Read what modules export. A dump that has symbols of vmlinux is that of another kernel."""
    if b"\tvmlinux\t" in _read(path):
        return frozenset()
    return _read_dump(path)


def _read(path: str) -> bytes:
    return read_bytes(path, _MAX_BYTES)
