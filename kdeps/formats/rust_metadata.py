# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Read which crates a crate loads from its metadata (``libNAME.rmeta``)."""

from __future__ import annotations

import re

_LOADED = re.compile(rb"([\x01-\x7f])(\w+)\xc1.{16}(?:\0|\x01.{16})[\0-\3]\0\xc1", re.DOTALL)


def parse_loaded_crates(data: bytes) -> tuple[str, ...]:
    """Return the names of the crates that rustc loads together with one, directly or through another.

    Shape of one entry: the length of the name, the name, 0xC1 (which ends every string); 16 bytes of
    hash; whether a hash of the host follows; the kind; an empty suffix of the file's name and 0xC1.

    Names that rustc knows beforehand (``core``, ``alloc``) are numbers there, and are not returned.
    A crate that is passed (``--extern``) and not used is not in the list.

    Returns:
        The names in the file's order; empty if the format is another one.

    Source: rust ``compiler/rustc_metadata/src/rmeta/mod.rs``, ``CrateDep``; compared with what rustc
    1.95 and 1.97 write.
    """
    return tuple(
        dict.fromkeys(
            found[2].decode("ascii", "replace")
            for found in _LOADED.finditer(data)
            if found[1][0] == len(found[2])
        )
    )
