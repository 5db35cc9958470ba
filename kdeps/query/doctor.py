# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What kdeps finds where somebody stands: trees, tools, records, caches, and what it cannot see.

It judges nothing that ``kdeps check`` does not judge; it shows on what that rests. Whatever
cannot be found out is an observation as well: an examination never ends early.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from kdeps import __version__, edges
from kdeps.cache import cache_directory
from kdeps.causes import crate_name
from kdeps.errors import KdepsError
from kdeps.findings import Configuration, make_variables, read_configuration
from kdeps.formats.cmdfile import RecordState
from kdeps.formats.kconfig import parse_value
from kdeps.rules import Action, Scope
from kdeps.survey import Survey, survey
from kdeps.toolchain import notices_deleted, version_text
from kdeps.tree import Tree, find_tree
from kdeps.verdict import Status

OLDEST, NEWEST = (6, 1), (7, 3)
"""The kernels that every answer was compared on."""
_NETWORK = frozenset(("nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "afs", "fuse.sshfs", "vboxsf", "virtiofs"))
_NOT_COMPARED = {
    "LTO_CLANG": "link-time optimisation",
    "RUST_INLINE_HELPERS": "helpers inlined into Rust code",
}
"""Configurations that no answer was ever compared in, in words."""


class State(str, Enum):
    """How well a thing is. JSON carries these values."""

    GOOD = "ok"
    NOTE = "note"
    """Worth knowing; nothing is wrong."""
    BAD = "bad"
    """It stands in the way of an answer, or it is what the answer says."""


class Observation(NamedTuple):
    """One thing that was looked at."""

    section: str
    state: State
    name: str
    text: str
    blocking: bool = False
    """Without it kdeps cannot judge this build."""


def examine(words: tuple[str, ...], cwd: str, environ: dict[str, str]) -> list[Observation]:
    """Look at everything that an answer about ``make WORDS…`` would rest on."""
    found = list(_examine_program(words, environ))
    try:
        tree = find_tree(words, cwd, environ)
    except KdepsError as error:
        found.append(Observation("tree", State.BAD, "kernel", str(error), blocking=True))
        found += _examine_caches(environ)
        return found
    found += _examine_tree(tree)
    configuration = read_configuration(tree)
    found += _examine_configuration(configuration)
    found += _examine_tools(tree, configuration, environ)
    try:
        judged = survey(words, cwd, environ)
    except KdepsError as error:
        found.append(Observation("records", State.BAD, "reading", str(error), blocking=True))
    else:
        found += _examine_records(judged)
        found += _examine_times(judged)
        found += _examine_verdict(judged)
    found += _examine_caches(environ)
    found += _examine_limits(tree)
    return found


def _examine_program(words: tuple[str, ...], environ: dict[str, str]) -> Iterator[Observation]:
    python = (
        f"Python {platform.python_version()}, {platform.system()} {platform.release()} {platform.machine()}"
    )
    yield Observation("kdeps", State.GOOD, "version", f"{__version__}, {python}")
    yield Observation(
        "kdeps", State.GOOD, "installed in", os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    )
    yield Observation("kdeps", State.GOOD, "arguments", " ".join(words) or "(none)")
    steering = sorted(
        name for name in environ
        if name.startswith(("KBUILD_", "KDEPS_", "KCFLAGS", "KRUSTFLAGS", "KCONFIG_"))
        or name in ("LLVM", "ARCH", "CROSS_COMPILE", "MAKEFLAGS", "GNUMAKEFLAGS", "RUSTC", "BINDGEN", "CC", "KDIR")
    )  # fmt: skip
    for name in steering:
        yield Observation("kdeps", State.NOTE, "environment", f"{name}={environ[name]}")


def _examine_tree(tree: Tree) -> Iterator[Observation]:
    version = f"{tree.version[0]}.{tree.version[1]}"
    yield Observation("tree", State.GOOD, "source tree", f"{tree.srctree} (Linux {version})")
    same = tree.objtree == tree.srctree
    release = tree.release or "release not known: include/config/kernel.release is missing"
    yield Observation(
        "tree", State.GOOD if tree.release else State.NOTE, "object tree",
        f"{'the same' if same else tree.objtree} ({release}, {tree.srcarch})",
    )  # fmt: skip
    if tree.prebuilt:
        yield Observation(
            "tree", State.NOTE, "layout", "installed headers: nothing of the kernel can be rebuilt"
        )
    if tree.module is None:
        yield Observation(
            "tree", State.NOTE, "module", "none named: answers are about the kernel's own artifacts"
        )
    else:
        output = "" if tree.module_output == tree.module else f", built in {tree.module_output}"
        yield Observation("tree", State.GOOD, "module", f"{tree.module}{output}")
    if not OLDEST <= tree.version <= NEWEST:
        text = f"{version} is none of the kernels that answers were compared on (6.1 to 7.3)"
        yield Observation("tree", State.NOTE, "version", text)
    if tree.srcarch != "x86":
        yield Observation(
            "tree", State.NOTE, "architecture", f"answers were compared on x86, not on {tree.srcarch}"
        )
    for name, folder in (
        ("source tree", tree.srctree),
        ("object tree", tree.objtree),
        ("module", tree.module_output),
    ):
        kind = _file_system(folder) if folder else ""
        if kind in _NETWORK:
            text = f"the {name} is on {kind}: time stamps come from another machine's clock, which was never compared"
            yield Observation("tree", State.NOTE, "file system", text)


def _file_system(folder: str) -> str:
    """The type of the file system that a folder is on; empty where the system does not tell."""
    best, kind = -1, ""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                before, _, after = line.partition(" - ")
                point = before.split(" ")[4].replace("\\040", " ")
                inside = folder == point or folder.startswith(point.rstrip("/") + "/")
                if inside and len(point) >= best:  # of two on one place the later one covers the other
                    best, kind = len(point), after.split(" ")[0]
    except (OSError, IndexError):
        return ""
    return kind


def _examine_configuration(configuration: Configuration) -> Iterator[Observation]:
    text = configuration.auto_conf
    rust = parse_value(text, "RUST") == "y"
    if not rust:
        yield Observation(
            "tree", State.NOTE, "Rust", "CONFIG_RUST is off: there are no crates that could be stale"
        )
    else:
        yield Observation("tree", State.GOOD, "Rust", "on")
    for symbol, meaning in _NOT_COMPARED.items():
        if parse_value(text, symbol) == "y":
            yield Observation(
                "tree", State.NOTE, f"CONFIG_{symbol}", f"{meaning}: no answer was ever compared with it"
            )


def _examine_tools(
    tree: Tree, configuration: Configuration, environ: dict[str, str]
) -> Iterator[Observation]:
    make = version_text("make", environ, tree.make_directory)
    if not make:
        yield Observation("tools", State.BAD, "make", "not found in PATH")
    elif notices_deleted(tree.srctree, environ, tree.make_directory):
        yield Observation("tools", State.GOOD, "make", make)
    else:
        text = f"{make}: with this make and kernel Kbuild does not notice a deleted file; kdeps does"
        yield Observation("tools", State.NOTE, "make", text)
    text = configuration.auto_conf
    names = ["RUSTC", "BINDGEN"] if parse_value(text, "RUST") == "y" else []
    values = make_variables(tree, environ)
    for variable in (*names, "CC"):
        recorded = (parse_value(text, f"{variable}_VERSION_TEXT") or "").strip()
        now = version_text(values[variable], environ, tree.make_directory)
        if not now:
            yield Observation(
                "tools", State.BAD, values[variable], f"not found; the kernel was built with {recorded}"
            )
        elif recorded and now != recorded:
            # Under another name it is another compiler on purpose: installed headers do not say which.
            same_name = variable != "CC" or dict(configuration.inputs.variables).get("CC") == values["CC"]
            state = State.BAD if same_name else State.NOTE
            yield Observation(
                "tools", state, values[variable], f"{now}; the kernel was built with {recorded}"
            )
        else:
            yield Observation("tools", State.GOOD, values[variable], now)


def _examine_records(judged: Survey) -> Iterator[Observation]:
    graph, snapshot = judged.graph, judged.snapshot
    own = sum(rule.scope is Scope.MODULE for rule in graph.rules)
    crates = [name for rule in graph.rules if rule.scope is Scope.KERNEL and (name := crate_name(rule))]
    kernel = len(graph.rules) - own
    yield Observation(
        "records", State.GOOD if kernel else State.BAD, "kernel",
        f"{kernel} rules" if kernel else "no rule: `make modules_prepare` was never run here",
        blocking=not kernel and not judged.tree.prebuilt,
    )  # fmt: skip
    if crates:
        yield Observation("records", State.GOOD, "crates", ", ".join(crates))
    if judged.tree.module is not None:
        text = f"{own} rules" if own else "no rule: the module was never built, or it was cleaned"
        yield Observation("records", State.GOOD if own else State.NOTE, "module", text)
    yield Observation(
        "records", State.GOOD, "files", f"{len(snapshot.mtime_ns)} looked at in {judged.elapsed_ms:.0f} ms"
    )
    for problem in judged.verdict.problems:
        yield Observation("records", State.BAD, "unreadable", f"{problem.path}: {problem.message}")
    usable = (RecordState.COMPLETE, RecordState.COMMAND_ONLY)
    for rule in graph.rules:
        if rule.action is not Action.IF_CHANGED or rule.state in usable or rule.state is RecordState.BROKEN:
            continue
        if judged.tree.prebuilt and rule.scope is Scope.KERNEL:
            continue  # packages of headers leave records out, and nothing there is made again
        text = f"{rule.record}: {rule.where}" if rule.record else f"{rule.target}: its .cmd file is gone"
        yield Observation("records", State.BAD, "incomplete", text)


def _examine_times(judged: Survey) -> Iterator[Observation]:
    now = time.time_ns()
    future = sorted(path for path, mtime_ns in judged.snapshot.mtime_ns.items() if mtime_ns > now)
    if future:
        more = f" and {len(future) - 1} more" if len(future) > 1 else ""
        text = f"{future[0]}{more}: changed in the future; what reads it is stale after every build"
        yield Observation("records", State.BAD, "clock", text)


def _examine_verdict(judged: Survey) -> Iterator[Observation]:
    verdict = judged.verdict
    silent = sum(state.silent for state in verdict.stale)
    for finding in verdict.findings:
        state = State.NOTE if finding.status is Status.FRESH else State.BAD
        yield Observation("verdict", state, finding.kind.value, f"{finding.path}: {finding.message}")
    words = {
        Status.FRESH: "no stale kernel artifact",
        Status.STALE: f"{silent} stale that `make M=…` would use; `kdeps check` says why",
        Status.UNKNOWN: "cannot tell, for what is said above",
    }
    state = State.GOOD if verdict.status is Status.FRESH else State.BAD
    unknown = verdict.status is Status.UNKNOWN
    yield Observation("verdict", state, verdict.status.value, words[verdict.status], blocking=unknown)


def _examine_caches(environ: dict[str, str]) -> Iterator[Observation]:
    folder = cache_directory(environ)
    files = [os.path.join(where, name) for where, _, names in os.walk(folder) for name in names]
    try:
        size = sum(os.stat(path).st_size for path in files)
    except OSError:
        size = 0
    if folder.startswith(f"{os.devnull}/"):
        yield Observation(
            "caches", State.NOTE, "folder", "there is no home and no XDG_CACHE_HOME: nothing is remembered, which costs time only"
        )  # fmt: skip
    elif not os.path.isdir(folder):
        yield Observation(
            "caches",
            State.NOTE,
            "folder",
            f"{folder}: not there yet: nothing is remembered, which costs time only",
        )
    elif not os.access(folder, os.W_OK):
        yield Observation(
            "caches",
            State.NOTE,
            "folder",
            f"{folder}: not writable: nothing is remembered, which costs time only",
        )
    else:
        kinds: dict[str, int] = {}
        for path in files:
            kind = os.path.relpath(path, folder).split(os.sep)[0]
            kinds[kind] = kinds.get(kind, 0) + 1
        shares = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
        yield Observation(
            "caches",
            State.GOOD,
            "folder",
            f"{folder}: {len(files)} file{'s' * (len(files) != 1)}, {size // 1024} kB ({shares or 'empty'})",
        )


def _examine_limits(tree: Tree) -> Iterator[Observation]:
    """What kdeps cannot see in this build, and why."""
    limits = [
        ("commands", "a changed flag or Makefile is no time stamp; `--exact` asks Kbuild itself"),
        ("old times", "an edit with an older mtime (cp -p, rsync -t) is invisible to make, and so to kdeps"),
    ]
    if tree.version >= (6, 13) and tree.module is not None:
        limits.append(
            ("symbols", "Kbuild looks for this module's configuration symbols in its own folder, where none is; kdeps looks in the object tree")
        )  # fmt: skip
    for name, since in edges.COMMAND_BLIND.items():
        if tree.version >= since:
            text = f"of {name} Kbuild never notices that the command changed, not even with --exact"
            limits.append(("commands", text))
    for name, text in limits:
        yield Observation("not seen", State.NOTE, name, text)


def is_blocked(observations: list[Observation]) -> bool:
    """Whether kdeps cannot judge this build."""
    return any(observation.blocking for observation in observations)
