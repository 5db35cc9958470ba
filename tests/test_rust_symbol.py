# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Rust symbols in words: as LLVM says them, and never more than a bounded effort for any."""

from __future__ import annotations

import random
import time

import pytest

from kdeps.formats.rust_symbol import readable_symbol
from tests.conftest import CHECKOUT

SYMBOLS = CHECKOUT / "tests/data/symbols/v0.tsv"
"""Of the objects of real kernels and of rustc 1.85 itself, with what ``llvm-cxxfilt`` 19 made of them. ``python -m tests.symbols`` compares all of them."""


def test_real_symbols_are_said_as_llvm_says_them() -> None:
    rows = [line.split("\t") for line in SYMBOLS.read_text(encoding="utf-8").splitlines()]
    assert len(rows) > 300
    assert [(name, readable_symbol(name)[0]) for name, _ in rows] == [(name, said) for name, said in rows]


@pytest.mark.parametrize(
    ("symbol", "said"),
    [
        # From the RFC, and from the tests of rustc-demangle and LLVM.
        ("_RNvC6_123foo3bar", "123foo::bar"),
        ("_RNqCs4fqI2P2rA04_11utf8_identsu30____7hkackfecea1cbdathfdh9hlq6y", "utf8_idents::საჭმელად_გემრიელი_სადილი"),
        ("_RNCNCNgCs6DXkGYLi8lr_2cc5spawn00B5_", "cc::spawn::{closure#0}::{closure#0}"),
        (
            "_RNCINkXs25_NgCsbmNqQUJIY6D_4core5sliceINyB9_4IterhENuNgNoBb_4iter8iterator8Iterator9rpositionNCNgNpB9_6memchr7memrchrs_0E0Bb_",
            "<core::slice::Iter<u8> as core::iter::iterator::Iterator>::rposition::<core::slice::memchr::memrchr::{closure#1}>::{closure#0}",
        ),
        (
            "_RINbNbCskIICzLVDPPb_5alloc5alloc8box_freeDINbNiB4_5boxed5FnBoxuEp6OutputuEL_ECs1iopQbuBiw2_3std",
            "alloc::alloc::box_free::<dyn alloc::boxed::FnBox<(), Output = ()>>",
        ),
        ("_RINtC8arrayvec8ArrayVechKj7b_E", "arrayvec::ArrayVec::<u8, 123>"),
        ("_RMCs4fqI2P2rA04_13const_genericINtB0_6SignedKan98_E", "<const_generic::Signed<-152>>"),
        ("_RMCs4fqI2P2rA04_13const_genericINtB0_4BoolKb1_E", "<const_generic::Bool<true>>"),
        ("_RMCs4fqI2P2rA04_13const_genericINtB0_4CharKc76_E", "<const_generic::Char<'v'>>"),
        ("_RMCs4fqI2P2rA04_13const_genericINtB0_4CharKca_E", "<const_generic::Char<'\\n'>>"),
        ("_RMCs4fqI2P2rA04_13const_genericINtB0_4CharKc2202_E", "<const_generic::Char<'\\u{2202}'>>"),
        ("_RNvNvMCs4fqI2P2rA04_13const_genericINtB4_3FooKpE3foo3FOO", "<const_generic::Foo<_>>::foo::FOO"),
        ("_RC3foo.llvm.9D1C9369", "foo (.llvm.9D1C9369)"),
        ("_RNvC9backtrace3foo.llvm.A5310EB9", "backtrace::foo (.llvm.A5310EB9)"),
        ("_RIC1aFUKCjEuE", 'a::<unsafe extern "C" fn(usize)>'),
        ("_RIC1aFG_RL0_hRL0_hEpE", "a::<for<'a> fn(&'a u8, &'a u8) -> _>"),
        ("_RIC1aAhj10_E", "a::<[u8; 16]>"),
        ("_RIC1aTEThEThhEE", "a::<(), (u8,), (u8, u8)>"),
        ("_RIC1aPhOhRhQhShE", "a::<*const u8, *mut u8, &u8, &mut u8, [u8]>"),
        ("_RIC1aKo123456789abcdef01_E", "a::<0x123456789abcdef01>"),
        ("_RNvYC1bNtC1a5Trait3foo", "<b as a::Trait>::foo"),
        ("_RIC1aKRe616263_E", 'a::<{"abc"}>'),
        ("_RIC1aKVNtC1b1CTj2_EE", "a::<{b::C(2)}>"),
        # Legacy.
        ("_ZN4core3fmt9Formatter3pad17h0123456789abcdefE", "core::fmt::Formatter::pad"),
        (
            "_ZN71_$LT$Test$u20$$u2b$$u20$$u27$static$u20$as$u20$foo..Bar$LT$Test$GT$$GT$3bar17h930b740aa94f1d3aE",
            "<Test + 'static as foo::Bar<Test>>::bar",
        ),
        ("_ZN28_$u7b$$u7b$closure$u7d$$u7d$3foo17h0123456789abcdefE.llvm.1", "{{closure}}::foo"),
        ("_ZN3foo3bar17h0123456789abcdefE.cold", "foo::bar (.cold)"),
        ("_ZN3foo3bar17h0123456789abcdefE.0", "foo::bar"),
        ("_ZN3foo3bar17h0123456789abcdefE.1.llvm.17", "foo::bar"),
        # Neither.
        ("mutex_lock", "mutex_lock"),
        ("_ZN3foo3barEv", "_ZN3foo3barEv"),
        ("_ZN3foo3bar17h0123456789abcdegE", "_ZN3foo3bar17h0123456789abcdegE"),
        ("_R0NvC1a1b", "_R0NvC1a1b"),
        ("_RNvC1a", "_RNvC1a"),
        ("_RNv99999x", "_RNv99999x"),
        ("_R", "_R"),
        ("_ZN", "_ZN"),
        ("", ""),
    ],
)  # fmt: skip
def test_each_part_of_the_grammar(symbol: str, said: str) -> None:
    assert readable_symbol(symbol)[0] == said


@pytest.mark.parametrize(
    ("symbol", "crate"),
    [
        ("_RNvMNtCsb5MLIFMWygY_6kernel5errorNtB2_5Error10from_errno", "kernel"),
        ("_RNvMs1_NtNtCs2lKf6AS60Zg_4core3fmt8buildersNtB5_11DebugStruct5field", "core"),
        # An impl of a foreign trait for a foreign type is the crate's it stands in.
        ("_RNvXCs1_5implsNtC4core3FooNtC5alloc3Bar3baz", "impls"),
        ("_RINvC6kernel3fooNtC9nova_core3BarE", "kernel"),
        ("_ZN4core3fmt9Formatter3pad17h0123456789abcdefE", "core"),
        ("_ZN73_$LT$$RF$mut$u20$alloc..vec..Vec$LT$T$GT$$u20$as$u20$core..fmt..Debug$GT$3fmt17h0123456789abcdefE", "alloc"),
        ("printk", ""),
    ],
)  # fmt: skip
def test_the_crate_it_came_from(symbol: str, crate: str) -> None:
    assert readable_symbol(symbol)[1] == crate


def nested(depth: int) -> str:
    return "_RIC1a" + "S" * depth + "h" + "E"


@pytest.mark.parametrize(
    "symbol",
    [
        nested(100_000),
        "_RIC1a" + "T" * 5000 + "E" * 5000 + "E",
        "_R" + "I" * 20_000,
        "_R" + "NvB_" * 4000,
        "_RB_",
        "_RNvB_1a",
        "_RIC1aFG" + "z" * 12 + "_E",
        "_RIC1a" + "FG0_" * 3000,
        "_RC" + "9" * 20_000,
        "_RNvC1au30000___" + "z" * 20_000,
        "_RIC1aKj" + "f" * 20_000 + "_E",
        "_RIC1aK" + "RRRR" * 5000,
        # Each tuple has the one before twice: two to the power of 40 letters.
        "_RIC1aTThhE"
        + "".join(f"TB{at}_B{at}_E" for at in "345678abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP")
        + "EE",
        "_ZN" + "1a" * 30_000 + "17h0123456789abcdefE",
        "_ZN99999999999999999999a17h0123456789abcdefE",
        "_ZN9$u110000$1a17h0123456789abcdefE",
        "_RNvC1a1é",
    ],
    ids=lambda symbol: f"{len(symbol)}",
)
def test_what_has_no_measure_costs_none(symbol: str) -> None:
    """Nested, looping, doubling or endless: it comes back as it is, or short, and at once; processor time, not the clock's."""
    started = time.process_time()
    said = readable_symbol(symbol)[0]
    assert said == symbol or len(said) < 66_000
    assert time.process_time() - started < 5


def test_real_ones_with_flipped_letters_are_never_a_crash() -> None:
    """20,000 seeded times; what comes back is the name, or text that can be printed."""
    names = [line.partition("\t")[0] for line in SYMBOLS.read_text(encoding="utf-8").splitlines()]
    letters = "_0123456789abcsuCMXYNIBLKTSARQPOFDEGpvhjGUz.$"
    for seed in range(20_000):
        rng = random.Random(seed)
        name = list(rng.choice(names))
        for _ in range(rng.randrange(1, 5)):
            at = rng.randrange(2, len(name))
            deed = rng.randrange(3)
            if deed == 0:
                name[at] = rng.choice(letters)
            elif deed == 1:
                name.insert(at, rng.choice(letters))
            elif len(name) > 4:
                del name[at]
        said, crate = readable_symbol("".join(name))
        assert said
        said.encode("utf-8")
        crate.encode("utf-8")
