# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What Kbuild itself has confirmed: that no command of the kernel's own would differ.

The record tells everything about staleness but one thing: whether Kbuild would
run the *same command* today. Kbuild tells in a second or two; a fresh build
shall not wait for that. So what a command is made from is remembered together
with the commands that were recorded when Kbuild confirmed them. While neither
has changed, the record alone is exact.

A command of ``rust/`` or ``scripts/`` is made from

* make's arguments, ``MAKEFLAGS`` and the environment (``environment``);
* ``auto.conf``, which every Makefile includes, with ``auto.conf.cmd``;
* the Makefiles and the scripts that ``modules_prepare`` reads: those at the top of the
  source tree, everything like one under ``scripts/``, ``rust/``, ``arch/<srcarch>/``,
  ``tools/build``, ``tools/scripts``, ``tools/objtool`` and ``tools/lib/subcmd``,
  and ``rust/bindgen_parameters``, which is read into a command. More files than it
  really reads, so that a change somewhere else among them costs one question;
* the tools, as ``PATH`` finds them: options are probed for by running them;
* where the trees lie, and where make stands.

A module's own Makefile is not among them: its commands are the module's, and
``make M=…`` compares those by itself.

When in doubt, ask: a file that changed a moment ago, one that cannot be read, a
cache that is broken all mean that nothing is remembered.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import NamedTuple

from kdeps import __version__
from kdeps.cache import cache_directory, name_of, store
from kdeps.findings import make_variables
from kdeps.repair.environment import fingerprint, inherited_flags, says_what, settings
from kdeps.repair.plan import kernel_words
from kdeps.rules import Action, Scope
from kdeps.survey import Survey
from kdeps.tree import Tree

KEPT = 32
"""How many confirmations are kept; the oldest go first."""
_RACY_NS = 50_000_000
"""A file that changed this recently could change again within the same tick of its stamp."""
_FOLDERS = (
    "scripts",
    "rust",
    "arch/{srcarch}",
    "tools/build",
    "tools/scripts",
    "tools/objtool",
    "tools/lib/subcmd",
)
_MAKEFILES = ("Makefile", "Kbuild", "GNUmakefile", "Build", "Platform")
_SUFFIXES = (".include", ".mk", ".sh", "bindgen_parameters")
_PROBED = (
    "READELF",
    "STRIP",
    "HOSTCC",
    "HOSTRUSTC",
    "PAHOLE",
    "make",
    "sh",
    "gcc",
    "clang",
    "ld.lld",
    "pahole",
    "cc",
)


class Confirmation(NamedTuple):
    """What commands are made from, and the commands that were recorded."""

    key: str
    """The fingerprint of arguments, environment, tools, places."""
    commands: str
    """The recorded commands of the kernel's own rules."""
    files: dict[str, str]
    """Makefiles, scripts and configuration → their stamps; empty where there is none."""


def take_inputs(survey: Survey, environ: dict[str, str]) -> Confirmation:
    """Note what the commands of a build are made from at this moment.

    Args:
        survey: Of the build.
        environ: The environment for a make of the kernel (``request.kernel_environment``).
    """
    files = {path: _stamp(path) for path in _find_makefiles(survey.tree, environ)}
    return Confirmation(_key(survey.tree, environ), _commands(survey), files)


def is_confirmed(survey: Survey, environ: dict[str, str]) -> bool:
    """Tell whether Kbuild has confirmed these very commands, made from these very inputs."""
    key = _key(survey.tree, environ)
    known = _load(_path(survey.tree, key, environ))
    if known is None or known.key != key or known.commands != _commands(survey):
        return False
    return all(_stamp(path) == stamp for path, stamp in known.files.items())


def confirm(survey: Survey, before: Confirmation, environ: dict[str, str]) -> None:
    """Remember that Kbuild would run the commands that are recorded.

    Args:
        survey: Taken after Kbuild said so.
        before: The inputs, taken before Kbuild was asked. Only the configuration
            may have changed since, for a refresh syncs it.
        environ: As for ``take_inputs``.
    """
    after = take_inputs(survey, environ)
    settled = time.time_ns() - _RACY_NS
    config = f"{survey.tree.objtree}/include/config/"
    for path, stamp in after.files.items():
        if path.startswith(config):
            continue
        if before.files.get(path) != stamp or (stamp and int(stamp.rpartition(":")[2]) > settled):
            return
    if before.key == after.key:
        _store(_path(survey.tree, after.key, environ), after)


def _key(tree: Tree, environ: dict[str, str]) -> str:
    words = [word for word in kernel_words(tree) if says_what(word)]
    parts = [
        "kdeps",
        __version__,
        tree.srctree,
        tree.objtree,
        tree.make_directory,
        *words,
        "",
        *inherited_flags(environ),
        "",
        *settings(environ),
    ]
    return fingerprint([*parts, *_tools(tree, environ)])


def find_inputs(tree: Tree, environ: dict[str, str]) -> list[str]:
    """List every file that a command may be made from, there or not."""
    return [*_find_makefiles(tree, environ), *(path for path, _ in _find_tools(tree, environ))]


def _tools(tree: Tree, environ: dict[str, str]) -> Iterator[str]:
    """Every program that an option may be probed with, and which file it is now."""
    return (f"{path} {stamp}" for path, stamp in _find_tools(tree, environ) if stamp)


def _find_tools(tree: Tree, environ: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Where each program is looked for until it is found, with the stamps of these files."""
    values = make_variables(tree, environ)
    names: dict[str, None] = {}
    for name in ("RUSTC", "BINDGEN", "CC", "LD", "AR", "NM", "OBJCOPY", "PYTHON3", *_PROBED):
        value = tree.args.variables.get(name) or environ.get(name) or values.get(name, name)
        names.update(dict.fromkeys(value.split()))
    folders = environ.get("PATH", os.defpath).split(":")
    for name in names:
        for folder in folders if "/" not in name else ("",):
            path = os.path.join(folder, name)
            stamp = _stamp(path)
            yield path, stamp
            if stamp:
                break


def _commands(survey: Survey) -> str:
    return "\n".join(
        f"{rule.target} {rule.command}"
        for rule in survey.graph.rules
        if rule.scope is Scope.KERNEL and rule.action is Action.IF_CHANGED
    ).replace("\0", "")


def _find_makefiles(tree: Tree, environ: dict[str, str]) -> list[str]:
    """List the files that commands are made from; those that would count if they appeared, too."""
    srctree = tree.srctree
    found = [f"{tree.objtree}/include/config/{name}" for name in ("auto.conf", "auto.conf.cmd")]
    found += [f"{srctree}/{name}" for name in ("Makefile", "GNUmakefile", "Kbuild")]
    # make reads these before any other, in every folder that it works in.
    found += [os.path.join(tree.make_directory, name) for name in environ.get("MAKEFILES", "").split()]
    waiting = [f"{srctree}/{folder.format(srcarch=tree.srcarch)}" for folder in _FOLDERS]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        if entry.name[0] != ".":
                            waiting.append(entry.path)
                    elif entry.name.startswith(_MAKEFILES) or entry.name.endswith(_SUFFIXES):
                        found.append(entry.path)
                        if entry.name == "Makefile":
                            found.append(f"{folder}/Kbuild")  # would be read instead
        except OSError:
            continue
    return sorted(set(found))


def _stamp(path: str) -> str:
    """What tells a changed file from an unchanged one, whatever its mtime was set to; empty: none."""
    try:
        found = os.stat(path)
    except OSError:
        return ""
    return f"{found.st_ino}:{found.st_size}:{found.st_mtime_ns}:{found.st_ctime_ns}"


def _path(tree: Tree, key: str, environ: dict[str, str]) -> str:
    folder = os.path.join(cache_directory(environ), "confirmed")
    return os.path.join(folder, f"{name_of(tree.objtree)}-{key[:16]}")


def _load(path: str) -> Confirmation | None:
    try:
        with open(path, "rb") as file:
            text = file.read().decode("utf-8", "surrogateescape")
    except OSError:
        return None
    parts = text.split("\0")
    if len(parts) != 4 or parts[3] != "end\n":
        return None
    pairs = (line.partition("\t") for line in parts[2].split("\n"))
    return Confirmation(parts[0], parts[1], {path: stamp for stamp, tab, path in pairs if tab})


def _store(path: str, confirmation: Confirmation) -> None:
    """Write in one rename; not being able to costs a question, never correctness."""
    if any("\n" in name for name in confirmation.files):
        return
    files = "".join(f"{stamp}\t{name}\n" for name, stamp in confirmation.files.items())
    text = f"{confirmation.key}\0{confirmation.commands}\0{files}\0end\n"
    store(path, text.encode("utf-8", "surrogateescape"), kept=KEPT)
