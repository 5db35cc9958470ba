# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps loaded`` for people: the chain of each module, and the command that mends its first break."""

from __future__ import annotations

import os
from typing import NamedTuple

from kdeps.kbuild.make_command import INSTALL_GOAL
from kdeps.kbuild.tree import Tree
from kdeps.refresh.plan import shown_command
from kdeps.report.origin_text import origin_text
from kdeps.report.refresh_commands import module_command
from kdeps.report.sentences import TextOutput
from kdeps.report.verdict_text import headlines
from kdeps.running.build import BuiltModule
from kdeps.running.facts import Facts
from kdeps.running.judge import Kind, Link, ModuleAnswer, Stage
from kdeps.running.provenance import Origin
from kdeps.staleness.reasons import ReasonKind, Status
from kdeps.staleness.scope import worst
from kdeps.system.text import shell_joined, shell_quoted

SENTENCES: dict[Kind, str] = {
    Kind.UP_TO_DATE: "{ko} is up to date",
    Kind.SOURCES_CHANGED: "{ko} is older than its sources: {why}",
    Kind.SOURCES_UNKNOWN: "cannot tell whether {ko} is up to date: {why}",
    Kind.NOT_BUILT: "{path} is not there: it was never built, or it was cleaned",
    Kind.HAS_ID: "{path}, build id {id}",
    Kind.NO_ID: "no build id to compare: one of the two was linked without it",
    Kind.UNREADABLE: "{path} {detail}",
    Kind.SAME_LINK: "{path} the same build",
    Kind.SAME_CODE: "{path} another link of the same code",
    Kind.OTHER_LINK: "{path} another build, {id}",
    Kind.NOT_INSTALLED: "not installed for {detail}",
    Kind.NOT_INDEXED: "{path} is not in modules.dep, so modprobe does not find it",
    Kind.INDEX_OLDER: "{path} is newer than modules.dep",
    Kind.FILE_GONE: "{path} is gone, and modules.dep still names it",
    Kind.LEFT_OVER: "{path} is left over: that kernel has the module built in",
    Kind.NOT_COLLECTED: "not in the facts",
    Kind.NO_INITRAMFS: "no initramfs for that kernel",
    Kind.NOT_IN_INITRAMFS: "not in {path}",
    Kind.NOT_READABLE_HERE: "{path} may hold a copy: {detail}",
    Kind.NOT_LOADED: "not loaded",
    Kind.BUILT_IN: "built into the kernel {detail}, so no file of it is ever loaded",
    Kind.COMING: "the same build, but its init function has not returned",
    Kind.GOING: "the same build, but it is being unloaded",
    Kind.NO_KERNEL: "no kernel runs there",
    Kind.SAME_KERNEL: "{detail}, the tree's own vmlinux",
    Kind.SAME_RELEASE: "{detail}; there are no two build ids to compare",
    Kind.OTHER_RELEASE: "{detail} runs, and the module is for {release}",
    Kind.OTHER_KERNEL: "{detail} runs, from another link of vmlinux than the tree's",
}
"""What each kind says. Formatted once, with values only, because a path may contain braces."""
_HEADS: dict[Kind, str] = {
    Kind.SOURCES_CHANGED: "{name}: the module file is older than its sources",
    Kind.NOT_BUILT: "{name}: the module is not built",
    Kind.NOT_INDEXED: "{name}: modprobe does not find the installed file",
    Kind.FILE_GONE: "{name}: the installed file is gone",
    Kind.LEFT_OVER: "{name}: the installed file is left over from another configuration",
    Kind.BUILT_IN: "{name}: the kernel has it built in",
    Kind.NOT_LOADED: "{name}: not loaded",
    Kind.OTHER_RELEASE: "{name}: another kernel runs than the module is for",
    Kind.OTHER_KERNEL: "{name}: an older kernel of the same release runs, or another one",
}
_PLACES = {
    Stage.INSTALLED: "the installed module is",
    Stage.INITRAMFS: "the module in the initramfs is",
    Stage.LOADED: "the loaded module is",
}
_OTHERS = (Kind.OTHER_LINK, Kind.OTHER_KERNEL, Kind.OTHER_RELEASE)
_MARKS = {Status.FRESH: ("help", "ok"), Status.STALE: ("error", "stale"), Status.UNKNOWN: ("note", "unknown")}


class LoadedReport(NamedTuple):
    """What both outputs are made from."""

    facts: Facts
    answers: tuple[ModuleAnswer, ...]
    where: str
    """The other machine, as the user named it; empty for this one."""
    origins: dict[str, Origin]
    """What is remembered of build ids."""
    sysroot: str = ""
    """The root of the machine that was looked at; empty for one that runs."""
    is_whole: bool = False
    """All modules of a tree are compared: a module without a break gets one line."""

    @property
    def status(self) -> Status:
        """The worst of all modules."""
        return worst(answer.status for answer in self.answers)


def write_loaded(pen: TextOutput, report: LoadedReport) -> None:
    """Write the chain of every module, the first break of each last; of a whole tree, only chains with a break."""
    machine = f" on {report.where}" if report.where else ""
    for answer in report.answers:
        if report.is_whole and answer.first_break is None:
            continue
        pen.lines.append(f"{pen.mark('bold', answer.module.name)}{machine}")
        for link in answer.links:
            colour, label = _MARKS[link.status]
            text = link_sentence(pen, report, answer, link)
            pen.lines.append(f"  {pen.mark(colour, label.ljust(7))}  {link.stage.value.ljust(9)}  {text}")
            pen.lines += [f"{' ' * 22}also there: {pen.path(path)}" for path in _further_files(link)]
        pen.lines.append("")
        command = mend(report, answer, pen.cwd)
        if command:
            pen.lines += [f"{pen.mark('help', 'help')}: {command[0]}", f"    {command[1]}", ""]
    for answer in report.answers:
        colour, label = _MARKS[answer.status]
        label = "fresh" if answer.status is Status.FRESH else label
        pen.lines.append(f"{pen.mark(colour, label)}: {headline(answer)}{machine}")


def headline(answer: ModuleAnswer) -> str:
    """Say in one sentence what is wrong with a module first."""
    name, link = answer.module.name, answer.first_break
    if link is None:
        loaded = next(one for one in answer.links if one.stage is Stage.LOADED)
        runs = loaded.kind in (Kind.SAME_LINK, Kind.SAME_CODE)
        return (
            f"{name}: the loaded module is the one that was built"
            if runs
            else f"{name}: no older copy is in use"
        )
    if link.status is Status.UNKNOWN:
        return f"{name}: cannot tell, see `{link.stage.value}` above"
    if link.kind in _HEADS:
        return _HEADS[link.kind].format(name=name)
    return f"{name}: {_PLACES[link.stage]} not the one that was built"


def _further_files(link: Link) -> tuple[str, ...]:
    return link.others if link.stage is Stage.INSTALLED else ()


def link_sentence(pen: TextOutput, report: LoadedReport, answer: ModuleAnswer, link: Link) -> str:
    """Say what was found at one link."""
    path = pen.path(link.path) if link.path else ""
    if link.stage is Stage.INITRAMFS and link.others:
        path = f"{pen.path(link.others[0])} ({link.path})"
    if link.kind in (Kind.SAME_LINK, Kind.SAME_CODE, Kind.OTHER_LINK) and path:
        path += ":"
    text = SENTENCES[link.kind].format(
        ko=os.path.basename(answer.module.path), path=path, id=_short_id(link.build_id), detail=link.detail,
        release=answer.module.file.release if answer.module.file else answer.module.result.tree.release,
        why=_reason(pen, answer.module),
    ).strip()  # fmt: skip
    if link.stage is Stage.LOADED and link.others:
        text += f"; live patches are on: {', '.join(link.others)}"
    if link.stage is Stage.BOOTED and report.facts.version:
        text += f" ({report.facts.version})"
    origin = report.origins.get(link.build_id or "")
    is_old = answer.module.sources is Status.STALE and link.stage is Stage.LOADED
    if origin is not None and (link.kind in _OTHERS or is_old):
        text += f", {origin_text(origin, pen.path, pen.now_ns / 1e9)}"
    if link.stage is Stage.INITRAMFS and link.kind is Kind.OTHER_LINK:
        text += ", which is loaded before the root file system's"
    return text


def _short_id(build_id: str | None) -> str:
    return f"{build_id[:12]}…" if build_id else "which has no build id"


def _reason(pen: TextOutput, module: BuiltModule) -> str:
    """Say why make would build a module again, or should."""
    result = module.result
    if result.verdict.status is not Status.FRESH and not (result.rules.whole and module.pending):
        lines = headlines(result, cwd=pen.cwd, now_ns=pen.now_ns)
        return lines[0] if lines else "`kdeps check` with the same arguments lists why"
    for state in (module.pending,) if module.pending else ():
        reason = state.reasons[0]
        if reason.kind is ReasonKind.NEWER_PREREQUISITE:
            return f"{pen.path(reason.path)} changed {pen.ago(reason.mtime_ns)}"
    return "make would build it again"


def mend(report: LoadedReport, answer: ModuleAnswer, cwd: str) -> tuple[str, str] | None:
    """Return what the command that mends the first break does, and the command; None if no command does."""
    link = answer.first_break
    if link is None:
        link = next((one for one in answer.links if one.kind is Kind.INDEX_OLDER), None)
    if link is None:
        return None
    tree, name = answer.module.result.tree, shell_quoted(answer.module.name)
    on = f", on {report.where}" if report.where else ""
    release = shell_quoted(report.facts.installed_release)
    base = f"-b {shell_quoted(report.sysroot)} " if report.sysroot else ""
    depmod = f"sudo depmod {base}{release}"
    if link.kind in (Kind.SOURCES_CHANGED, Kind.NOT_BUILT):
        return "to build it", f"kdeps {_make_command(tree, cwd)}"
    if link.status is Status.UNKNOWN:
        return None
    if link.kind in (Kind.NOT_INDEXED, Kind.FILE_GONE, Kind.INDEX_OLDER):
        return f"to let modprobe find it{on}", depmod
    if link.kind is Kind.LEFT_OVER:
        return f"to remove it{on}", f"sudo rm {shell_quoted(link.path)} && {depmod}"
    if link.kind is Kind.OTHER_LINK and link.stage is Stage.INSTALLED:
        to = f" INSTALL_MOD_PATH={shell_quoted(report.sysroot)}" if report.sysroot else ""
        return f"to install it{on}", f"sudo {_make_command(tree, cwd, INSTALL_GOAL)}{to} && {depmod}"
    if link.stage is Stage.INITRAMFS:
        return f"to renew the initramfs{on}", _initramfs_command(link.others[0], release)
    if link.stage is Stage.LOADED and link.kind is not Kind.BUILT_IN:
        return _reload(report, answer, name, on, is_loaded=link.kind is not Kind.NOT_LOADED)
    if link.stage is Stage.BOOTED and report.facts.has_modules_folder:
        return f"to boot the kernel that it is for{on}", "sudo reboot"
    return None


def _make_command(tree: Tree, cwd: str, goal: str = "") -> str:
    """The make that builds a module, or all modules of a kernel; with a goal, the one that does that with them."""
    if tree.module is None:
        words = shown_command(tree, cwd, goal or "modules")
    else:
        words = [*module_command(tree, tree, cwd), *([goal] if goal else [])]
    return shell_joined(words)


def _initramfs_command(image: str, release: str) -> str:
    if os.path.basename(image).startswith("initrd.img"):
        return f"sudo update-initramfs -u -k {release}"
    return f"sudo dracut --force --kver {release}"


def _reload(
    report: LoadedReport, answer: ModuleAnswer, name: str, on: str, *, is_loaded: bool
) -> tuple[str, str]:
    installed = any(
        link.stage is Stage.INSTALLED and link.kind in (Kind.SAME_LINK, Kind.SAME_CODE)
        for link in answer.links
    )
    file = os.path.basename(answer.module.path) if report.where else answer.module.path
    load = f"sudo modprobe {name}" if installed else f"sudo insmod {shell_quoted(file)}"
    if not is_loaded:
        return f"to load it{on}", load
    return f"to load it in place of the old one{on}", f"sudo rmmod {name} && {load}"
