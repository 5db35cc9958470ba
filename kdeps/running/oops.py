# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Find the oopses in the lines of a kernel log, and what each of them says about its build.

An *oops* here is every report with a stack: a BUG, a WARNING, a panic, a stall. Lines have prefixes (time stamps,
log levels, syslog's host name) and noise of a serial line, so that a pattern is searched for within the line.

Source: linux ``kernel/kallsyms.c`` (``__sprint_symbol``), ``lib/dump_stack.c`` (``dump_stack_print_info``),
``kernel/panic.c`` (``print_oops_end_marker``), ``arch/x86/kernel/dumpstack.c``, ``arch/arm64/kernel/process.c``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

_COLOUR = re.compile(rb"\x1b\[[0-9;:]*[A-Za-z]")
_FRAME = re.compile(
    rb"(?P<guess>\? )?(?<![\w.$>}])(?<!::)(?P<name>[A-Za-z_.$][\w.$@]*)\+(?P<offset>0x[0-9a-f]{1,8})/(?P<size>0x[0-9a-f]{1,8})"
    rb"(?![0-9a-fx])(?: \[(?P<module>[A-Za-z0-9_-]+)(?: (?P<build_id>[0-9a-f]{16,64}))?\])?(?P<doubt> \(unreliable\))?"
)
_EXACT = re.compile(rb"\b(?:RIP: ?|EIP: ?|pc ?: ?|epc ?: ?|NIP |PC is at |Krnl PSW : |at )[^+]*$")
"""What stands before a frame that is the faulting instruction itself. Other frames are return addresses."""
_INSTRUCTION = re.compile(rb"\b(?:[RE]IP: ?|pc : )")
"""A line with the faulting instruction; in user space it has no frame."""
_HEADER = re.compile(
    rb"CPU: \d+ .*\bComm: .* (?:Not tainted|Tainted: [A-Z ]+?) (?P<release>\d\S*) (?P<number>#\S+)(?P<rest>.*)"
)
_BUILD_ID = re.compile(rb"(?<![0-9a-f])[0-9a-f]{40}(?![0-9a-f])")
_BANNER = re.compile(rb"Linux version \d.*")
_BEGINNING = re.compile(
    rb"-\[ cut here \]-|\bBUG: |\bWARNING: |\bOops(?: -|:)|Internal error: |Unable to handle kernel "
    rb"|INFO: (?:task |rcu|possible|trying)|rcu: INFO: |general protection fault|Kernel panic - not syncing|watchdog: BUG"
)
_STACK = re.compile(rb"\bCall [Tt]race:|\b[Bb]acktrace\b")
_END = re.compile(rb"---\[ end ")
_CODE = re.compile(
    rb"\bCode: (?P<bytes>(?:[0-9a-f]{2} |<[0-9a-f]{2}> ?){8,}(?:[0-9a-f]{2})?|(?:[0-9a-f]{8} )*\([0-9a-f]{8}\))"
)
_BARE_FRAME = re.compile(
    rb"(?:^|[\]:>|] ?)[ \t]*(?:\(?\[<[0-9a-f]+>\] )?(?:\? )?[A-Za-z_.$][\w.$@]*\+0x[0-9a-f]+/0x[0-9a-f]+(?: \[[^\]]*\])?\)?[ \t]*$"
)
_EXACT_FRAME = re.compile(rb"(?:[RE]IP: ?|\bpc ?: ?|\bepc ?: ?|\bNIP )[^+]*\+0x")
_MAX_FRAMES = 1000
_SUMMARY_LINES = 40
"""Behind the end of an oops x86 prints the registers of the *first* oops since boot again (``exec_summary_regs``)."""
_MAX_IDLE_LINES = 60
"""An oops ends after so many lines without a frame: not every kind of report has an end marker."""
_MAX_LINE = 8192
"""A longer line has no frame worth looking for. Source: ``PRINTKRB_RECORD_MAX`` is 1024."""


class Frame(NamedTuple):
    """One ``symbol+0x18c/0x200 [module]`` of a log."""

    symbol: str
    offset: int
    size: int
    """To the next symbol, as the kernel that wrote the log counted."""
    module: str
    """Empty for the kernel itself."""
    build_id: str
    """Of the module, in hexadecimal; empty where the kernel does not print it."""
    is_guess: bool
    """The unwinder doubted it (``?``)."""
    is_exact: bool
    """The offset is that of the instruction, and not a return address."""


class Kernel(NamedTuple):
    """What the log says about the kernel that wrote it; empty where it says nothing."""

    release: str = ""
    number: str = ""
    """``#3``: how often this tree's kernel had been linked."""
    build_id: str = ""
    banner: str = ""
    """The line ``Linux version …`` of the same boot."""


class Code(NamedTuple):
    """The bytes around the faulting instruction."""

    frame: Frame
    data: bytes
    at: int
    """Where in these the instruction begins."""


@dataclass(slots=True)
class Oops:
    """One report with a stack."""

    kernel: Kernel = field(default_factory=Kernel)
    boot: int = 0
    """Counts the boots that the log has shown before."""
    frames: list[Frame] = field(default_factory=list)
    faulting: Frame | None = None
    """The last frame that is an instruction, and not a return address."""
    code: Code | None = None
    """The machine code at the first such frame; None where the log has none."""

    @property
    def build_ids(self) -> dict[str, str]:
        """The build id of each object that the log shows one of, by name; the kernel itself is the empty one."""
        ids = {frame.module: frame.build_id for frame in self.frames if frame.build_id and not frame.is_guess}
        return {"": self.kernel.build_id, **ids} if self.kernel.build_id else ids


class Completed(NamedTuple):
    """The oopses that one line completes."""

    before: tuple[Oops, ...] = ()
    """Complete without the line: it begins something else."""
    after: tuple[Oops, ...] = ()
    """Complete with the line."""


class OopsReader:
    """Take the lines of a log one by one, and give each oops when it is complete."""

    def __init__(self) -> None:
        self._oops: Oops | None = None
        self._banner = ""
        self._boots = 0
        self._lines_since_end = _SUMMARY_LINES
        self._idle_lines = 0

    def read(self, line: bytes) -> Completed:
        """Take one line, and return what it completes."""
        line = _COLOUR.sub(b"", line[:_MAX_LINE]).rstrip(b"\r\n")
        if banner := _BANNER.search(line):
            before = self.finish()
            self._banner = banner[0].decode("utf-8", "replace").strip()
            self._boots += 1
            return Completed(before)
        header = _HEADER.search(line)
        before = self.finish() if self._is_next(line, header) else ()
        if self._oops is None and (header or self._is_beginning(line)):
            self._oops = Oops(Kernel(banner=self._banner), self._boots)
        if self._oops is not None:
            self._add(self._oops, line, header)
        has_end = bool(_END.search(line))
        self._lines_since_end = 0 if has_end else self._lines_since_end + 1
        is_over = has_end or self._idle_lines > _MAX_IDLE_LINES
        return Completed(before, self.finish() if is_over else ())

    def finish(self) -> tuple[Oops, ...]:
        """End the oops that is open, because the log ends or is silent."""
        oops, self._oops = self._oops, None
        self._idle_lines = 0
        if oops is None or not oops.frames:
            return ()
        return (oops,)

    def _is_beginning(self, line: bytes) -> bool:
        """Whether an oops can begin with a line; in an excerpt that is a lone frame, with no words beside it."""
        if _BEGINNING.search(line) or _STACK.search(line):
            return True
        if b"+0x" not in line:
            return False
        if _EXACT_FRAME.search(line):
            return self._lines_since_end >= _SUMMARY_LINES
        return bool(_BARE_FRAME.search(line))

    def _is_next(self, line: bytes, header: re.Match[bytes] | None) -> bool:
        """Whether a line begins another oops than the one that is open."""
        if self._oops is None or not self._oops.frames:
            return False
        return bool(self._oops.kernel.release and (header or _BEGINNING.search(line)))

    def _add(self, oops: Oops, line: bytes, header: re.Match[bytes] | None) -> None:
        frames = _parse_frames(line)
        self._idle_lines = 0 if frames or header else self._idle_lines + 1
        if header:
            oops.kernel = _parse_header(header)._replace(banner=self._banner)
        if _INSTRUCTION.search(line):
            oops.faulting = frames[-1] if frames and frames[-1].is_exact else None
        elif oops.code is None and oops.faulting and (match := _CODE.search(line)):
            oops.code = _parse_code(match["bytes"], oops.faulting)
        oops.frames += frames[: _MAX_FRAMES - len(oops.frames)]


def _parse_frames(line: bytes) -> list[Frame]:
    if b"+0x" not in line:
        return []
    return [
        Frame(
            symbol=match["name"].decode("ascii"),
            offset=int(match["offset"], 16),
            size=int(match["size"], 16),
            module=(match["module"] or b"").decode("ascii"),
            build_id=(match["build_id"] or b"").decode("ascii"),
            is_guess=bool(match["guess"] or match["doubt"]),
            is_exact=bool(_EXACT.search(line, 0, match.start())),
        )
        for match in _FRAME.finditer(line)
    ]


def _parse_header(match: re.Match[bytes]) -> Kernel:
    build_id = _BUILD_ID.search(match["rest"])
    release, number = match["release"].decode("utf-8", "replace"), match["number"].decode("utf-8", "replace")
    return Kernel(release, number, build_id[0].decode("ascii") if build_id else "")


def _parse_code(text: bytes, frame: Frame) -> Code | None:
    """Read ``48 89 <0f> 0b`` of x86, or ``927e0c02 (b9000043)`` of arm64."""
    parts = text.split()
    at = next((i for i, part in enumerate(parts) if part.startswith((b"<", b"("))), None)
    if at is None:
        return None
    size = len(parts[at]) // 2 - 1
    values = (int(part.strip(b"<>()"), 16) for part in parts)
    return Code(frame, b"".join(value.to_bytes(size, "little") for value in values), at * size)
