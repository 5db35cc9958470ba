# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What kdeps finds where the user stands: trees, tools, records, caches, and what it cannot see.

It judges nothing by itself; it shows what the verdict of ``kdeps check`` rests on. What it cannot
find out is an observation, too, so it always reports to the end.
"""

from __future__ import annotations

import os
import platform
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import NamedTuple

from kdeps import __version__
from kdeps.formats.cmdfile import RecordState
from kdeps.formats.kconfig import parse_value
from kdeps.kbuild import makefile_rules
from kdeps.kbuild.configuration import Configuration, make_variables, read_configuration
from kdeps.kbuild.rule import Action, Owner
from kdeps.kbuild.toolchain import describe_silence, notices_deleted, version_text
from kdeps.kbuild.tree import Tree, find_tree
from kdeps.staleness.check import CheckResult, check_build
from kdeps.staleness.reasons import Status
from kdeps.staleness.snapshot import find_mtime_ns
from kdeps.system.cache import Store, cache_directory, find_problem
from kdeps.system.errors import KdepsError
from kdeps.system.mounts import find_mount, read_mounts
from kdeps.system.text import list_some

OLDEST, NEWEST = (6, 1), (7, 3)
"""The kernels that every answer was compared on."""
_NETWORK = frozenset(("nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "afs", "fuse.sshfs", "vboxsf", "virtiofs"))


class State(str, Enum):
    """How well a thing is. JSON carries these values."""

    GOOD = "ok"
    NOTE = "note"
    """Worth knowing; nothing is wrong."""
    BAD = "bad"
    """It stands in the way of an answer, or it is what the answer says."""


class Observation(NamedTuple):
    """One thing that was looked at."""

    state: State
    name: str
    text: str
    blocking: bool = False
    """Without it kdeps cannot judge this build."""
    section: str = ""


def examine(
    words: tuple[str, ...],
    cwd: str,
    environ: dict[str, str],
    judge_contents: Callable[[CheckResult], CheckResult],
    find_other_loaded: Callable[[list[str]], list[str]],
) -> list[Observation]:
    """Look at everything that an answer about ``make WORDS…`` would rest on.

    ``judge_contents`` turns a verdict by time into one by content. ``find_other_loaded`` names the modules, of some
    ``.ko`` files, that are loaded from another build.
    """
    found: list[Observation] = []

    def add(section: str, observations: Iterable[Observation]) -> None:
        found.extend(each._replace(section=section) for each in observations)

    add("kdeps", _examine_program(words, environ))
    try:
        tree = find_tree(words, cwd, environ)
    except KdepsError as error:
        add("tree", [_bad("kernel", str(error), blocking=True)])
        add("caches", _examine_caches(environ))
        return found
    add("tree", _examine_tree(tree))
    configuration = read_configuration(tree)
    has_rust = parse_value(configuration.auto_conf, "RUST") == "y"
    off = "CONFIG_RUST is off: there are no crates that could be stale"
    add("tree", [_good("Rust", "on") if has_rust else _note("Rust", off)])
    add("tools", _examine_tools(tree, configuration, environ, has_rust=has_rust))
    try:
        judged = check_build(words, cwd, environ)
    except KdepsError as error:
        add("records", [_bad("reading", str(error), blocking=True)])
    else:
        add("records", _examine_records(judged))
        add("verdict", _examine_verdict(judge_contents(judged)))
        add("verdict", _examine_loaded(judged, find_other_loaded))
    add("caches", _examine_caches(environ))
    add("not seen", _examine_limits(tree))
    return found


def _good(name: str, text: str) -> Observation:
    return Observation(State.GOOD, name, text)


def _note(name: str, text: str) -> Observation:
    return Observation(State.NOTE, name, text)


def _bad(name: str, text: str, *, blocking: bool = False) -> Observation:
    return Observation(State.BAD, name, text, blocking)


def _examine_program(words: tuple[str, ...], environ: dict[str, str]) -> Iterator[Observation]:
    python = (
        f"Python {platform.python_version()}, {platform.system()} {platform.release()} {platform.machine()}"
    )
    yield _good("version", f"{__version__}, {python}")
    yield _good("installed in", os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    yield _good("arguments", " ".join(words) or "(none)")
    steering = sorted(
        name for name in environ
        if name.startswith(("KBUILD_", "KDEPS_", "KCFLAGS", "KRUSTFLAGS", "KCONFIG_"))
        or name in ("LLVM", "ARCH", "CROSS_COMPILE", "MAKEFLAGS", "GNUMAKEFLAGS", "RUSTC", "BINDGEN", "CC", "KDIR")
    )  # fmt: skip
    for name in steering:
        yield _note("environment", f"{name}={environ[name]}")


def _examine_tree(tree: Tree) -> Iterator[Observation]:
    version = f"{tree.version[0]}.{tree.version[1]}"
    yield _good("source tree", f"{tree.srctree} (Linux {version})")
    same = tree.objtree == tree.srctree
    release = tree.release or "release not known: include/config/kernel.release is missing"
    text = f"{'the same' if same else tree.objtree} ({release}, {tree.srcarch})"
    yield Observation(State.GOOD if tree.release else State.NOTE, "object tree", text)
    if tree.prebuilt:
        yield _note("layout", "installed headers: nothing of the kernel can be rebuilt")
    if tree.module is None:
        yield _note("module", "none named: answers are about the kernel's own artifacts")
    else:
        output = "" if tree.module_output == tree.module else f", built in {tree.module_output}"
        yield _good("module", f"{tree.module}{output}")
    if not OLDEST <= tree.version <= NEWEST:
        text = f"{version} is none of the kernels that answers were compared on (6.1 to 7.3)"
        yield _note("version", text)
    if tree.srcarch != "x86":
        yield _note("architecture", f"answers were compared on x86, not on {tree.srcarch}")
    mounts = read_mounts()
    folders = {"source tree": tree.srctree, "object tree": tree.objtree, "module": tree.module_output}
    for name, folder in folders.items():
        kind = find_mount(folder, mounts).kind if folder else ""
        if kind in _NETWORK:
            text = f"the {name} is on {kind}: time stamps come from another machine's clock, which was never compared"
            yield _note("file system", text)


def _examine_tools(
    tree: Tree, configuration: Configuration, environ: dict[str, str], *, has_rust: bool
) -> Iterator[Observation]:
    make = version_text("make", environ, tree.make_directory)
    if not make:
        yield _bad("make", "not found in PATH")
    elif notices_deleted(tree.srctree, environ, tree.make_directory):
        yield _good("make", make)
    else:
        text = f"{make}: with this make and kernel Kbuild does not notice a deleted file; kdeps does"
        yield _note("make", text)
    text = configuration.auto_conf
    names = ["RUSTC", "BINDGEN"] if has_rust else []
    values = make_variables(tree, environ)
    named = dict(configuration.inputs.variables)
    for variable in (*names, "CC"):
        recorded = (parse_value(text, f"{variable}_VERSION_TEXT") or "").strip()
        for command in dict.fromkeys((values[variable], named.get(variable) or values[variable])):
            now = version_text(command, environ, tree.make_directory)
            # Under another name it is another compiler on purpose: installed headers do not say which.
            same_name = variable != "CC" or named.get("CC") == command
            state, shown = State.GOOD, now
            if not now:
                state = State.BAD if command == values[variable] else State.NOTE
                shown = describe_silence(command, environ, tree.make_directory).removeprefix("is ")
            elif recorded and now != recorded:
                state = State.BAD if same_name else State.NOTE
            if state is not State.GOOD:
                shown += f"; the kernel was built with {recorded or 'another one'}"
            yield Observation(state, command, shown)


def _examine_records(judged: CheckResult) -> Iterator[Observation]:
    graph, snapshot = judged.graph, judged.snapshot
    own = sum(rule.owner is Owner.MODULE for rule in graph.rules)
    crates = [name for rule in graph.rules if rule.owner is Owner.KERNEL and (name := rule.crate)]
    kernel = len(graph.rules) - own
    if kernel:
        yield _good("kernel", f"{kernel} rules")
    else:
        text = "no rule: `make modules_prepare` was never run here"
        yield _bad("kernel", text, blocking=not judged.tree.prebuilt)
    if crates:
        yield _good("crates", ", ".join(crates))
    if judged.tree.module is not None:
        text = f"{own} rules" if own else "no rule: the module was never built, or it was cleaned"
        yield Observation(State.GOOD if own else State.NOTE, "module", text)
    yield _good("files", f"{len(snapshot.mtime_ns)} looked at in {judged.elapsed_ms:.0f} ms")
    for problem in judged.verdict.problems:
        yield _bad("unreadable", f"{problem.path}: {problem.message}")
    usable = (RecordState.COMPLETE, RecordState.COMMAND_ONLY)
    for rule in graph.rules:
        if rule.action is not Action.IF_CHANGED or rule.state in usable or rule.state is RecordState.BROKEN:
            continue
        if judged.tree.prebuilt and rule.owner is Owner.KERNEL:
            continue  # packages of headers leave records out, and nothing there is made again
        text = (
            f"{rule.record}: {rule.record_problem}"
            if rule.record
            else f"{rule.target}: its .cmd file is gone"
        )
        yield _bad("incomplete", text)
    now = time.time_ns()
    future = sorted(path for path, mtime_ns in judged.snapshot.mtime_ns.items() if mtime_ns > now)
    if future:
        text = f"{list_some(future, 1)}: changed in the future; what reads it is stale after every build"
        yield _bad("clock", text)


def _examine_verdict(judged: CheckResult) -> Iterator[Observation]:
    verdict = judged.verdict
    for finding in verdict.findings:
        state = State.NOTE if finding.status is Status.FRESH else State.BAD
        yield Observation(state, finding.kind.value, f"{finding.path}: {finding.message}")
    words = {
        Status.FRESH: "no stale kernel artifact",
        Status.STALE: "`make M=…` would use stale kernel artifacts; `kdeps check` with the same arguments lists why",
        Status.UNKNOWN: "cannot tell, because of what is bad above",
    }
    state = State.GOOD if verdict.status is Status.FRESH else State.BAD
    unknown = verdict.status is Status.UNKNOWN
    yield Observation(state, verdict.status.value, words[verdict.status], blocking=unknown)


def _examine_loaded(
    judged: CheckResult, find_other_loaded: Callable[[list[str]], list[str]]
) -> Iterator[Observation]:
    """Compare the modules of the build with those that are loaded."""
    modules = [r.target for r in judged.graph.rules if r.owner is Owner.MODULE and r.target.endswith(".ko")]
    for name in find_other_loaded(modules):
        text = f"another build of {name} is loaded than its file; `kdeps loaded` with the same arguments says where it differs"
        yield _note("loaded", text)


def _examine_caches(environ: dict[str, str]) -> Iterator[Observation]:
    folder = cache_directory(environ)
    files = [os.path.join(where, name) for where, _, names in os.walk(folder) for name in names]
    try:
        size = sum(os.stat(path).st_size for path in files)
    except OSError:
        size = 0
    problem = ""
    if folder.startswith(f"{os.devnull}/"):
        problem = "there is no home and no XDG_CACHE_HOME"
    elif not_private := find_problem(environ):
        problem = not_private
    elif not os.path.isdir(folder):
        problem = f"{folder}: not there yet"
    elif not os.access(folder, os.W_OK):
        problem = f"{folder}: not writable"
    if problem:
        text = f"{problem}: nothing is remembered: that costs time, and an edit with an old time is not seen"
        yield _note("folder", text)
        return
    kinds = Counter(os.path.relpath(path, folder).split(os.sep)[0] for path in files)
    shares = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
    text = f"{folder}: {len(files)} file{'s' * (len(files) != 1)}, {size // 1024} kB ({shares or 'empty'})"
    yield _good("folder", text)
    if failure := Store("failures", environ).load("background"):
        text = f"after a command something could not be remembered: {failure.decode(errors='replace')}; please report it, then `kdeps cache --clean`"
        yield _note("failure", text)


def _examine_limits(tree: Tree) -> Iterator[Observation]:
    """What kdeps cannot see in this build, and why."""
    yield _note("commands", "a changed flag or Makefile is no time stamp; `--exact` asks Kbuild itself")
    old = "make never sees an edit with an older mtime (cp -p, rsync -t); kdeps sees it where it remembers the build"
    yield _note("old times", old)
    if tree.version >= (6, 13) and tree.module is not None:
        text = "Kbuild looks for this module's configuration symbols in its own folder, where none is; kdeps looks in the object tree"
        yield _note("symbols", text)
    if tree.module is not None and find_mtime_ns(f"{tree.objtree}/Module.symvers") is None:
        text = "there is no Module.symvers: whether the kernel has the symbols that a module needs cannot be told"
        yield _note("exported symbols", text)
    for name, since in makefile_rules.IGNORES_COMMAND_CHANGE.items():
        if tree.version >= since:
            text = f"of {name} Kbuild never notices that the command changed, not even with --exact"
            yield _note("commands", text)


def is_blocked(observations: list[Observation]) -> bool:
    """Whether kdeps cannot judge this build."""
    return any(observation.blocking for observation in observations)
