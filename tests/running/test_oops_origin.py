# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""From which build an oops is: a real log of Linux 7.2 in QEMU, against the module that wrote it and two edited ones.

``oops_demo.rs`` was built three times. In ``second`` the bound of the warning is 1 instead of 2, which changes one byte
of code and no size. In ``third`` the sum is computed otherwise, which by chance changes no size either.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kdeps.running.masked_code import MaskedCode, can_return_to, differs, read_masked_code
from kdeps.running.oops import Oops, OopsReader
from kdeps.running.oops_origin import JudgedOops, LocalBuild, OopsJudge, Origin
from kdeps.running.symbol_sizes import Place, SymbolSizes, read_symbol_sizes
from tests.conftest import CHECKOUT

DATA = CHECKOUT / "tests/data/oops"
GET = "_RNvMCsjAqpmfIA7MB_9oops_demoNtB2_6Reader3get"
SUM = "_RNvCsjAqpmfIA7MB_9oops_demo3sum"


def read_log(text: bytes, *, with_ids: bool = True) -> list[Oops]:
    if not with_ids:
        text = re.sub(rb" [0-9a-f]{40}", b"", text)
    reader = OopsReader()
    completed = [reader.read(line) for line in text.splitlines()]
    return [oops for each in completed for oops in (*each.before, *each.after)] + list(reader.finish())


def build_of(path: Path, release: str = "7.2.12") -> LocalBuild:
    with path.open("rb") as file:
        symbols = read_symbol_sizes(str(path), file)

    def read_code(_: SymbolSizes, place: Place) -> MaskedCode | None:
        with path.open("rb") as file:
            return read_masked_code(file, place)

    return LocalBuild(release, lambda name: symbols if name in ("oops_demo", "oops_c") else None, read_code)


def judge(module: str, *, with_ids: bool) -> list[JudgedOops]:
    oops_judge = OopsJudge(build_of(DATA / f"{module}.ko"))
    log = (DATA / "first.log").read_bytes()
    return [oops_judge.judge(oops) for oops in read_log(log, with_ids=with_ids)]


def test_the_log_has_a_warning_and_a_panic() -> None:
    warning, bug = read_log((DATA / "first.log").read_bytes())
    assert warning.kernel.number == bug.kernel.number == "#1"
    assert warning.kernel.banner.startswith("Linux version 7.2.12 (")
    assert [frame.symbol for frame in warning.frames if frame.module and not frame.is_guess] == [
        GET, GET, SUM, "init_module",
    ]  # fmt: skip
    assert bug.frames[0].symbol == "rust_helper_BUG"


@pytest.mark.parametrize("with_ids", [True, False])
def test_the_module_that_wrote_the_log_fits_in_every_frame(with_ids: bool) -> None:
    warning, bug = judge("first", with_ids=with_ids)
    assert (warning.origin, bug.origin) == (Origin.THIS, Origin.THIS)
    assert (warning.fitting, bug.fitting) == ({"oops_demo": 4}, {"oops_demo": 3})
    assert warning.same_ids == (("oops_demo",) if with_ids else ())
    assert warning.not_here == ("",)
    assert [frame.symbol for frame, _, _ in bug.places] == [GET, SUM, "init_module"]


@pytest.mark.parametrize("module", ["second", "third"])
def test_a_build_id_proves_another_module(module: str) -> None:
    for judged in judge(module, with_ids=True):
        assert judged.origin is Origin.OTHER
        assert judged.differences[0].what == "build-id"
        assert judged.places == ()


def test_one_byte_at_the_faulting_instruction_proves_another_module() -> None:
    """The next oops of that boot shows nothing: it is in doubt, because the module could have been loaded again."""
    warning, bug = judge("second", with_ids=False)
    assert (warning.origin, bug.origin) == (Origin.OTHER, Origin.UNKNOWN)
    assert [(d.what, d.object, d.symbol) for d in warning.differences] == [("code", "oops_demo", GET)]
    assert bug.earlier == warning.differences
    assert bug.places == ()


def test_a_return_address_without_a_call_in_front_proves_another_module() -> None:
    for judged in judge("third", with_ids=False):
        assert judged.origin is Origin.OTHER
        assert [(d.what, d.symbol) for d in judged.differences] == [("code", SUM)]


def test_another_boot_starts_without_doubt() -> None:
    log = (DATA / "first.log").read_bytes()
    other = OopsJudge(build_of(DATA / "second.ko"))
    origins = [other.judge(oops).origin for oops in read_log(log + log, with_ids=False)]
    assert origins == [Origin.OTHER, Origin.UNKNOWN] * 2


def test_what_the_loader_changes_is_no_difference() -> None:
    """Relocated operands are left out; any other byte counts; bytes beside the function do not."""
    oops = read_log((DATA / "first.log").read_bytes())[0]
    assert oops.code is not None
    build = build_of(DATA / "first.ko")
    symbols = build.find("oops_demo")
    assert symbols is not None
    (place,) = symbols.find(GET)
    code = build.read_code(symbols, place)
    assert code is not None
    start = oops.code.frame.offset - oops.code.at
    assert start < 0
    assert not differs(code, oops.code.data, start)
    changed = [
        differs(code, oops.code.data[:at] + b"\xcc" + oops.code.data[at + 1 :], start) for at in range(64)
    ]
    assert not any(changed[:-start])
    assert changed[-start:] == list(code.is_fixed[: 64 + start])
    assert code.data[0x33 - 5] == 0xE8
    assert can_return_to(code, 0x33)
    assert not can_return_to(code, 0x1D)
    assert can_return_to(code, 0x32)  # the byte where the call would begin is relocated
    assert not can_return_to(code, len(code.data) + 1)


@pytest.mark.parametrize(
    ("machine", "release"),
    [
        ("6.1/x86", "6.1.0-57-cloud-amd64"),
        ("6.1/arm64", "6.1.0-57-cloud-arm64"),
        ("6.12/x86", "6.12.95+deb12-cloud-amd64"),
    ],
)
def test_logs_of_older_kernels_and_of_arm64(machine: str, release: str) -> None:
    """Debian's kernels in QEMU: a warning and an oops, without build ids. In ``second`` a function is longer.

    It is the last one of its section, so that its size shows nothing. Its return address has no call in front.
    """
    log = read_log((DATA / f"{machine}.log").read_bytes())
    assert [(oops.kernel.release, oops.kernel.number) for oops in log] == [(release, "#1")] * 2
    assert [{f.symbol for f in oops.frames if f.module} for oops in log] == [
        {"fail", "step", "demo_init"}
    ] * 2
    assert [oops.frames[0].symbol for oops in log] == ["fail", "fail"]
    for module, origin in (("first", Origin.THIS), ("second", Origin.OTHER)):
        build = build_of(DATA / f"{machine}-{module}.ko", release)
        judge = OopsJudge(build)
        judged = [judge.judge(oops) for oops in log]
        assert [each.origin for each in judged] == [origin, origin]
    assert [(d.what, d.symbol) for d in judged[0].differences] == [("code", "step")]


def test_the_words_of_arm64_are_compared() -> None:
    """One other word at the faulting instruction is another build; what is relocated or patched is not compared."""
    oops = read_log((DATA / "6.1/arm64.log").read_bytes())[1]
    assert oops.code is not None
    assert (oops.code.frame.symbol, oops.code.at, len(oops.code.data)) == ("fail", 16, 20)
    build = build_of(DATA / "6.1/arm64-first.ko", oops.kernel.release)
    symbols = build.find("oops_c")
    assert symbols is not None
    (place,) = symbols.find("fail")
    code = build.read_code(symbols, place)
    assert code is not None
    start = oops.code.frame.offset - oops.code.at
    assert not differs(code, oops.code.data, start)
    changed = [
        differs(code, oops.code.data[:at] + b"\xcc" + oops.code.data[at + 1 :], start) for at in range(20)
    ]
    assert changed == list(code.is_fixed[start : start + 20])
    assert changed.count(False) == 8  # an adrp is relocated, and autiasp can be patched


def test_a_kernel_that_differed_once_is_another_for_the_whole_boot() -> None:
    frame = " do_one_initcall+0x1/0x20\n"
    log = (
        f"Call Trace:\n{frame} gone+0x1/0x20\n---[ end trace ]---\nCall Trace:\n{frame}---[ end trace ]---\n"
    )
    symbols = SymbolSizes("vmlinux", None, {"do_one_initcall": (Place(1, 0, 0x20),)}, (), True, False, "")
    judge = OopsJudge(LocalBuild("", lambda name: None if name else symbols, lambda *_: None))
    first, second = (judge.judge(oops) for oops in read_log(log.encode()))
    assert (first.origin, second.origin) == (Origin.OTHER, Origin.OTHER)
    assert second.earlier == first.differences
