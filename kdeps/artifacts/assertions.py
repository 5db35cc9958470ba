# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""From each ``build_assert!`` that is left to the driver's line that made it fail.

The object alone gives the function, the text and the line of the assertion. For the lines between
that and the driver, the recorded command runs again with line tables, and without tail merging: a
merged call has no line of its own. Tail merging is one of the last passes, so the same calls are
left. A line is certain if

* both objects have the same assertion in the same function,
* and the inline chain of that call is whole, up to the driver.

An assertion that is written in the driver needs no chain: its own line is the driver's.

Otherwise an earlier pass has merged calls. The command runs once more without those merges. They come before
other optimisations, so a call of this object may be gone from the real one. Its line is certain only if

* no other line leads to the same assertion in the same function,
* or two lines do, and the first replay has a call that was merged from different lines.

All other lines are "about here".
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from kdeps.artifacts.build_assert import Location, Site, find_locations, find_sites
from kdeps.artifacts.inline_chain import Frame, InlineChains
from kdeps.artifacts.object_file import ObjectError, parse_object, read_bytes
from kdeps.artifacts.rust_object import RustObject, find_source, rebuild
from kdeps.kbuild.replay import ReplayError, is_clippy_command

REPLAY_FLAGS = ("-Cdebuginfo=line-tables-only", "-Cllvm-args=-enable-tail-merge=false")
_APART_FLAGS = (
    *REPLAY_FLAGS,
    "-Cllvm-args=-simplifycfg-sink-common=false",
    "-Cllvm-args=-simplifycfg-hoist-common=false",
)
_LIBRARY = "/library/"
_RUST_LIBRARY = "/rustlib/src/rust/library/"
_OPT_LEVEL = re.compile(r"-C\s?opt-level=(\w)")


class Assertion(NamedTuple):
    """One assertion that is left, with the way that leads to it."""

    path: str
    text: str
    location: Location | None
    """Of the assertion itself; its file is absolute where that file exists."""
    frames: tuple[Frame, ...]
    """The inline chain, innermost first; files absolute where they exist. Empty without a replay."""
    driver: Frame | None
    """The first frame outside the kernel's crates."""
    functions: tuple[str, ...]
    """The mangled names of the functions that have such a call."""
    is_certain: bool
    inlining: str
    """What in the recorded command keeps functions from being inlined; empty if nothing does."""
    is_merged: bool = False
    """Whether the call was merged from calls of different lines, so that it has no line of its own."""


def find_assertions(
    rust: RustObject, environ: dict[str, str], *, run_again: bool = True
) -> tuple[tuple[Assertion, ...], str]:
    """Find the assertions that are left in one object, and why the driver's lines could not be found (empty if they
    could).

    Those lines take running the recorded command again. Raises ObjectError if the object cannot be read.
    """
    data = read_bytes(rust.path)
    found = parse_object(data, rust.path)
    sites = find_sites(found)
    if not sites:
        return (), ""
    assertions = [_without_chain(rust, site) for site in sites]
    if not run_again:
        return _group(assertions), "the command was not run again"
    try:
        shared = find_locations(found, frozenset(site.function for site in sites))
        assertions = _match(rust, sites, shared, *_replay(rust, environ, REPLAY_FLAGS))
        doubtful = {name for each in assertions if not each.is_certain for name in each.functions}
        if doubtful:
            left = tuple(site for site in sites if site.function in doubtful)
            apart = _match(rust, left, shared, *_replay(rust, environ, _APART_FLAGS))
            assertions = [*(each for each in assertions if each.is_certain), *_prove(apart, assertions)]
    except (ReplayError, ObjectError) as error:
        return _group(assertions), str(error)
    return _group(assertions), ""


def _prove(apart: list[Assertion], first: list[Assertion]) -> list[Assertion]:
    """Decide which lines of the second replay, of the functions that are in doubt, are certain beside the first one."""
    lines: dict[tuple[object, ...], set[tuple[object, ...]]] = {}
    for each in apart:
        place = each.driver[1:3] if each.driver is not None and each.is_certain else ()
        lines.setdefault((each.functions, each.location), set()).add(place)
    unclear = {functions for (functions, _), places in lines.items() if () in places}
    merged = {(each.functions, each.location) for each in first if not each.is_certain and each.is_merged}
    proven = {
        key for key, places in lines.items()
        if key[0] not in unclear and (len(places) == 1 or (len(places) == 2 and key in merged))
    }  # fmt: skip
    return [
        each._replace(is_certain=each.is_certain and (each.functions, each.location) in proven)
        for each in apart
    ]


def _replay(
    rust: RustObject, environ: dict[str, str], flags: tuple[str, ...]
) -> tuple[tuple[Site, ...], InlineChains]:
    data = rebuild(rust, environ, flags, _as_clang_flags(flags))
    return find_sites(parse_object(data, rust.path)), InlineChains(data, rust.path)


def _as_clang_flags(flags: tuple[str, ...]) -> tuple[str, ...]:
    """Give clang what rustc passes to LLVM: with RUST_INLINE_HELPERS clang optimises what rustc made."""
    wanted = [flag.partition("=")[2] for flag in flags if flag.startswith("-Cllvm-args=")]
    return tuple(word for flag in wanted for word in ("-mllvm", flag))


def _match(
    rust: RustObject,
    sites: tuple[Site, ...],
    shared: frozenset[tuple[str, Location]],
    again: tuple[Site, ...],
    chains: InlineChains,
) -> list[Assertion]:
    """Give the chain of each call in the replay whose assertion the same function of the object has.

    ``shared`` has every function of the object and of the replay with every location that it refers to.
    """
    functions = {site.function for site in sites}
    found = [
        _with_chain(rust, other, chains)
        for other in again
        if other.function in functions
        and (other.location is None or (other.function, other.location) in shared)
    ]
    known = {(other.function, other.location) for other in again}
    left = [site for site in sites if (site.function, site.location) not in known]
    return found + [_without_chain(rust, site) for site in left]


def _with_chain(rust: RustObject, site: Site, chains: InlineChains) -> Assertion:
    frames = chains.find_chain(site.function, site.section, site.offset)
    if not frames or site.location is None:
        return _without_chain(rust, site)
    place = site.location._replace(file=find_source(rust, site.location.file))
    chain = [frame._replace(file=find_source(rust, frame.file)) for frame in frames]
    if not any((frame.file, frame.line) == (place.file, place.line) for frame in chain):
        # rustc gives a line in the macro; the call itself passes the line that uses the macro.
        chain[0] = chain[0]._replace(file=place.file, line=place.line, column=place.column)
    driver = next((f for f in chain if not f.line or not _is_abstraction(rust, f.file)), None)
    is_certain = driver is not None and driver.line > 0 and not site.is_ambiguous
    is_merged = driver is not None and not driver.line and not site.is_ambiguous
    if driver is None or not driver.line:
        start = chains.find_chain(site.function, site.section, 0)[-1:]
        about = [*chain, *(frame._replace(file=find_source(rust, frame.file)) for frame in start)]
        driver = next((f for f in about if f.line and not _is_abstraction(rust, f.file)), None)
        chain = [frame for frame in chain if frame.line]
    return Assertion(
        rust.path, site.text, place, tuple(chain), driver, (site.function,), is_certain, _inlining(rust), is_merged
    )  # fmt: skip


def _without_chain(rust: RustObject, site: Site) -> Assertion:
    place = site.location
    driver = None
    if place is not None:
        place = place._replace(file=find_source(rust, place.file))
        if os.path.exists(place.file) and not _is_abstraction(rust, place.file):
            driver = Frame(site.function, *place)
    return Assertion(
        rust.path, site.text, place, (), driver, (site.function,), driver is not None, _inlining(rust)
    )


def _inlining(rust: RustObject) -> str:
    command = rust.recorded.command
    if is_clippy_command(command):
        return "CLIPPY=1"
    levels = _OPT_LEVEL.findall(command)
    return f"-Copt-level={levels[-1]}" if levels and levels[-1] not in "23" else ""


def _is_abstraction(rust: RustObject, file: str) -> bool:
    """Whether a source file is of the kernel's crates or of Rust's own library."""
    if rust.abstractions and os.path.realpath(file).startswith(f"{os.path.realpath(rust.abstractions)}/"):
        return True
    return _RUST_LIBRARY in file or (_LIBRARY in file and not os.path.exists(file))


def _group(found: list[Assertion]) -> tuple[Assertion, ...]:
    """Make one of those that differ in the function only; certain ones first, in the order of the code."""
    groups: dict[tuple[object, ...], Assertion] = {}
    for each in sorted(found, key=lambda each: not each.is_certain):
        key = (each.text, each.location, each.driver and each.driver[1:])
        old = groups.get(key)
        if old is not None:
            each = old._replace(functions=tuple(dict.fromkeys((*old.functions, *each.functions))))
        groups[key] = each
    return tuple(groups.values())
