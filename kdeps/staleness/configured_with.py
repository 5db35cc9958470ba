# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The variables that Kconfig read, against those that this make would give it.

make syncs the configuration anew where one of them differs: ``auto.conf.cmd`` compares each.
"""

from __future__ import annotations

import os

from kdeps.formats.kconfig import parse_value
from kdeps.kbuild.configuration import COMPARED_BY_ANSWER, Configuration, make_variables
from kdeps.kbuild.toolchain import pahole_version, version_text
from kdeps.kbuild.tree import Tree
from kdeps.staleness.reasons import Finding, ReasonKind, Remedy, Status


def check_variables(tree: Tree, configuration: Configuration, environ: dict[str, str]) -> list[Finding]:
    """Find the first variable that has another value now; one family of tools shows in CC, LD, NM, AR …"""
    for name, recorded, now in _list_values(tree, configuration, environ):
        if now == recorded or _is_same_tool(name, recorded, now, tree, environ):
            continue
        if _is_same_arch({recorded, now}, configuration):
            continue
        message = f"configured with {name}={recorded}, but this make would use {name}={now}"
        # With other tools a refresh would configure the whole kernel again because of a slip.
        slip = name not in ("KERNELVERSION", "srctree", "PAHOLE_VERSION") or now == "0"
        return [
            Finding(
                ReasonKind.CONFIG_NOT_SYNCED,
                f"{tree.objtree}/include/config/auto.conf",
                message,
                _hint(name, recorded) if slip else "",
                Status.STALE,
                remedy=Remedy.MANUAL if slip else Remedy.REFRESH,
            )
        ]
    return []


def _list_values(
    tree: Tree, configuration: Configuration, environ: dict[str, str]
) -> list[tuple[str, str, str]]:
    """Name, recorded and present value of each variable that kdeps can compute."""
    actual = make_variables(tree, environ)
    given = {**environ, **tree.args.variables}
    found: list[tuple[str, str, str]] = []
    for name, recorded in configuration.inputs.variables:
        if name == "srctree":
            # make compares the text, and an absolute one is free of links.
            is_same = recorded == tree.srctree or (
                recorded[:1] != "/" and os.path.realpath(os.path.join(tree.objtree, recorded)) == tree.srctree
            )
            found.append((name, recorded, recorded if is_same else tree.srctree))
        elif name == "PAHOLE_VERSION":
            found.append((name, recorded, pahole_version(actual["PAHOLE"], environ, tree.make_directory)))
        elif name == "CLANG_FLAGS" and recorded:
            # Its other words follow from ARCH and CROSS_COMPILE. Source: linux scripts/Makefile.clang.
            then = "0" if "-fno-integrated-as" in recorded else "1"
            found.append(("LLVM_IAS", then, "0" if given.get("LLVM_IAS") == "0" else "1"))
        elif name in actual:
            found.append((name, recorded, actual[name]))
    return found


def _is_same_arch(names: set[str], configuration: Configuration) -> bool:
    """Whether two values of ARCH configure the same kernel: arch/x86/Kconfig asks x86 about 64BIT, and x86_64 has it."""
    return names == {"x86", "x86_64"} and parse_value(configuration.auto_conf, "64BIT") == "y"


def _hint(name: str, recorded: str) -> str:
    """Say what to put on the command line to get the tools the tree was configured with."""
    folder, _, tool = recorded.rpartition("/")
    if name == "CC" and tool.startswith("clang"):
        llvm = f"{folder}/" if folder else tool[5:] or "1"
        return f"the tree was configured with LLVM={llvm}: give it to make and to kdeps"
    if name == "CC" and tool.endswith("gcc"):
        cross = recorded[: -len("gcc")]
        return f"the tree was configured without LLVM={f' and with CROSS_COMPILE={cross}' if cross else ''}"
    if name == "PAHOLE_VERSION":
        return (
            "put pahole into PATH: without it make configures the kernel anew, and leaves out what needs it"
        )
    if name in ("ARCH", "SRCARCH", "PAHOLE", "LLVM_IAS"):
        return f"the tree was configured with {name.removeprefix('SRC')}={recorded}"
    return ""


def _is_same_tool(name: str, recorded: str, now: str, tree: Tree, environ: dict[str, str]) -> bool:
    """Whether two spellings of a tool answer alike: ``clang`` and ``ccache clang``."""
    if name not in COMPARED_BY_ANSWER:
        return False
    answer = version_text(now, environ, tree.make_directory)
    return bool(answer) and answer == version_text(recorded, environ, tree.make_directory)
