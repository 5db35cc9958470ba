# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The names of Rust symbols, as their authors wrote them: v0 mangling, and the legacy one.

Written here because the one package for Python, ``rust-demangler`` 1.0 (its only release), cannot be shown names from
anybody: of 18,357 v0 symbols of rustc 1.85 itself it ends four with an exception and says 522 otherwise than LLVM (and
another 1,637, and 26 of a kernel's 8,093, for its own spelling of closures), and it writes to standard output
meanwhile. This one is compared with ``llvm-cxxfilt`` (v0) and
``c++filt`` (legacy) over every symbol of real objects, and is meant for names from anybody: depth, length
and work are bounded, and what breaks the grammar comes back as it is.

Source: the Rust reference, "v0 Symbol Format" (RFC 2603); rustc ``compiler/rustc_symbol_mangling/src/{v0,legacy}.rs``;
the output is that of LLVM's ``RustDemangle.cpp``: no hashes of crates, no types of constants.
"""

from __future__ import annotations

import re

from kdeps.formats.rust_v0 import Broken, read_v0

_MAX_NAME = 32_768
_LEGACY = {
    "SP": "@", "BP": "*", "RF": "&", "LT": "<", "GT": ">", "LP": "(", "RP": ")", "C": ",",
}  # fmt: skip
_LEGACY_HASH = re.compile(r"h[0-9a-f]{16}")
_LEGACY_PIECE = re.compile(r"\$([A-Z]{1,2}|u[0-9a-f]{1,6})\$|\.\.|\.|[^$.]+")
_LEGACY_SUFFIX = re.compile(r"\d+|(?:\d+\.)?llvm\.[0-9A-F]+")
"""What LLVM appends for itself is no part of the name."""
_DIGITS = re.compile(r"0|[1-9][0-9]{0,5}")


def readable_symbol(name: str) -> tuple[str, str]:
    """Say a Rust symbol as its author would.

    Returns:
        The name, and the crate whose item it is: the crate that an ``impl`` stands in, for a method. Of
        anything that is no Rust symbol the name as it is, and an empty crate.
    """
    if len(name) > _MAX_NAME or not name.isascii():
        return name, ""
    try:
        if name.startswith("_R"):
            return read_v0(name)
        if name.startswith("_ZN"):
            return _legacy(name)
    except (Broken, IndexError):
        return name, ""
    return name, ""


# -- legacy -------------------------------------------------------------------------


def _legacy(name: str) -> tuple[str, str]:
    """The first way, of which C++'s demanglers make half a name: ``_ZN…17h<hash>E``."""
    body, dot, suffix = name[3:].partition("E.") if not name.endswith("E") else (name[3:-1], "", "")
    if not name.endswith("E") and not dot:
        raise Broken
    parts: list[str] = []
    at = 0
    while at < len(body):
        found = _DIGITS.match(body, at)
        if found is None:
            raise Broken
        at = found.end() + int(found[0])
        if at > len(body) or found[0] == "0":
            raise Broken
        parts.append(body[found.end() : at])
    if len(parts) < 2 or not _LEGACY_HASH.fullmatch(parts[-1]):
        raise Broken  # C++
    said = [_legacy_part(part) for part in parts[:-1]]
    tail = f" (.{suffix})" if dot and not _LEGACY_SUFFIX.fullmatch(suffix) else ""
    return "::".join(said) + tail, _legacy_crate(said[0])


def _legacy_part(part: str) -> str:
    if part.startswith("_$"):
        part = part[1:]
    out: list[str] = []
    at = 0
    while at < len(part):
        found = _LEGACY_PIECE.match(part, at)
        if found is None:
            raise Broken
        at = found.end()
        code, text = found[1], found[0]
        if code is None:
            out.append("::" if text == ".." else text)
        elif code[0] == "u":
            number = int(code[1:], 16)
            if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF or not chr(number).isprintable():
                raise Broken
            out.append(chr(number))
        elif code in _LEGACY:
            out.append(_LEGACY[code])
        else:
            raise Broken
    return "".join(out)


def _legacy_crate(first: str) -> str:
    """The crate of the first name in it, if it is one: ``<core::ffi::CStr as …>`` has it inside."""
    found = re.match(r"[<&*(\[ ]*(?:(?:mut|const|dyn) )?([A-Za-z_]\w*)(?=::|$)", first)
    return found[1] if found else ""
