# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What somebody means who says that something changes.

A file that steps have read, a folder of such files, a configuration symbol, a crate
(then its step runs again); or a file that no step has read, and then what is known
about it: where a new file of that kind would have to be named, and which crate it
would belong to.
"""

from __future__ import annotations

import os
import re
from enum import Enum
from typing import NamedTuple

from kdeps.errors import UnknownTarget
from kdeps.findings import read_configuration
from kdeps.formats.kconfig import parse_symbols
from kdeps.query.names import Names
from kdeps.rules import Rule
from kdeps.tree import open_nonblocking

_MAKEFILES = re.compile(r"(Makefile|Kbuild|Build|Platform)([._-].*)?|.*\.(include|mk)")
_INCLUDES_C = re.compile(r'^#include "[^"]+\.c"', re.MULTILINE)
_TOOLS = ("tools/build", "tools/scripts", "tools/objtool", "tools/lib/subcmd")
"""Whose Makefiles modules_prepare reads, besides those of scripts/, rust/ and the architecture."""
_SCRIPTS = re.compile(r".*\.(sh|pl|py|awk)")


class Kind(str, Enum):
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
    kind: Kind
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


class Origin(Enum):
    """Who gave the name: a mistyped one is an error, a tool's list holds files of all kinds."""

    PERSON = "person"
    LIST = "list"


def understand(names: Names, name: str, cwd: str, origin: Origin = Origin.PERSON) -> Change:
    """Tell what changes when somebody says that ``name`` does.

    Raises:
        UnknownTarget: A person named what is neither there nor known.
        AmbiguousName: It fits several files equally well.
    """
    bare = "/" not in name
    if bare and origin is Origin.PERSON and name in names.short_names:
        return _understand_step(names, name, cwd)
    if name.startswith("CONFIG_") and bare:
        return _understand_symbol(names, name, origin)
    path = _existing(names, name, cwd)
    if path is not None and os.path.isdir(path):
        return _understand_folder(names, name, path)
    if path == f"{names.tree.objtree}/.config":
        return _understand_dot_config(names, name, path)
    found = names.find(name, cwd) if origin is Origin.PERSON else names.find_path(name, cwd)
    if found is not None:
        if found.symbol:
            return Change(name, Kind.SYMBOL, symbols=(found.symbol,))
        change = Change(name, Kind.FILE, names.same_file(found.path) or (found.path,))
        return _with_commands(change, names, found.path) if is_makefile(found.path) else change
    if path is None:
        path = os.path.normpath(os.path.join(cwd, name))
        plausible = "." in os.path.basename(path) and (
            os.path.isdir(os.path.dirname(path)) or len(_crates_around(names, path, ".rs")) == 1
        )
        if not plausible and not (origin is Origin.LIST and is_makefile(path)):
            if origin is Origin.PERSON:
                names.resolve(name, cwd)
            return Change(name, Kind.UNREAD, note="it does not exist, and no step has read it")
    change = _understand_unread(names, name, path)
    if change.kind is Kind.UNREAD and origin is Origin.PERSON and not os.path.lexists(path):
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
        note = f"taken for the crate; the folder is {name}/"
    return Change(name, Kind.STEP, rules=rules, note=note)


def _understand_symbol(names: Names, name: str, origin: Origin) -> Change:
    symbol = name[7:]
    if symbol in names.symbols:
        note = "what it changes in commands alone no record shows; `kdeps check --exact` does, once it has changed"
        return Change(name, Kind.SYMBOL, _symbol_inputs(names, symbol), (symbol,), note=note)
    known = parse_symbols(read_configuration(names.tree).auto_conf)
    if name not in known and origin is Origin.PERSON and names.suggest(name):
        raise UnknownTarget(f"{name}: {names.explain_unknown(name, names.tree.objtree)}")
    note = (
        "no record names it, so it can only change commands; `kdeps check --exact` tells, once it has changed"
    )
    return Change(name, Kind.SYMBOL, symbols=(symbol,), note=note)


def _symbol_inputs(names: Names, symbol: str) -> tuple[str, ...]:
    """The configuration itself, where one of the two steps that read it whole asks for this symbol."""
    if symbol.startswith(("X86_REQUIRED_FEATURE_", "X86_DISABLED_FEATURE_")):
        return (f"{names.tree.objtree}/.config",)  # arch/x86/tools/cpufeaturemasks.awk
    text = _read(f"{names.tree.srctree}/scripts/generate_rust_target.rs")
    asked = f'"{symbol}"' in text or f'"CONFIG_{symbol}"' in text
    return (f"{names.tree.objtree}/include/config/auto.conf",) if asked else ()


def _understand_folder(names: Names, name: str, folder: str) -> Change:
    inside = names.read_in(folder)
    shown = f"{name.rstrip('/')}/"
    if not inside:
        return Change(shown, Kind.UNREAD, note="no step has read any file in it")
    return Change(
        shown, Kind.FOLDER, inside, note=f"{len(inside)} file{'s' * (len(inside) > 1)} that steps have read"
    )


# -- what no step has read -----------------------------------------------------


def _understand_unread(names: Names, name: str, path: str) -> Change:
    """Say what is known about a file that no record has."""
    base = os.path.basename(path)
    tree = names.tree
    configuration = read_configuration(tree)
    if os.path.relpath(path, tree.srctree) in configuration.inputs.files:
        note = "Kconfig reads it: the next modules_prepare syncs the configuration, and only then it shows what that changes"
        return Change(name, Kind.CONFIGURATION, note=note, commands=tree.srctree)
    if _MAKEFILES.fullmatch(base):
        return _with_commands(Change(name, Kind.UNREAD), names, path)
    exists = os.path.lexists(path)
    state = "no step has read it" if exists else "it does not exist yet"
    if base.endswith(".rs"):
        return _understand_rust(names, name, path, state)
    if base.endswith(".h"):
        return Change(
            name, Kind.UNREAD, note=f"{state}; a step reads it once a file that it compiles includes it"
        )
    if base.endswith((".c", ".S")):
        return _understand_c(names, name, path, state)
    if _SCRIPTS.fullmatch(base) and path.startswith(f"{tree.srctree}/scripts/"):
        return Change(
            name,
            Kind.UNREAD,
            note=f"{state}; what it prints may go into commands: `kdeps check --exact` tells",
        )
    return Change(name, Kind.UNREAD, note=state)  # fmt: skip


def is_makefile(name: str) -> bool:
    """Whether what a file does shows in commands alone."""
    return _MAKEFILES.fullmatch(os.path.basename(name)) is not None


def _with_commands(change: Change, names: Names, path: str) -> Change:
    """Say what a Makefile may change: commands, and whose."""
    note = f"make compares the commands that {os.path.basename(path)} gives, not its time: `kdeps check --exact` tells, once it has changed"
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
    wanted, synced = parse_symbols(_read(path)), parse_symbols(auto_conf)
    differing = (s for s in wanted.keys() | synced.keys() if wanted.get(s) != synced.get(s))
    changed = sorted(name.removeprefix("CONFIG_") for name in differing)
    if not changed:
        note = "no value in it differs from what is synced; a newer one is synced all the same"
        return Change(name, Kind.CONFIGURATION, note=note)
    inputs = tuple(dict.fromkeys(p for symbol in changed for p in _symbol_inputs(names, symbol)))
    shown = ", ".join(f"CONFIG_{symbol}" for symbol in changed[:3]) + (" …" if len(changed) > 3 else "")
    note = f"it differs from what is synced in {shown}"
    return Change(name, Kind.CONFIGURATION, inputs, tuple(changed), note=note)


def _understand_rust(names: Names, name: str, path: str, state: str) -> Change:
    """A Rust file belongs to the crate in whose folder it lies, once a ``mod`` line names it."""
    crates = _crates_around(names, path, ".rs")
    if not crates:
        return Change(name, Kind.UNREAD, note=f"{state}, and it lies in no crate's folder")
    if len(crates) > 1:
        listed = ", ".join(os.path.basename(rule.source or "") for rule in crates[:4])
        note = f"{state}; a `mod` line in {listed}, or an object in the Makefile, would have to name it"
        return Change(name, Kind.UNREAD, note=note)
    rule = crates[0]
    parent, module = _parent_module(names, rule, path)
    shown = _source_name(names, parent)
    if re.search(
        rf"^\s*(pub(\([^)]*\))?\s+)?mod\s+(r#)?{re.escape(module)}\s*;", _read(parent), re.MULTILINE
    ):
        note = f"{state}; {shown} names it (`mod {module};`), so it takes part from the next build on"
    else:
        note = f"{state}; it takes part once {shown} has a line `mod {module};`, and that edit does this"
    if parent not in names.read:
        note = f"{state}, nor has any read {shown}, which would have to name it"
    return Change(name, Kind.NEW, (parent,), note=note)


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
    collecting = [s for s in sources if os.path.dirname(s) == folder and _INCLUDES_C.search(_read(s))]
    if len(collecting) == 1:
        shown = _source_name(names, collecting[0])
        note = f'{state}; it takes part once {shown} has a line `#include "{os.path.basename(path)}"`, and that edit does this'
        return Change(name, Kind.NEW, (collecting[0],), note=note)
    note = f"{state}; it takes part once the Makefile or Kbuild of its folder names {os.path.basename(path)[:-2]}.o"
    return Change(name, Kind.UNREAD, note=note)


def _crates_around(names: Names, path: str, suffix: str) -> list[Rule]:
    """The rules whose root source lies in the folder of a file, or nearest above it."""
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


def _read(path: str) -> str:
    try:
        with open(path, "rb", opener=open_nonblocking) as file:
            return file.read(1 << 22).decode("utf-8", "surrogateescape")
    except OSError:
        return ""
