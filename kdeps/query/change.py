# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Find what a user means who names something that changes.

It may be a file that steps have read, a folder of such files, a configuration symbol, or a
crate, whose step then runs again. For a file that no step has read the answer is where a new
file of that kind would have to be named, and which crate it would belong to.
"""

from __future__ import annotations

import os
import re
from enum import Enum
from typing import NamedTuple

from kdeps.formats.kconfig import parse_symbols
from kdeps.kbuild.configuration import read_configuration
from kdeps.kbuild.rule import Rule
from kdeps.query.names import Names
from kdeps.system.errors import UnknownTarget
from kdeps.system.files import read_text

_MAKEFILES = re.compile(r"(Makefile|Kbuild|Build|Platform)([._-].*)?|.*\.(include|mk)")
_INCLUDES_C = re.compile(r'^#include "[^"]+\.c"', re.MULTILINE)
_TOOLS = ("tools/build", "tools/scripts", "tools/objtool", "tools/lib/subcmd")
"""Whose Makefiles modules_prepare reads, besides those of scripts/, rust/ and the architecture."""
_SCRIPTS = re.compile(r".*\.(sh|pl|py|awk)")


class ChangeKind(str, Enum):
    """What kind of thing changes. JSON carries these values."""

    FILE = "file"
    """A file that some step has read."""
    FOLDER = "folder"
    """Every file in it that some step has read."""
    SYMBOL = "symbol"
    STEP = "step"
    """A crate or a module: its own step runs again."""
    NEW = "new"
    """A file that no step has read, but that one would read if it were named; so, the file that names it."""
    CONFIGURATION = "configuration"
    """An input of Kconfig."""
    UNREAD = "unread"
    """Nothing that any step has read."""


class Change(NamedTuple):
    """One thing that changes, as the graph knows it."""

    name: str
    """As it was given."""
    kind: ChangeKind
    paths: tuple[str, ...] = ()
    """Files of the graph that change."""
    symbols: tuple[str, ...] = ()
    """Configuration symbols that change, without ``CONFIG_``."""
    rules: tuple[int, ...] = ()
    """Steps that run again themselves."""
    note: str = ""
    """What else is known, one sentence for a person."""
    commands: str = ""
    """The folder whose commands may change, and those of the folders below; that of the sources for all there are."""


class NameSource(Enum):
    """Who gave the name: a mistyped one is an error, a tool's list holds files of all kinds."""

    PERSON = "person"
    LIST = "list"


def resolve_change(names: Names, name: str, cwd: str, origin: NameSource = NameSource.PERSON) -> Change:
    """Tell what changes when the user says that ``name`` does.

    Raises:
        UnknownTarget: A person named what is neither there nor known.
        AmbiguousName: It fits several files equally well.
    """
    bare = "/" not in name
    if bare and origin is NameSource.PERSON and name in names.short_names:
        return _understand_step(names, name, cwd)
    if name.startswith("CONFIG_") and bare:
        return _understand_symbol(names, name, origin)
    path = _existing(names, name, cwd)
    if path is not None and os.path.isdir(path):
        return _understand_folder(names, name, path)
    if path == f"{names.tree.objtree}/.config":
        return _understand_dot_config(names, name, path)
    found = names.find(name, cwd) if origin is NameSource.PERSON else names.find_path(name, cwd)
    if found is not None:
        if found.symbol:
            return Change(name, ChangeKind.SYMBOL, symbols=(found.symbol,))
        change = Change(name, ChangeKind.FILE, names.same_file(found.path) or (found.path,))
        return _with_commands(change, names, found.path) if is_makefile(found.path) else change
    if path is None:
        path = os.path.normpath(os.path.join(cwd, name))
        plausible = "." in os.path.basename(path) and (
            os.path.isdir(os.path.dirname(path)) or len(_crates_around(names, path, ".rs")) == 1
        )
        if not plausible and not (origin is NameSource.LIST and is_makefile(path)):
            if origin is NameSource.PERSON:
                names.resolve(name, cwd)
            return Change(name, ChangeKind.UNREAD, note="it does not exist, and no step has read it")
    change = _understand_unread(names, name, path)
    if change.kind is ChangeKind.UNREAD and origin is NameSource.PERSON and not os.path.lexists(path):
        return change._replace(note=change.note + names.hint(name))
    return change


def _existing(names: Names, name: str, cwd: str) -> str | None:
    """Find the file that a path means, whether or not the graph has it."""
    for base in (cwd, *names.bases):
        path = os.path.join(base, name)
        if os.path.lexists(path):
            return os.path.realpath(path) if os.path.isdir(path) else os.path.normpath(path)
    return None


def _understand_step(names: Names, name: str, cwd: str) -> Change:
    found = names.resolve_short(name)
    rules = () if found.rule is None else (found.rule,)
    note = ""
    if os.path.isdir(os.path.join(cwd, name)):
        note = f"this means the crate; the folder is {name}/"
    return Change(name, ChangeKind.STEP, rules=rules, note=note)


def _understand_symbol(names: Names, name: str, origin: NameSource) -> Change:
    symbol = name[7:]
    if symbol in names.symbols:
        note = "it may change commands, which no record shows; after the edit, `kdeps check --exact` does"
        return Change(name, ChangeKind.SYMBOL, _symbol_inputs(names, symbol), (symbol,), note=note)
    known = read_configuration(names.tree).symbols
    if name not in known and origin is NameSource.PERSON and names.suggest(name):
        raise UnknownTarget(f"{name}: {names.explain_unknown(name, names.tree.objtree)}")
    note = "no record names it, so it can only change commands; after the edit, `kdeps check --exact` shows which"
    return Change(name, ChangeKind.SYMBOL, symbols=(symbol,), note=note)


def _symbol_inputs(names: Names, symbol: str) -> tuple[str, ...]:
    """The configuration itself, where one of the two steps that read it whole asks for this symbol."""
    if symbol.startswith(("X86_REQUIRED_FEATURE_", "X86_DISABLED_FEATURE_")):
        return (f"{names.tree.objtree}/.config",)  # arch/x86/tools/cpufeaturemasks.awk
    text = read_text(f"{names.tree.srctree}/scripts/generate_rust_target.rs")
    asked = f'"{symbol}"' in text or f'"CONFIG_{symbol}"' in text
    return (f"{names.tree.objtree}/include/config/auto.conf",) if asked else ()


def _understand_folder(names: Names, name: str, folder: str) -> Change:
    inside = names.read_in(folder)
    shown = f"{name.rstrip('/')}/"
    if not inside:
        return Change(shown, ChangeKind.UNREAD, note="no step has read any file in it")
    return Change(
        shown,
        ChangeKind.FOLDER,
        inside,
        note=f"{len(inside)} file{'s' * (len(inside) > 1)} that steps have read",
    )


# -- what no step has read -----------------------------------------------------


def _understand_unread(names: Names, name: str, path: str) -> Change:
    """Say what is known about a file that no record has."""
    base = os.path.basename(path)
    tree = names.tree
    configuration = read_configuration(tree)
    if os.path.relpath(path, tree.srctree) in configuration.inputs.files:
        note = "Kconfig reads it: what it changes shows only after the next modules_prepare has synced the configuration"
        return Change(name, ChangeKind.CONFIGURATION, note=note, commands=tree.srctree)
    if _MAKEFILES.fullmatch(base):
        return _with_commands(Change(name, ChangeKind.UNREAD), names, path)
    exists = os.path.lexists(path)
    state = "no step has read it" if exists else "it does not exist yet"
    if base.endswith(".rs"):
        return _understand_rust(names, name, path, state)
    if base.endswith(".h"):
        return Change(
            name,
            ChangeKind.UNREAD,
            note=f"{state}; a step will read it once a file that it compiles includes it",
        )
    if base.endswith((".c", ".S")):
        return _understand_c(names, name, path, state)
    if _SCRIPTS.fullmatch(base) and path.startswith(f"{tree.srctree}/scripts/"):
        return Change(
            name,
            ChangeKind.UNREAD,
            note=f"{state}; what it prints may go into commands: `kdeps check --exact` shows which differ",
        )
    return Change(name, ChangeKind.UNREAD, note=state)  # fmt: skip


def is_makefile(name: str) -> bool:
    """Whether what a file does shows in commands alone."""
    return _MAKEFILES.fullmatch(os.path.basename(name)) is not None


def _with_commands(change: Change, names: Names, path: str) -> Change:
    """Say what a Makefile may change: commands, and whose."""
    note = f"make compares the commands that {os.path.basename(path)} gives, not its time: after the edit, `kdeps check --exact` shows which differ"
    folder, srctree = os.path.dirname(path), names.tree.srctree
    shared = ("scripts", "rust", *_TOOLS)
    inside = os.path.relpath(folder, srctree)
    everywhere = inside in (".", f"arch/{names.tree.srcarch}") or f"{inside}/".startswith(
        tuple(f"{name}/" for name in shared)
    )
    return change._replace(note=note, commands=srctree if everywhere else folder)


def _understand_dot_config(names: Names, name: str, path: str) -> Change:
    """The symbols that differ from what was synced."""
    auto_conf = read_configuration(names.tree).auto_conf
    wanted, synced = parse_symbols(read_text(path)), parse_symbols(auto_conf)
    differing = (s for s in wanted.keys() | synced.keys() if wanted.get(s) != synced.get(s))
    changed = sorted(name.removeprefix("CONFIG_") for name in differing)
    if not changed:
        note = "no value in it differs from the synced configuration; make syncs a newer file all the same"
        return Change(name, ChangeKind.CONFIGURATION, note=note)
    inputs = tuple(dict.fromkeys(p for symbol in changed for p in _symbol_inputs(names, symbol)))
    shown = ", ".join(f"CONFIG_{symbol}" for symbol in changed[:3]) + (" …" if len(changed) > 3 else "")
    note = f"it differs from the synced configuration in {shown}"
    return Change(name, ChangeKind.CONFIGURATION, inputs, tuple(changed), note=note)


def _understand_rust(names: Names, name: str, path: str, state: str) -> Change:
    """A Rust file belongs to the crate in whose folder it lies, once a ``mod`` line names it."""
    crates = _crates_around(names, path, ".rs")
    if not crates:
        return Change(name, ChangeKind.UNREAD, note=f"{state}, and it lies in no crate's folder")
    if len(crates) > 1:
        listed = ", ".join(os.path.basename(rule.source or "") for rule in crates[:4])
        note = f"{state}; a `mod` line in {listed}, or an object in the Makefile, would have to name it"
        return Change(name, ChangeKind.UNREAD, note=note)
    rule = crates[0]
    parent, module = _parent_module(names, rule, path)
    shown = _source_name(names, parent)
    if re.search(
        rf"^\s*(pub(\([^)]*\))?\s+)?mod\s+(r#)?{re.escape(module)}\s*;", read_text(parent), re.MULTILINE
    ):
        note = f"{state}; {shown} names it (`mod {module};`), so the next build reads it"
    else:
        note = f"{state}; the build reads it once {shown} has a line `mod {module};`, and the answer is for that edit"
    if parent not in names.read:
        note = f"{state}, nor has any step read {shown}, which would have to name it"
    return Change(name, ChangeKind.NEW, (parent,), note=note)


def _parent_module(names: Names, rule: Rule, path: str) -> tuple[str, str]:
    """The file whose ``mod`` line would name a Rust file, and the module's name.

    Source: the Rust reference, "Module source filenames".
    """
    folder, base = os.path.split(path)
    module = base[:-3]
    if base == "mod.rs":
        folder, module = os.path.split(folder)
    root = rule.source or ""
    if folder == os.path.dirname(root):
        return root, module
    for parent in (f"{folder}.rs", f"{folder}/mod.rs"):
        if parent in names.read or os.path.exists(parent):
            return parent, module
    return root, os.path.relpath(path, os.path.dirname(root)).split("/")[0].removesuffix(".rs")


def _understand_c(names: Names, name: str, path: str, state: str) -> Change:
    """A C file is an object of its own, or (rust/helpers) included by another one."""
    folder = os.path.dirname(path)
    sources = {rule.source or "" for rule in _crates_around(names, path, ".c")}
    collecting = [s for s in sources if os.path.dirname(s) == folder and _INCLUDES_C.search(read_text(s))]
    if len(collecting) == 1:
        shown = _source_name(names, collecting[0])
        note = f'{state}; the build reads it once {shown} has a line `#include "{os.path.basename(path)}"`, and the answer is for that edit'
        return Change(name, ChangeKind.NEW, (collecting[0],), note=note)
    note = f"{state}; the build reads it once the Makefile or Kbuild of its folder names {os.path.basename(path)[:-2]}.o"
    return Change(name, ChangeKind.UNREAD, note=note)


def _crates_around(names: Names, path: str, suffix: str) -> list[Rule]:
    """The rules whose root source is in the folder of a file, or nearest above it."""
    best: list[Rule] = []
    length = 0
    for rule in names.graph.rules:
        if not rule.source or not rule.source.endswith(suffix):
            continue
        folder = os.path.dirname(rule.source)
        if path.startswith(folder + "/") and len(folder) >= length:
            best = [*best, rule] if len(folder) == length else [rule]
            length = len(folder)
    return best


def _source_name(names: Names, path: str) -> str:
    """A source as kernel developers name it."""
    inside = names.tree.srctree + "/"
    return path[len(inside) :] if path.startswith(inside) else path
