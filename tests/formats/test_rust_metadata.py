# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The crates that metadata names."""

from __future__ import annotations

from pathlib import Path

from kdeps.formats.rust_metadata import parse_loaded_crates

REAL = Path(__file__).parent.parent / "data/metadata/kernel-1.95.rmeta"
"""Written by rustc 1.95 for a crate that is given nine crates and does not use zerocopy and zerocopy_derive."""


def test_metadata_of_rustc_names_what_is_loaded() -> None:
    """Crates of macros and of code alike; what was passed and not used is not loaded."""
    assert set(parse_loaded_crates(REAL.read_bytes())) == {
        "bindings", "build_error", "ffi", "macros", "pin_init", "pin_init_internal", "uapi",
    }  # fmt: skip


def test_what_is_no_metadata_names_no_crate() -> None:
    """A format of the future, NULs, or half a file must not lead to crates that do not exist."""
    data = REAL.read_bytes()
    assert parse_loaded_crates(b"") == ()
    assert parse_loaded_crates(bytes(4096)) == ()
    assert parse_loaded_crates(data.replace(b"\xc1", b"\xc2")) == ()
    assert set(parse_loaded_crates(data[:900])) <= set(parse_loaded_crates(data))


def test_a_word_that_resembles_a_crate_is_none() -> None:
    """A symbol of the crate's own: no hash follows it."""
    assert parse_loaded_crates(b"\x00\x03ffi\xc1\x01\x02\x03ffi\xc1" + b"\x05" * 40) == ()
