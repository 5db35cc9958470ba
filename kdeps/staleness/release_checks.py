# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Whether the kernel would still be called what it is called in every module's vermagic.

``make modules_prepare`` asks ``scripts/setlocalversion`` each time and writes the name anew; ``make M=…`` takes
the one that is there. What the name is made of is read here: the version of the Makefile, the
``localversion*`` files, ``CONFIG_LOCALVERSION``, ``LOCALVERSION=``, and of git the commit that is checked out.

Source: linux ``scripts/setlocalversion`` (6.1 to 7.3).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from kdeps.formats.kconfig import parse_value
from kdeps.kbuild.configuration import Configuration, make_variables
from kdeps.kbuild.tree import Tree
from kdeps.staleness.reasons import Finding, ReasonKind, Status
from kdeps.system.files import read_text

_BY_GIT = re.compile(r"\+|(?:-\d{5,})?(?:-g(?P<commit>[0-9a-f]{12}))?(?:-dirty)?")
_MAX_REFS = 1 << 24


def check_release_name(tree: Tree, configuration: Configuration, environ: dict[str, str]) -> list[Finding]:
    """Compare ``kernel.release`` with what ``modules_prepare`` would write."""
    path = f"{tree.objtree}/include/config/kernel.release"
    version = make_variables(tree, environ).get("KERNELVERSION", "")
    synced = dict(configuration.inputs.variables).get("KERNELVERSION", version)
    if not version or synced != version:
        return []  # of another source the configuration tells already
    if not tree.release:
        message = "is missing: modules are built without a release; M= builds do not notice"
        return [Finding(ReasonKind.CONFIG_NOT_SYNCED, path, message, "", Status.STALE)]
    given = tree.args.variables.get("LOCALVERSION", environ.get("LOCALVERSION", ""))
    configured = (parse_value(configuration.auto_conf, "LOCALVERSION") or "").strip('"')
    name = f"{version}{''.join(map(_read_localversion, find_localversions(tree)))}{configured}{given}"
    rest = _BY_GIT.fullmatch(tree.release[len(name) :]) if tree.release.startswith(name) else None
    says = f"contains {tree.release}, and `make modules_prepare` would write"
    if rest is None:
        if not tree.release.startswith(name):
            message = f"{says} {name}; M= builds keep the old name"
            return [Finding(ReasonKind.CONFIG_NOT_SYNCED, path, message, "", Status.STALE)]
        message = f"{says} {name}, unless LOCALVERSION={tree.release[len(name) :]} is given"
        help_text = "give make and kdeps the LOCALVERSION= that the kernel was built with"
        return [Finding(ReasonKind.CONFIG_NOT_SYNCED, path, message, help_text, Status.UNKNOWN)]
    head = find_commit(tree.srctree) if rest["commit"] else ""
    if head and not head.startswith(rest["commit"]):
        message = (
            f"names commit {rest['commit']}, and {head[:12]} is checked out; M= builds keep the old name"
        )
        return [Finding(ReasonKind.CONFIG_NOT_SYNCED, path, message, "", Status.STALE)]
    return _check_compiled_name(tree)


def _check_compiled_name(tree: Tree) -> list[Finding]:
    """Compare the header that modules are compiled with: ``modules_prepare`` writes it from the same name."""
    path = f"{tree.objtree}/include/generated/utsrelease.h"
    text = read_text(path, 4096)
    # Of installed headers the two may differ, as in Debian 12, and no rule is there that writes one.
    if not os.path.exists(path) or f'"{tree.release}"' in text or tree.prebuilt:
        return []
    names = "names another release than" if text else "is empty and does not name"
    message = (
        f"{names} {tree.release}; `make modules_prepare` would rewrite it, but M= builds use it as it is"
    )
    return [Finding(ReasonKind.CONFIG_NOT_SYNCED, path, message, "", Status.STALE)]


def find_localversions(tree: Tree) -> list[str]:
    """The files that add to the release, in order: those of the object tree first."""
    found: list[str] = []
    for folder in dict.fromkeys((tree.objtree, tree.srctree)):
        try:
            names = sorted(name for name in os.listdir(folder) if name.startswith("localversion"))
        except OSError:
            continue
        found += [f"{folder}/{name}" for name in names if "~" not in name]
    return found


def _read_localversion(path: str) -> str:
    """What a shell's ``$(cat FILE)`` gives."""
    return read_text(path, 4096).rstrip("\n").replace("\0", "")


def find_commit(srctree: str) -> str:
    """The commit that is checked out, or "" if this is no checkout or git keeps it in another way."""
    head = ""
    for path in list_git_files(srctree):
        text = read_text(path, _MAX_REFS)
        if path.endswith("/HEAD"):
            head = text.strip()
            if not head.startswith("ref: "):
                return head
        elif path.endswith("/packed-refs"):
            packed = re.search(rf"^([0-9a-f]{{40,}}) {re.escape(head[5:])}$", text, re.MULTILINE)
            return packed[1] if packed else ""
        elif text.strip():
            return text.strip()
    return ""


def list_git_files(srctree: str) -> Iterator[str]:
    """The files that say which commit is checked out, in the order in which git asks them."""
    git = f"{srctree}/.git"
    if not os.path.isdir(git):
        elsewhere = read_text(git, 4096)
        if not elsewhere.startswith("gitdir: "):
            return
        git = os.path.join(srctree, elsewhere[8:].strip())
    yield f"{git}/HEAD"
    head = read_text(f"{git}/HEAD", 4096).strip()
    if head.startswith("ref: "):
        common = os.path.join(git, read_text(f"{git}/commondir", 4096).strip() or ".")
        yield f"{common}/{head[5:]}"
        yield f"{common}/packed-refs"
