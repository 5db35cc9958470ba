# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What was built: the modules of a build, whether each is up to date with its sources, and their build ids."""

from __future__ import annotations

from typing import NamedTuple

from kdeps.kbuild.rule import Owner
from kdeps.kbuild.tree import read_vermagic_release
from kdeps.running.facts import Facts
from kdeps.running.module_file import ModuleFile, module_name, read_banner, read_kernel_id, read_module
from kdeps.staleness.check import CheckResult
from kdeps.staleness.reasons import Stale, Status, Verdict
from kdeps.staleness.scope import worst
from kdeps.system.errors import Unreadable


class BuiltModule(NamedTuple):
    """One ``.ko`` of the build."""

    name: str
    """As the kernel has it."""
    path: str
    result: CheckResult
    """Of checking the build that makes it."""
    file: ModuleFile | None
    """None if it is not there, or cannot be read."""
    problem: str = ""
    """Why it cannot be read; completes "it …"."""
    sources: Status = Status.FRESH
    """Whether a build now would give it: stale if make would rebuild it, or should and does not notice."""
    pending: Stale | None = None
    """Its rule, if ``make M=…`` would run it again."""


class Build(NamedTuple):
    """The modules of one build, and the kernel that they are for."""

    modules: tuple[BuiltModule, ...]
    release: str
    """Empty where the tree has no ``kernel.release``."""
    kernel_id: str | None
    """Build id of the object tree's ``vmlinux``; None without such a file."""
    kernel_problem: str = ""
    kernel_banner: str = ""
    """The line ``Linux version …`` of a ``vmlinux`` that has no build id."""

    @property
    def ids(self) -> dict[str, str | None]:
        """The build id of each module by its name; None for one without an id, or without a file."""
        return {m.name: m.file.build_id if m.file else None for m in self.modules}

    @property
    def built_release(self) -> str:
        """The release that the modules were built for; the tree's where no module says it."""
        return next((m.file.release for m in self.modules if m.file and m.file.release), self.release)


def read_build(result: CheckResult, paths: list[str] | None = None) -> Build:
    """Read the modules (``paths``, or all that its rules make) that a result is about, and their kernel's id.

    Where the result is about the whole tree, each module has a status of its own.
    """
    tree = result.tree
    kernel_id, problem = None, ""
    try:
        kernel_id = read_kernel_id(f"{tree.objtree}/vmlinux")
    except Unreadable as error:
        problem = str(error)
    banner = "" if kernel_id or problem else read_banner(f"{tree.objtree}/vmlinux")
    paths = find_module_files(result) if paths is None else paths
    modules = [_read_built(result, path) for path in paths]
    return Build(tuple(modules), read_vermagic_release(tree), kernel_id, problem, banner)


def find_module_files(result: CheckResult) -> list[str]:
    """Find the ``.ko`` files that the build makes, in the order of its rules."""
    owner = Owner.KERNEL if result.rules.whole else Owner.MODULE
    targets = (rule.target for rule in result.graph.rules if rule.owner is owner)
    return [target for target in targets if target.endswith(".ko")]


def _read_built(result: CheckResult, path: str) -> BuiltModule:
    name = module_name(path) or ""
    verdict = result.verdict
    states = (*verdict.stale, *verdict.pending) if result.rules.whole else verdict.pending
    pending = next((state for state in states if state.rule.target == path), None)
    status = _whole_status(verdict) if result.rules.whole else verdict.status
    if pending is not None and status is not Status.UNKNOWN:
        status = Status.STALE
    try:
        file = read_module(path)
        return BuiltModule(name, path, result, file, "", status, pending)
    except FileNotFoundError:
        return BuiltModule(name, path, result, None, "", status, pending)
    except Unreadable as error:
        return BuiltModule(name, path, result, None, str(error).partition(": ")[2], status, pending)


def _whole_status(verdict: Verdict) -> Status:
    """What holds for every module of a whole tree, whatever is stale in others."""
    if verdict.problems:
        return Status.UNKNOWN
    return worst((Status.FRESH, *(finding.status for finding in verdict.findings)))


def add_code(build: Build, facts: Facts) -> Build:
    """Hash the code of each module if the machine has a copy with another id."""

    def add(module: BuiltModule) -> BuiltModule:
        installed = facts.installed.get(module.name)
        copies = [copy for image in facts.initramfs for copy in image.modules.get(module.name, ())]
        copies += [installed.chosen] if installed is not None and installed.chosen is not None else []
        if module.file is None or not any(copy.code for copy in copies):
            return module
        try:
            return module._replace(file=read_module(module.path, with_code=True))
        except FileNotFoundError:
            return module._replace(file=None)
        except Unreadable as error:
            return module._replace(file=None, problem=str(error).partition(": ")[2])

    return build._replace(modules=tuple(add(module) for module in build.modules))
