# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Compare a build with a machine: sources → ``.ko`` → installed → initramfs → loaded → booted kernel.

Pure: a build and facts in, an answer out. A link of the chain is stale where the machine has another module than the
build's, and unknown where that cannot be decided. Equal build ids are the same link. Where they differ, the code
decides, as far as it can be read; of a loaded module only the id can be.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from kdeps.running.build import Build, BuiltModule
from kdeps.running.facts import Facts, FileCopy, LoadState
from kdeps.staleness.reasons import Status
from kdeps.staleness.scope import worst


class Stage(str, Enum):
    """The links of the chain, in order. JSON carries these values."""

    SOURCES = "sources"
    BUILT = "built"
    INSTALLED = "installed"
    INITRAMFS = "initramfs"
    LOADED = "loaded"
    BOOTED = "booted"


class Kind(str, Enum):
    """What was found at a link. JSON carries these values."""

    UP_TO_DATE = "up-to-date"
    SOURCES_CHANGED = "sources-changed"
    SOURCES_UNKNOWN = "sources-unknown"
    NOT_BUILT = "not-built"
    HAS_ID = "has-id"
    NO_ID = "no-id"
    """There is no build id to compare, and no code either."""
    UNREADABLE = "unreadable"
    SAME_LINK = "same-link"
    SAME_CODE = "same-code"
    OTHER_LINK = "other-link"
    NOT_INSTALLED = "not-installed"
    NOT_INDEXED = "not-indexed"
    """The file is there, and modules.dep does not name it."""
    INDEX_OLDER = "index-older"
    """The file is newer than modules.dep. What it names is the right one all the same."""
    FILE_GONE = "file-gone"
    """modules.dep names a file that is not there."""
    LEFT_OVER = "left-over"
    """The kernel of that folder has it built in."""
    NOT_COLLECTED = "not-collected"
    """The facts do not cover this module, or this release."""
    NO_INITRAMFS = "no-initramfs"
    NOT_IN_INITRAMFS = "not-in-initramfs"
    NOT_READABLE_HERE = "not-readable-here"
    """The user may not read it. It decides nothing about what runs now."""
    NOT_LOADED = "not-loaded"
    BUILT_IN = "built-in"
    COMING = "coming"
    GOING = "going"
    NO_KERNEL = "no-kernel"
    """No kernel runs there: the root of a disk image."""
    SAME_KERNEL = "same-kernel"
    SAME_RELEASE = "same-release"
    """There are no two ids to compare."""
    OTHER_RELEASE = "other-release"
    OTHER_KERNEL = "other-kernel"
    """The same release, and another link of vmlinux, by its build id or by its ``#N`` and time."""


class Link(NamedTuple):
    """One link of the chain, for one module."""

    stage: Stage
    kind: Kind
    status: Status
    path: str = ""
    build_id: str | None = None
    detail: str = ""
    """What is wrong with a file; a release; completes a sentence."""
    others: tuple[str, ...] = ()
    """Further files of that name."""


class ModuleAnswer(NamedTuple):
    """The chain of one module."""

    module: BuiltModule
    links: tuple[Link, ...]

    @property
    def status(self) -> Status:
        """Stale if one link is, else unknown if one link is."""
        return worst(link.status for link in self.links)

    @property
    def first_break(self) -> Link | None:
        """The first link that is stale, else the first that is unknown; None if all are fresh.

        Under a kernel of another release the module cannot be loaded, so that comes before the loaded module.
        """
        links = sorted(self.links, key=lambda link: link.kind is not Kind.OTHER_RELEASE)
        links.sort(key=lambda link: link.stage in (Stage.LOADED, Stage.BOOTED))
        for status in (Status.STALE, Status.UNKNOWN):
            for link in links:
                if link.status is status:
                    return link
        return None


def judge_machine(build: Build, facts: Facts, *, any_loaded: bool = False) -> tuple[ModuleAnswer, ...]:
    """Judge every module of a build against one machine.

    Where none of the build's modules is loaded, that is a break, but not with ``any_loaded``.
    """
    loaded = facts.loaded or {}
    any_loaded = any_loaded or any(module.name in loaded for module in build.modules)
    return tuple(
        ModuleAnswer(
            module,
            (
                _judge_sources(module),
                _judge_file(module),
                *_judge_installed(module, build, facts),
                *_judge_initramfs(module, build, facts),
                _judge_loaded(module, facts, any_loaded=any_loaded),
                _judge_booted(module, build, facts),
            ),
        )
        for module in build.modules
    )


def _judge_sources(module: BuiltModule) -> Link:
    if module.sources is Status.STALE:
        return Link(Stage.SOURCES, Kind.SOURCES_CHANGED, Status.STALE)
    if module.sources is Status.UNKNOWN:
        return Link(Stage.SOURCES, Kind.SOURCES_UNKNOWN, Status.UNKNOWN)
    return Link(Stage.SOURCES, Kind.UP_TO_DATE, Status.FRESH)


def _judge_file(module: BuiltModule) -> Link:
    if module.problem:
        return Link(Stage.BUILT, Kind.UNREADABLE, Status.UNKNOWN, module.path, detail=module.problem)
    if module.file is None:
        return Link(Stage.BUILT, Kind.NOT_BUILT, Status.STALE, module.path)
    kind = Kind.NO_ID if module.file.build_id is None else Kind.HAS_ID
    return Link(Stage.BUILT, kind, Status.FRESH, module.path, module.file.build_id)


def _compare(module: BuiltModule, stage: Stage, copy: FileCopy, others: tuple[str, ...] = ()) -> Link:
    if copy.problem:
        return Link(stage, Kind.UNREADABLE, Status.UNKNOWN, copy.path, detail=copy.problem)
    kind, status = _compare_ids(module, copy.build_id, copy.code)
    return Link(stage, kind, status, copy.path, copy.build_id, others=others)


def _compare_ids(module: BuiltModule, build_id: str | None, code: str) -> tuple[Kind, Status]:
    file = module.file
    if file is None:
        return Kind.NO_ID, Status.UNKNOWN
    if build_id is not None and build_id == file.build_id:
        return Kind.SAME_LINK, Status.FRESH
    if code and file.code:
        same = code == file.code
        return (Kind.SAME_CODE, Status.FRESH) if same else (Kind.OTHER_LINK, Status.STALE)
    if build_id is None or file.build_id is None:
        return Kind.NO_ID, Status.UNKNOWN
    return Kind.OTHER_LINK, Status.STALE


def wanted_release(module: BuiltModule, build: Build) -> str:
    """The release that a module was built for; empty if it is not known."""
    return (module.file.release if module.file is not None else "") or build.release


def _is_covered(module: BuiltModule, build: Build, facts: Facts) -> bool:
    release = wanted_release(module, build)
    names = facts.looked_for
    return (names is None or module.name in names) and facts.installed_release in ("", release)


def _judge_installed(module: BuiltModule, build: Build, facts: Facts) -> list[Link]:
    stage = Stage.INSTALLED
    if not _is_covered(module, build, facts):
        return [Link(stage, Kind.NOT_COLLECTED, Status.UNKNOWN, detail=wanted_release(module, build))]
    installed = facts.installed.get(module.name)
    if installed is None:
        return [Link(stage, Kind.NOT_INSTALLED, Status.FRESH, detail=facts.installed_release)]
    chosen, others = installed.chosen, installed.others
    if installed.built_in:
        path = chosen.path if chosen else others[0] if others else ""
        if not path:
            return [Link(stage, Kind.BUILT_IN, Status.STALE, detail=facts.installed_release)]
        return [Link(stage, Kind.LEFT_OVER, Status.STALE, path, others=others)]
    if chosen is None:
        return [Link(stage, Kind.NOT_INDEXED, Status.STALE, others[0], others=others[1:])]
    if chosen.problem == "is missing":
        return [Link(stage, Kind.FILE_GONE, Status.STALE, chosen.path, others=others)]
    links = [_compare(module, stage, chosen, others)]
    dep = facts.dep_mtime
    if dep is not None and chosen.mtime is not None and chosen.mtime > dep:
        links.append(Link(stage, Kind.INDEX_OLDER, Status.FRESH, chosen.path))
    return links


def _judge_initramfs(module: BuiltModule, build: Build, facts: Facts) -> list[Link]:
    stage = Stage.INITRAMFS
    if not _is_covered(module, build, facts):
        return []  # what is installed says so already
    if not facts.initramfs:
        return [Link(stage, Kind.NO_INITRAMFS, Status.FRESH)]
    links = []
    for image in facts.initramfs:
        copies = image.modules.get(module.name, ())
        links += [_compare(module, stage, copy, (image.path,)) for copy in copies]
        if image.denied:
            links.append(Link(stage, Kind.NOT_READABLE_HERE, Status.FRESH, image.path, detail=image.problem))
        elif image.problem:
            links.append(Link(stage, Kind.UNREADABLE, Status.UNKNOWN, image.path, detail=image.problem))
        elif not copies:
            links.append(Link(stage, Kind.NOT_IN_INITRAMFS, Status.FRESH, image.path))
    return links


def _judge_loaded(module: BuiltModule, facts: Facts, *, any_loaded: bool) -> Link:
    stage = Stage.LOADED
    if not facts.release:
        proven = module.name in facts.installed or any(module.name in i.modules for i in facts.initramfs)
        return Link(stage, Kind.NO_KERNEL, Status.FRESH if proven else Status.UNKNOWN)
    if facts.loaded is None:
        return Link(stage, Kind.NOT_COLLECTED, Status.UNKNOWN)
    loaded = facts.loaded.get(module.name)
    if loaded is None:
        return Link(stage, Kind.NOT_LOADED, Status.FRESH if any_loaded else Status.STALE)
    if loaded.state is LoadState.BUILT_IN:
        return Link(stage, Kind.BUILT_IN, Status.STALE, detail=facts.release)
    installed = facts.installed.get(module.name)
    files = [installed.chosen] if installed is not None and installed.chosen is not None else []
    files += [copy for image in facts.initramfs for copy in image.modules.get(module.name, ())]
    code = next((f.code for f in files if f.build_id and f.build_id == loaded.build_id), "")
    kind, status = _compare_ids(module, loaded.build_id, code)
    if loaded.state is not LoadState.LIVE and status is Status.FRESH:
        kind = Kind.COMING if loaded.state is LoadState.COMING else Kind.GOING
        status = Status.UNKNOWN
    return Link(stage, kind, status, build_id=loaded.build_id, others=facts.livepatched)


def _judge_booted(module: BuiltModule, build: Build, facts: Facts) -> Link:
    stage, release = Stage.BOOTED, wanted_release(module, build)
    if not facts.release:
        return Link(stage, Kind.NO_KERNEL, Status.FRESH)
    if not release:
        return Link(stage, Kind.NOT_COLLECTED, Status.UNKNOWN, detail=facts.release)
    if release != facts.release:
        return Link(stage, Kind.OTHER_RELEASE, Status.STALE, build_id=facts.kernel_id, detail=facts.release)
    if build.kernel_problem:
        return Link(stage, Kind.UNREADABLE, Status.UNKNOWN, detail=build.kernel_problem)
    if build.kernel_id is None or facts.kernel_id is None:
        if build.kernel_banner and facts.version and not build.kernel_banner.endswith(f" {facts.version}"):
            return Link(
                stage, Kind.OTHER_KERNEL, Status.STALE, build_id=facts.kernel_id, detail=facts.release
            )
        return Link(stage, Kind.SAME_RELEASE, Status.FRESH, build_id=facts.kernel_id, detail=facts.release)
    same = build.kernel_id == facts.kernel_id
    kind, status = (Kind.SAME_KERNEL, Status.FRESH) if same else (Kind.OTHER_KERNEL, Status.STALE)
    return Link(stage, kind, status, build_id=facts.kernel_id, detail=facts.release)
