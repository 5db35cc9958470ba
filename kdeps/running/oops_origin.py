# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Decide whether an oops comes from the build that is in the trees.

One difference proves another build: release, how often the kernel was linked, a build id, the size of a function, its machine code. Only
if nothing differs and something could be compared is the oops from this build. The hash in a mangled name differs with
another rustc and is the same for another source, so it proves nothing here.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import NamedTuple

from kdeps.running.masked_code import MaskedCode, can_return_to, differs
from kdeps.running.oops import Code, Frame, Kernel, Oops
from kdeps.running.symbol_sizes import Place, SymbolSizes

KERNEL = ""
"""The name of the kernel itself among those of modules."""


class Origin(enum.Enum):
    """From which build an oops comes."""

    THIS = "this"
    OTHER = "other"
    UNKNOWN = "unknown"


class Difference(NamedTuple):
    """One proof that the log is of another build."""

    what: str
    """``release``, ``number``, ``banner``, ``build-id``, ``size``, ``symbol`` or ``code``."""
    object: str
    """The module, or ``KERNEL``."""
    symbol: str = ""
    """The function; empty where the whole object differs."""
    log: str = ""
    here: str = ""


class JudgedOops(NamedTuple):
    """An oops and where it comes from."""

    oops: Oops
    origin: Origin
    differences: tuple[Difference, ...]
    earlier: tuple[Difference, ...]
    """What an earlier oops of the same boot had shown of the same objects, if this one shows nothing."""
    fitting: dict[str, int]
    """Object → how many of its frames have the size that they have here. The kernel itself is ``KERNEL``."""
    same_ids: tuple[str, ...]
    """Objects whose build id in the log is that of the file here."""
    not_here: tuple[str, ...]
    """Objects with frames in the log and no file here."""
    places: tuple[tuple[Frame, SymbolSizes, Place], ...]
    """Where the fitting frames are in the files, in the order of the log; only for an oops of this build."""


class LocalBuild(NamedTuple):
    """The build that oopses are compared with."""

    release: str
    """Empty if it is not known."""
    find: Callable[[str], SymbolSizes | None]
    """Module's name, or ``KERNEL`` → its file here, or None."""
    read_code: Callable[[SymbolSizes, Place], MaskedCode | None]
    """The code of a function; None if it cannot be compared."""


class OopsJudge:
    """Judges the oopses of one log, one after the other.

    What an oops shows of a kernel holds for its whole boot. A module can be loaded again from another build, so that an
    earlier difference in it only takes the certainty away.
    """

    def __init__(self, build: LocalBuild) -> None:
        self._build = build
        self._boot: tuple[int, Kernel] | None = None
        self._shown: dict[str, Difference] = {}

    def judge(self, oops: Oops) -> JudgedOops:
        """Compare what an oops prints with the files of the build."""
        comparison = _Comparison(self._build)
        comparison.compare(oops)
        differences = tuple(dict.fromkeys(comparison.differences))
        if (oops.boot, oops.kernel) != self._boot:
            self._boot = oops.boot, oops.kernel
            self._shown = {}
        self._shown.update({difference.object: difference for difference in differences})
        doubtful = comparison.fitting.keys() - set(comparison.same_ids)
        earlier = tuple(self._shown[name] for name in sorted(doubtful & self._shown.keys()))
        origin = Origin.UNKNOWN
        if differences or any(difference.object == KERNEL for difference in earlier):
            origin = Origin.OTHER
        elif not earlier and (comparison.fitting or comparison.same_ids):
            origin = Origin.THIS
        return JudgedOops(
            oops,
            origin,
            differences,
            () if differences else earlier,
            comparison.fitting,
            tuple(dict.fromkeys(comparison.same_ids)),
            tuple(dict.fromkeys(comparison.not_here)),
            tuple(comparison.places) if origin is Origin.THIS else (),
        )


class _Comparison:
    """The comparison of one oops as it proceeds."""

    def __init__(self, build: LocalBuild) -> None:
        self._build = build
        self.differences: list[Difference] = []
        self.fitting: dict[str, int] = {}
        self.same_ids: list[str] = []
        self.not_here: list[str] = []
        self.places: list[tuple[Frame, SymbolSizes, Place]] = []
        self._fitting: dict[Frame, tuple[SymbolSizes, list[Place]]] = {}

    def compare(self, oops: Oops) -> None:
        """Compare everything that an oops prints."""
        self.compare_kernel(oops.kernel)
        for frame in oops.frames:
            self.compare_frame(frame)
        if oops.code is not None:
            self.compare_code(oops.code)
        instructions = {(f.symbol, f.offset) for f in oops.frames if f.is_exact}
        for frame in self._fitting:
            if (frame.symbol, frame.offset) not in instructions:
                self.compare_call(frame)

    def compare_kernel(self, logged: Kernel) -> None:
        """Compare what the log says about the whole kernel."""
        release, number = logged.release, logged.number
        if logged.banner and not release:
            release, number = _parse_banner(logged.banner)
        self._compare("release", KERNEL, release, self._build.release)
        vmlinux = self._build.find(KERNEL) if release or logged.banner or logged.build_id else None
        if vmlinux is None:
            return
        self._compare("number", KERNEL, number, _parse_banner(vmlinux.banner)[1])
        self._compare("banner", KERNEL, logged.banner, vmlinux.banner)
        self._compare_id(KERNEL, logged.build_id, vmlinux)

    def compare_frame(self, frame: Frame) -> None:
        """Compare the size of one function; a frame that the unwinder doubts proves nothing."""
        if frame.is_guess:
            return
        local = self._build.find(frame.module)
        if local is None:
            self.not_here.append(frame.module)
            return
        self._compare_id(frame.module, frame.build_id, local)
        places = local.find(frame.symbol)
        if not places:
            self.differences.append(Difference("symbol", frame.module, frame.symbol))
            return
        sizes = {place.size for place in places}
        fitting = [place for place in places if place.size == frame.size]
        if fitting:
            self.fitting[frame.module] = self.fitting.get(frame.module, 0) + 1
            self._fitting.setdefault(frame, (local, fitting))
            if len(fitting) == 1:  # of two functions with one name it is not known which one this is
                self.places.append((frame, local, fitting[0]))
        elif None in sizes:  # the size shows nothing, but the code may
            unmeasured = [place for place in places if place.size is None]
            self._fitting.setdefault(frame, (local, unmeasured))
        else:
            here = " or ".join(f"{size:#x}" for size in sorted(size for size in sizes if size is not None))
            self.differences.append(Difference("size", frame.module, frame.symbol, f"{frame.size:#x}", here))

    def compare_code(self, code: Code) -> None:
        """Compare the bytes at the faulting instruction with the functions here that it can be in."""
        frame = code.frame
        if frame not in self._fitting:
            return
        symbols, places = self._fitting[frame]
        masked = [self._build.read_code(symbols, place) for place in places]
        start = frame.offset - code.at
        if all(here is not None and differs(here, code.data, start) for here in masked):
            self.differences.append(Difference("code", frame.module, frame.symbol))

    def compare_call(self, frame: Frame) -> None:
        """A return address has a call in front of it."""
        symbols, places = self._fitting[frame]
        masked = [self._build.read_code(symbols, place) for place in places]
        if all(here is not None and not can_return_to(here, frame.offset) for here in masked):
            self.differences.append(Difference("code", frame.module, frame.symbol))

    def _compare(self, what: str, name: str, log: str, here: str) -> bool:
        """Compare two texts, if both are known; return whether they are equal."""
        if log and here and log != here:
            self.differences.append(Difference(what, name, log=log, here=here))
        return bool(log) and log == here

    def _compare_id(self, name: str, logged: str, local: SymbolSizes) -> None:
        if self._compare("build-id", name, logged, local.build_id or ""):
            self.same_ids.append(name)


def _parse_banner(banner: str) -> tuple[str, str]:
    """Return the release and the number of a ``Linux version …`` line; empty what is not in it."""
    words = banner.split()
    release = words[2] if len(words) > 2 else ""
    number = next((word for word in words if word.startswith("#")), "")
    return release, number
