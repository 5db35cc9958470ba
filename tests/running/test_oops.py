# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Oopses are found in the lines of a log, with what each of them says about its build."""

from __future__ import annotations

import random

import pytest

from kdeps.running.oops import Frame, Kernel, Oops, OopsReader

ID = "0123456789abcdef0123456789abcdef01234567"
OOPS = f"""\
[    2.3] oops_demo: loading out-of-tree module taints kernel.
[    2.4] BUG: kernel NULL pointer dereference, address: 0000000000000000
[    2.4] #PF: supervisor write access in kernel mode
[    2.4] Oops: Oops: 0002 [#1] SMP NOPTI
[    2.4] CPU: 0 UID: 0 PID: 61 Comm: a [b] +0x1/0x2 Tainted: G           O        7.2.13 #3 PREEMPT(lazy)  {ID}
[    2.4] Tainted: [O]=OOT_MODULE
[    2.4] RIP: 0010:_RNvCs1_9oops_demo7trigger+0x1c/0x40 [oops_demo]
[    2.4] Code: 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 <0f> 0b 48
[    2.4] RSP: 0018:ffffc90000143c58 EFLAGS: 00010246
[    2.4] Call Trace:
[    2.4]  <TASK>
[    2.4]  ? die+0x1/0x20
[    2.4]  init_module+0x3c/0xff0 [oops_demo {ID}]
[    2.4]  do_one_initcall+0x3c/0x200
[    2.4]  </TASK>
[    2.4] Modules linked in: oops_demo(O+)
[    2.4] ---[ end trace 0000000000000000 ]---
[    2.4] RIP: 0010:_RNvCs1_9oops_demo7trigger+0x1c/0x40 [oops_demo]
[    2.4] Code: 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 <0f> 0b 48
[    9.9] calling  foo+0x0/0x20 @ 1
[    9.9] initcall foo+0x0/0x20 returned 0 after 1 usecs
"""
FRAMES = [
    Frame("_RNvCs1_9oops_demo7trigger", 0x1C, 0x40, "oops_demo", "", False, True),
    Frame("die", 0x1, 0x20, "", "", True, False),
    Frame("init_module", 0x3C, 0xFF0, "oops_demo", ID, False, False),
    Frame("do_one_initcall", 0x3C, 0x200, "", "", False, False),
]


def read(text: str) -> list[Oops]:
    reader = OopsReader()
    oopses: list[Oops] = []
    for line in text.encode().splitlines(keepends=True):
        completed = reader.read(line)
        oopses += [*completed.before, *completed.after]
    return [*oopses, *reader.finish()]


def test_an_oops_is_read_whole_and_once() -> None:
    """Registers that x86 prints again behind the end, and frames in other messages, are no further oops."""
    (oops,) = read(OOPS)
    assert oops.kernel == Kernel("7.2.13", "#3", ID)
    assert oops.frames == FRAMES
    assert oops.code is not None
    assert oops.code == (FRAMES[0], b"\x90" * 16 + b"\x0f\x0b\x48", 16)


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "<4>",
        "Nov 29 11:00:01 host kernel: ",
        "[Sun Nov 29 11:00:01 2026] ",
        "\x1b[32m[    2.4] \x1b[0m",
        "6,1,2,-;",
    ],
)
def test_whatever_stands_in_front_of_lines_is_no_matter(prefix: str) -> None:
    lines = [line.partition("] ")[2] for line in OOPS.splitlines()]
    for end in ("\n", "\r\n", "\x1b[0m\n"):
        (oops,) = read("".join(f"{prefix}{line}{end}" for line in lines))
        assert oops.frames == FRAMES
        assert oops.kernel.number == "#3"


def test_a_second_oops_ends_the_first_without_an_end_marker() -> None:
    lines = [line for line in OOPS.splitlines(keepends=True) if "end trace" not in line]
    one, two = read("".join(lines[:-4]) + "".join(lines[:-4]).replace("#3", "#4"))
    assert (one.kernel.number, two.kernel.number) == ("#3", "#4")
    assert one.frames == two.frames == FRAMES


def test_the_banner_of_a_boot_holds_for_its_oopses() -> None:
    """A log can have several boots."""
    banner = "[    0.0] Linux version {} (a@b) (gcc 12) #{} SMP\n"
    first, second = read(banner.format("7.2.1", 1) + OOPS + banner.format("7.2.2", 2) + OOPS)
    assert first.kernel.banner == "Linux version 7.2.1 (a@b) (gcc 12) #1 SMP"
    assert second.kernel.banner == "Linux version 7.2.2 (a@b) (gcc 12) #2 SMP"


@pytest.mark.parametrize(
    ("line", "frame"),
    [
        ("pc : foo+0x10/0x20 [m]", Frame("foo", 16, 32, "m", "", False, True)),
        ("lr : foo+0x10/0x20", Frame("foo", 16, 32, "", "", False, False)),
        ("epc : foo+0x10/0x20", Frame("foo", 16, 32, "", "", False, True)),
        ("[<ffffffff80003040>] foo+0x10/0x20", Frame("foo", 16, 32, "", "", False, False)),
        ("([<00000000001234>] foo+0x10/0x20)", Frame("foo", 16, 32, "", "", False, False)),
        ("[c0000] [c0001] foo+0x10/0x20 (unreliable)", Frame("foo", 16, 32, "", "", True, False)),
        ("WARNING: CPU: 0 PID: 1 at a/b.c:12 foo.part.0+0x10/0x20", Frame("foo.part.0", 16, 32, "", "", False, True)),
        ("WARNING: a/b.c:12 at foo+0x10/0x20, CPU#0: insmod/1", Frame("foo", 16, 32, "", "", False, True)),
    ],
)  # fmt: skip
def test_frames_of_other_architectures_and_reports(line: str, frame: Frame) -> None:
    (oops,) = read(f"Call trace:\n {line}\n")
    assert oops.frames == [frame]


@pytest.mark.parametrize(
    "line", ["kernel::foo::bar+0x10/0x20", "<a as b>::c+0x1/0x2", "foo+0x10", "foo+0x1/0x123456789", "0x10/0x20"]
)  # fmt: skip
def test_what_names_no_symbol_is_no_frame(line: str) -> None:
    """Names that were demangled before cannot be looked up."""
    assert read(f"Call trace:\n {line}\n") == []


def test_an_excerpt_of_frames_alone_is_an_oops() -> None:
    (oops,) = read(" foo+0x1/0x20 [m]\n bar+0x1/0x20\n")
    assert [frame.symbol for frame in oops.frames] == ["foo", "bar"]
    assert oops.kernel == Kernel()


def test_a_log_without_end_stays_bounded() -> None:
    reader = OopsReader()
    reader.read(b"Call Trace:\n")
    for number in range(50_000):
        assert not any(reader.read(b" foo%d+0x1/0x20\n" % number))
    (oops,) = reader.finish()
    assert len(oops.frames) == 1000
    reader.read(b"Call Trace:\n")
    reader.read(b" foo+0x1/0x20\n")
    assert sum(len(reader.read(b"noise\n").after) for _ in range(100)) == 1


def test_noise_is_never_a_crash() -> None:
    """Seeded: lines of a real oops with bytes changed, dropped and added."""
    data = OOPS.encode()
    for seed in range(300):
        rng = random.Random(seed)
        noisy = bytearray(data)
        for _ in range(rng.randrange(1, 200)):
            at = rng.randrange(len(noisy))
            noisy[at : at + rng.randrange(3)] = rng.randbytes(rng.randrange(3))
        reader = OopsReader()
        for line in bytes(noisy).split(b"\n"):
            reader.read(line)
        reader.finish()


def test_the_registers_behind_the_end_are_those_of_the_first_oops() -> None:
    """x86 prints them behind each oops; they are no part of the next one."""
    first, second = OOPS, OOPS.replace("oops_demo", "other")
    summary = [line for line in first.splitlines(keepends=True) if "RIP: " in line or "Code: " in line][:2]
    end = "[    2.4] ---[ end trace 0000000000000000 ]---\n"
    third = second.replace("other", "third")
    head = second[: second.index(end) + len(end)]
    oopses = read(first + head + "".join(summary) + third)
    assert [{frame.module for frame in oops.frames} for oops in oopses] == [
        {"oops_demo", ""}, {"other", ""}, {"third", ""},
    ]  # fmt: skip
