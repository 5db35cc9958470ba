# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Everything that the objects of a failed build contain about the failure."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from typing import NamedTuple

from kdeps.artifacts.assertions import Assertion, find_assertions
from kdeps.artifacts.object_file import ObjectError
from kdeps.artifacts.rust_object import RustObject
from kdeps.artifacts.stack_frames import StackFrame, measure_frames, parse_limit
from kdeps.artifacts.undefined import Places, Undefined, find_undefined
from kdeps.kbuild.configuration import read_configuration
from kdeps.kbuild.replay import ReplayError, is_rustc_command, recorded_command, why_not_recorded
from kdeps.kbuild.rule import Owner, Rule
from kdeps.staleness.check import CheckResult

_FOR_MODULE = re.compile(r"--cfg[ =]'?MODULE\b")


class Failure(NamedTuple):
    """What was found in the objects."""

    assertions: tuple[Assertion, ...]
    undefined: tuple[Undefined, ...]
    problems: tuple[str, ...]
    """What could not be read or run, one line each."""


def examine_failure(result: CheckResult, environ: dict[str, str], *, run_again: bool = True) -> Failure:
    """Look into the objects of a build that was judged after it failed.

    An object that make would build again is left out: it is older than its source, and says nothing about it.
    """
    assertions: list[Assertion] = []
    problems: list[str] = []
    old = {state.rule.target for state in result.verdict.pending}
    if result.tree.module is None:
        old |= {state.rule.target for state in result.verdict.stale}
    for rule in rust_rules(result):
        if rule.target in old or not os.path.exists(rule.target):
            continue
        try:
            found, problem = find_assertions(rust_object(result, rule), environ, run_again=run_again)
        except ObjectError as error:
            problems.append(str(error))
            continue
        assertions += found
        if problem:
            problems.append(f"{rule.name}: {problem}")
    undefined: tuple[Undefined, ...] = ()
    places = find_places(result, environ, old)
    if result.tree.module is not None or places.kernel:
        built_in = [r.target for r in rust_rules(result) if r.target not in old and _is_built_in(r)]
        try:
            undefined = find_undefined(_module_objects(result, old), places, built_in)
        except ObjectError as error:
            problems.append(str(error))
    return Failure(tuple(assertions), undefined, tuple(dict.fromkeys(problems)))


class Measured(NamedTuple):
    """The stack frames of a build."""

    limit: int
    """``CONFIG_FRAME_WARN``; 0 if the configuration sets no limit."""
    frames: tuple[StackFrame, ...]
    """The largest first."""
    problems: tuple[str, ...]
    """Objects that could not be measured, one line each."""

    @property
    def too_large(self) -> tuple[StackFrame, ...]:
        """Return the frames above the limit."""
        return tuple(frame for frame in self.frames if 0 < self.limit < frame.size)


def measure_all_frames(result: CheckResult, environ: dict[str, str]) -> Measured:
    """Measure every Rust object of a build."""
    frames: list[StackFrame] = []
    problems: list[str] = []
    for rule in rust_rules(result):
        try:
            frames += measure_frames(rust_object(result, rule), environ)
        except (ObjectError, ReplayError) as error:
            problems.append(f"{rule.name}: {error}")
    frames.sort(key=lambda frame: (-frame.size, frame.function))
    return Measured(parse_limit(read_configuration(result.tree).auto_conf), tuple(frames), tuple(problems))


def rust_rules(result: CheckResult) -> list[Rule]:
    """Find the rules by which rustc makes an object: the module's, or without a module all of them."""
    owner = Owner.MODULE if result.tree.module is not None else None
    return [
        rule
        for rule in result.graph.rules
        if (owner is None or rule.owner is owner)
        and rule.target.endswith(".o")
        and not why_not_recorded(rule)
        and is_rustc_command(recorded_command(rule).command)
    ]


def rust_object(result: CheckResult, rule: Rule) -> RustObject:
    """Put together what is needed to look into the object of a rule."""
    tree = result.tree
    recorded = recorded_command(rule)
    is_crate = rule.owner is Owner.KERNEL and rule.name.startswith("rust/")
    abstractions = "" if is_crate else f"{tree.srctree}/rust"
    return RustObject(rule.target, recorded, (recorded.directory, tree.srctree, tree.objtree), abstractions)


def _module_objects(result: CheckResult, old: set[str]) -> list[str]:
    owner = Owner.MODULE if result.tree.module is not None else Owner.KERNEL
    targets = [r.target for r in result.graph.rules if r.owner is owner and r.target.endswith(".mod")]
    objects = [f"{target[: -len('.mod')]}.o" for target in targets]
    return [path for path in objects if path not in old and os.path.exists(path)]


def _is_built_in(rule: Rule) -> bool:
    """Whether what a rule makes is linked into the kernel. Kbuild compiles the code of a module with ``--cfg MODULE``."""
    if rule.owner is not Owner.KERNEL:
        return False
    return not _FOR_MODULE.search(recorded_command(rule).command)


def find_places(result: CheckResult, environ: dict[str, str], old: Collection[str] = ()) -> Places:
    """Find the files that decide why a symbol is undefined; ``old`` targets are older than what they are made from."""
    tree = result.tree
    own = f"{tree.module_output}/Module.symvers"
    named = {
        path for rule in result.graph.rules for path in rule.uncompared_inputs if path.endswith(".symvers")
    }
    extra = tree.args.variables.get("KBUILD_EXTRA_SYMBOLS") or environ.get("KBUILD_EXTRA_SYMBOLS", "")
    named |= {os.path.join(tree.make_directory, word) for word in extra.split()}
    dump = f"{tree.objtree}/Module.symvers"
    named -= {dump, own}
    others = [path for path in _neighbours(result) if path not in named and path not in (dump, own)]
    crates = {
        rule.name[len("rust/") : -len(".o")]: rule.target
        for rule in result.graph.rules
        if rule.name.startswith("rust/") and rule.name.endswith(".o") and rule.name.count("/") == 1
    }
    helpers = next(
        (r.target for r in result.graph.rules if r.name == "rust/helpers/helpers.o"),
        f"{tree.objtree}/rust/helpers/helpers.o",
    )
    bindings = next((r for r in result.graph.rules if r.name.endswith("bindings_generated.rs")), None)
    headers = tuple(p for p in bindings.prerequisites if p.endswith(".h")) if bindings is not None else ()
    kernel = f"{tree.objtree}/vmlinux.o"
    if tree.module is not None or kernel in old or not os.path.exists(kernel):
        kernel = ""
    return Places(
        dump, tuple(sorted(named)), tuple(others), crates, helpers, f"{tree.objtree}/System.map", headers,
        bindings.target if bindings is not None else "", kernel,
    )  # fmt: skip


def _neighbours(result: CheckResult) -> list[str]:
    """Dumps in the folders beside the module's and its output's, which a driver of several modules has."""
    tree = result.tree
    found: list[str] = []
    for folder in dict.fromkeys((tree.module, tree.module_output)):
        if folder is None:
            continue
        above = os.path.dirname(folder)
        try:
            names = sorted(os.listdir(above))
        except OSError:
            continue
        found += [f"{above}/{name}/Module.symvers" for name in names]
    return [path for path in dict.fromkeys(found) if os.path.isfile(path)]
