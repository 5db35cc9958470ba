# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Remember the commands of the kernel that Kbuild itself has confirmed.

The records show everything about staleness except whether Kbuild would run the *same
command* today. Kbuild takes a second or two to answer that, and a fresh build must not
wait so long. So what a command is made from is remembered together with the commands
that were recorded when Kbuild confirmed them. While neither has changed, the records
alone are exact.

A command of ``rust/`` or ``scripts/`` is made from

* make's arguments, ``MAKEFLAGS`` and the environment (``environment``);
* ``auto.conf``, which every Makefile includes, with ``auto.conf.cmd``;
* the Makefiles and the scripts that ``modules_prepare`` reads (``kbuild.command_files``);
* the tools, as ``PATH`` finds them: options are probed for by running them;
* the places of the trees, and the folder that make stands in.

A module's own Makefile is not among them: its commands are the module's, and
``make M=…`` compares those by itself. Those of other modules, whose outputs it reads, are.

In doubt Kbuild is asked: nothing is remembered if a file has changed a moment ago or
cannot be read, or if the cache is broken.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import NamedTuple

from kdeps import __version__
from kdeps.kbuild.command_files import find_command_files, find_module_files
from kdeps.kbuild.configuration import make_variables
from kdeps.kbuild.environment import fingerprint_environment, inherited_flags, says_what, settings
from kdeps.kbuild.rule import Action, Owner
from kdeps.kbuild.tree import Tree
from kdeps.staleness.check import CheckResult
from kdeps.system.cache import Store
from kdeps.system.stat import FINE_NS, find_stamp

KEPT = 32
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
    """The recorded commands of the rules that are not the module's own."""
    files: dict[str, str]
    """Makefiles, scripts and configuration → their stamps; empty for a missing file."""


def take_inputs(result: CheckResult, environ: dict[str, str]) -> Confirmation:
    """Note what the commands of a build are made from at this moment, with the environment for a make of the kernel."""
    files = {path: find_stamp(path) for path in _find_makefiles(result, environ)}
    return Confirmation(_key(result.tree, environ), _commands(result), files)


def is_confirmed(result: CheckResult, environ: dict[str, str]) -> bool:
    """Tell whether Kbuild has confirmed these very commands, made from these very inputs."""
    key = _key(result.tree, environ)
    known = _load(key, environ)
    if known is None or known.commands != _commands(result):
        return False
    return all(find_stamp(path) == stamp for path, stamp in known.files.items())


def confirm(result: CheckResult, before: Confirmation, environ: dict[str, str]) -> None:
    """Remember that Kbuild would run the commands that are recorded, by a result taken after Kbuild said so.

    The inputs were taken before it was asked. Only the configuration may have changed since, because a refresh syncs
    it.
    """
    after = take_inputs(result, environ)
    settled = time.time_ns() - FINE_NS
    config = f"{result.tree.objtree}/include/config/"
    for path, stamp in after.files.items():
        if path.startswith(config):
            continue
        if before.files.get(path) != stamp or (stamp and int(stamp.rpartition(":")[2]) > settled):
            return
    if before.key == after.key:
        _store(after, environ)


def _key(tree: Tree, environ: dict[str, str]) -> str:
    words = [word for word in tree.args.for_kernel if says_what(word)]
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
    # Every program that an option may be probed with, and which file it is now.
    tools = [f"{path} {stamp}" for path, stamp in _find_tools(tree, environ) if stamp]
    return fingerprint_environment([*parts, *tools])


def find_inputs(result: CheckResult, environ: dict[str, str]) -> list[str]:
    """List every file that a command may be made from, there or not."""
    return [*_find_makefiles(result, environ), *(path for path, _ in _find_tools(result.tree, environ))]


def _find_makefiles(result: CheckResult, environ: dict[str, str]) -> list[str]:
    others = (path for source, _ in result.rules.others for path in find_module_files(source))
    return [*find_command_files(result.tree, environ), *others]


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
            path = os.path.join(tree.make_directory, folder, name)  # an empty entry is where make stands
            stamp = find_stamp(path)
            yield path, stamp
            if stamp:
                break


def _commands(result: CheckResult) -> str:
    return "\n".join(
        f"{rule.target} {rule.command}"
        for rule in result.graph.rules
        if rule.owner is not Owner.MODULE and rule.action is Action.IF_CHANGED
    ).replace("\0", "")


def _load(key: str, environ: dict[str, str]) -> Confirmation | None:
    saved = Store("confirmed", environ, keep=KEPT).load(key)
    if saved is None:
        return None
    commands, _, files = saved.decode("utf-8", "surrogateescape").partition("\0")
    pairs = (line.partition("\t") for line in files.split("\n"))
    return Confirmation(key, commands, {path: stamp for stamp, tab, path in pairs if tab})


def _store(confirmation: Confirmation, environ: dict[str, str]) -> None:
    if any("\n" in name for name in confirmation.files):
        return
    files = "".join(f"{stamp}\t{name}\n" for name, stamp in confirmation.files.items())
    text = f"{confirmation.commands}\0{files}"
    Store("confirmed", environ, keep=KEPT).save(confirmation.key, text.encode("utf-8", "surrogateescape"))
