# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Whether the kernel would still be called what it is called in every module's vermagic.

``make modules_prepare`` asks ``scripts/setlocalversion`` each time and writes the name anew; ``make M=…`` takes
the one that is there. What the name is made of is read here: the version of the Makefile, the
``localversion*`` files, ``CONFIG_LOCALVERSION``, ``LOCALVERSION=``, and of git the commit that is checked out.
Where git's part looks as if it were another one now, the script itself is asked. What is left out is
``-dirty``: git would have to look at each source.

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

_BY_GIT = re.compile(r"\+|(?P<count>-\d{5,})?(?:-g(?P<commit>[0-9a-f]{12}))?(?:-dirty)?")
_MAX_REFS = 1 << 24
_PATIENCE_S = 60
"""For ``-dirty`` git compares every source."""


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
    suffix = tree.release.removeprefix(name)
    rest = _BY_GIT.fullmatch(suffix) if tree.release.startswith(name) else None
    says = f"contains {tree.release}, and `make modules_prepare` would write"
    if rest is None:
        if not tree.release.startswith(name):
            message = f"{says} {name}; M= builds keep the old name"
            return [Finding(ReasonKind.CONFIG_NOT_SYNCED, path, message, "", Status.STALE)]
        message = f"{says} {name}, unless LOCALVERSION={suffix} is given"
        help_text = "give make and kdeps the LOCALVERSION= that the kernel was built with"
        return [Finding(ReasonKind.CONFIG_NOT_SYNCED, path, message, help_text, Status.UNKNOWN)]
    head = find_commit(tree.srctree) if rest["commit"] else ""
    if head and not head.startswith(rest["commit"]):
        message = (
            f"names commit {rest['commit']}, and {head[:12]} is checked out; M= builds keep the old name"
        )
        return [Finding(ReasonKind.CONFIG_NOT_SYNCED, path, message, "", Status.STALE)]
    if not _is_surely_so(rest, tree, version, configuration, environ):
        now = _ask_script(tree, version, environ)
        if now is not None and now.removesuffix("-dirty") != tree.release.removesuffix("-dirty"):
            unless = (
                "" if suffix or _is_set("LOCALVERSION", tree, environ) else ", unless LOCALVERSION= is given"
            )
            message = f"{says} {now}{unless}; M= builds keep the old name"
            return [Finding(ReasonKind.CONFIG_NOT_SYNCED, path, message, "", Status.STALE)]
    return _check_compiled_name(tree)


def _is_surely_so(
    rest: re.Match[str], tree: Tree, version: str, configuration: Configuration, environ: dict[str, str]
) -> bool:
    """Whether git's part of the name is what it has to be, as far as its files show without its history."""
    head = find_commit(tree.srctree)
    if not head:
        return True
    tags = _find_tags(tree, version)
    suffix = rest[0].removesuffix("-dirty")
    if parse_value(configuration.auto_conf, "LOCALVERSION_AUTO") == "y":
        if rest["commit"]:
            return (rest["count"] is not None) == bool(tags)
    elif _is_set("LOCALVERSION", tree, environ):
        return suffix == ""
    return suffix == ("" if tags and _is_tagged(head, tags, tree, environ) else "+")


def _is_set(name: str, tree: Tree, environ: dict[str, str]) -> bool:
    return name in tree.args.variables or name in environ


def _find_tags(tree: Tree, version: str) -> list[str]:
    """Find the tags by which the script may go, of those that git has."""
    *_, packed = list_git_files(tree.srctree)
    refs = read_text(packed, _MAX_REFS)
    names = {path: path.rpartition("/refs/tags/")[2] for path in list_tag_files(tree, version)}
    return [name for path, name in names.items() if os.path.exists(path) or f" refs/tags/{name}\n" in refs]


def _is_tagged(head: str, tags: list[str], tree: Tree, environ: dict[str, str]) -> bool:
    commits = [
        _run(["git", "rev-parse", "-q", "--verify", f"{tag}^{{commit}}"], tree.srctree, environ)
        for tag in tags
    ]
    return head in commits


def list_tag_files(tree: Tree, version: str) -> list[str]:
    """The files in which git would have the tags by which the script goes."""
    added = "".join(map(_read_localversion, find_localversions(tree)))
    number = re.sub(r"^(\d+\.\d+)\.0", r"\1", version)
    names = {added.removeprefix("-"), f"v{number}{added}", f"v{number}"} - {""}
    return [
        f"{os.path.dirname(path)}/refs/tags/{name}"
        for path in list_git_files(tree.srctree)
        if path.endswith("/packed-refs")
        for name in sorted(names)
    ]


def _ask_script(tree: Tree, version: str, environ: dict[str, str]) -> str | None:
    """Ask ``scripts/setlocalversion`` for the release, as ``modules_prepare`` does; it writes nothing."""
    given = {name: value for name, value in tree.args.variables.items() if name == "LOCALVERSION"}
    script = ["sh", f"{tree.srctree}/scripts/setlocalversion", tree.srctree]
    said = _run(script, tree.objtree, {**environ, **given, "KERNELVERSION": version})
    # That of 6.1 names only what comes behind the version.
    return said if said is None or said.startswith(version) else version + said


def _run(command: list[str], folder: str, environ: dict[str, str]) -> str | None:
    """Return what a program prints, or None if it fails."""
    import subprocess

    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "surrogateescape").strip() if done.returncode == 0 else None


def _check_compiled_name(tree: Tree) -> list[Finding]:
    """Compare the header that modules are compiled with: ``modules_prepare`` writes it from the same name."""
    path = f"{tree.objtree}/include/generated/utsrelease.h"
    text = read_text(path, 4096)
    # What is given to make wins over what the file kernel.release says; DKMS gives it always.
    release = tree.args.variables.get("KERNELRELEASE", tree.release)
    # Of installed headers the two may differ, as in Debian 12, and no rule is there that writes one.
    if not os.path.exists(path) or f'"{release}"' in text or tree.prebuilt:
        return []
    names = "names another release than" if text else "is empty and does not name"
    message = f"{names} {release}; `make modules_prepare` would rewrite it, but M= builds use it as it is"
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
    common = os.path.join(git, read_text(f"{git}/commondir", 4096).strip() or ".")
    if head.startswith("ref: "):
        yield f"{common}/{head[5:]}"
    yield f"{common}/packed-refs"
