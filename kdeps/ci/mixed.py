# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Artifacts of different builds in one module or one kernel, told by what they hold; no ledger, no times.

* A crate's metadata has the hash of every crate it was compiled against (``kdeps.formats.metadata``). If that
  is not the hash of the crate that lies there now, one of the two is of another build.
* ``ld -r`` copies code as it is. Where the code or the ``.modinfo`` of an object is not in the ``.ko``, or a function of a
  member is not in it with its size, the module was linked from another one.
* With MODVERSIONS a module has the CRC of every symbol it wants. The kernel refuses another.

What cannot be told so: a module's own object keeps no trace of the crates it was compiled against (a
symbol has the crate's name and ``-Cmetadata``, not its contents): only times and a ledger know. An object of
which data alone changed, or code without a function's size, is not told from the one that was linked.

Where time says already that a step is stale, nothing is added.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from kdeps.ci.contents import Fence
from kdeps.ci.discovery import Discovery, Kind
from kdeps.ci.reading import opened_elf, read_metadata, read_symvers
from kdeps.formats.elf import Elf, find_functions
from kdeps.formats.metadata import Metadata
from kdeps.formats.symvers import parse_versions
from kdeps.rules import Rule, Scope
from kdeps.survey import Survey
from kdeps.verdict import Status

_CRATES = (".rmeta", ".so")
_ALLOC_AND_CODE = 0x2 | 0x4
_PROGBITS = 1
_MAX_LINKED = 256 << 20


def judge_builds(survey: Survey, fence: Fence, symbols: dict[str, str]) -> list[Discovery]:
    """Look for artifacts of different builds among those that a module build uses.

    Args:
        survey: With its verdict.
        fence: What may be read.
        symbols: The synced configuration.
    """
    stale = {s.rule.target for s in (*survey.verdict.stale, *survey.verdict.pending)}
    rules = [
        rule
        for at, rule in enumerate(survey.graph.rules)
        if (rule.scope is Scope.MODULE or at in survey.graph.used) and rule.target not in stale
    ]
    found = _judge_crates(rules, fence)
    for rule in rules:
        if rule.scope is Scope.MODULE and rule.target.endswith(".ko"):
            found += _judge_link(survey, rule, fence)
            if "CONFIG_MODVERSIONS" in symbols:
                found += _judge_versions(survey, rule.target, fence)
    return found


# -- crates -----------------------------------------------------------------------


def _judge_crates(rules: Iterable[Rule], fence: Fence) -> list[Discovery]:
    known: dict[str, Metadata | None] = {}

    def metadata(path: str) -> Metadata | None:
        if path not in known:
            known[path] = read_metadata(path, fence)
        return known[path]

    users: dict[str, list[str]] = {}
    makers = {output: rule.target for rule in rules for output in rule.outputs}
    for rule in rules:
        own = next((output for output in rule.outputs if output.endswith(".rmeta")), None)
        user = metadata(own) if own else None
        if own is None or user is None:
            continue
        for path in rule.prerequisites:
            if path.endswith(_CRATES) and path != own:
                crate = metadata(path)
                if crate is not None and _is_other(user, path, crate):
                    users.setdefault(path, []).append(own)
    found = []
    for path, own_files in users.items():
        names = ", ".join(f"`{_crate(own)}`" for own in own_files)
        message = (
            f"crate{'s' if len(own_files) > 1 else ''} {names} {'were' if len(own_files) > 1 else 'was'} compiled against "
            f"another build of `{_crate(path)}` than the one that lies there now, whatever their times: rustc will not "
            "load them together (E0460, E0463)"
        )
        # Made again, it is newer than all that were built upon it.
        remove = (makers[path],) if path in makers else tuple(makers[own] for own in own_files)
        found.append(Discovery(Kind.MIXED_BUILDS, path, message, "", Status.STALE, remove))
    return found


def _is_other(user: Metadata, path: str, crate: Metadata) -> bool:
    """Whether a crate was compiled against another build of one that it was given."""
    upon = user.was_built_upon(_crate(path), crate.svh)
    if upon is None:
        # Metadata is a prerequisite only where it was loaded; a macro's library may be one by its Makefile alone.
        return path.endswith(".rmeta") and bool(user.upon)
    return not upon


def _crate(path: str) -> str:
    return os.path.basename(path)[3:].rpartition(".")[0]


# -- what was linked ----------------------------------------------------------------


def _judge_link(survey: Survey, rule: Rule, fence: Fence) -> list[Discovery]:
    """Look for the code of every part in a module."""
    with opened_elf(rule.target, fence) as module:
        if module is None or not module.keeps_code:
            return []
        linked = b"\0".join(_pieces(module))
        functions = find_functions(module)
        parts = [path for path in rule.prerequisites if path.endswith(".o")]
        parts += [p for p in rule.optional if p.endswith(".o")]
        for path in dict.fromkeys(parts):
            with opened_elf(path, fence) as part:
                if part is None or part.machine != module.machine:
                    continue
                if not all(piece in linked for piece in _pieces(part)):
                    return [_other_object(rule, path, "its code or its .modinfo is not in it")]
                missing = find_functions(part) - functions
            if not missing:
                missing, path = _of_members(survey, path, functions, fence)
            if missing:
                name, size = min(missing)
                return [_other_object(rule, path, f"function {name} of {size} bytes is not in it")]
    return []


def _of_members(
    survey: Survey, path: str, functions: frozenset[tuple[str, int]], fence: Fence
) -> tuple[frozenset[tuple[str, int]], str]:
    """The functions that a member of an object has and the module has not."""
    at = survey.graph.producers.get(path)
    members = survey.graph.rules[at].prerequisites if at is not None else ()
    for member in members:
        if member.endswith(".o"):
            with opened_elf(member, fence) as elf:
                missing = find_functions(elf) - functions if elf is not None else frozenset()
            if missing:
                return missing, member
    return frozenset(), path


def _pieces(elf: Elf) -> list[bytes]:
    """Code, and what the module says of itself: what ``ld -r`` copies as it is."""
    return [
        data
        for section in elf.sections
        if section.kind == _PROGBITS
        and (section.flags & _ALLOC_AND_CODE == _ALLOC_AND_CODE or section.name == ".modinfo")
        and section.size <= _MAX_LINKED
        and (data := elf.read(section.offset, section.size))
    ]


def _other_object(rule: Rule, path: str, why: str) -> Discovery:
    name = os.path.basename(rule.target)
    message = f"{name} was linked from another build of {os.path.basename(path)} than the one that lies there now: {why}"
    return Discovery(Kind.MIXED_BUILDS, rule.target, message, "", Status.STALE, (rule.target, path))


# -- versions of symbols ----------------------------------------------------------


def _judge_versions(survey: Survey, path: str, fence: Fence) -> list[Discovery]:
    """Compare the CRCs that a module remembers with those of the kernel and of the modules it was linked against."""
    tree = survey.tree
    lists = [f"{tree.objtree}/Module.symvers", f"{tree.module_output}/Module.symvers"]
    lists += [p for rule in survey.graph.rules for p in rule.unseen if p.endswith(".symvers")]
    known: dict[str, set[int]] = {}
    for listed in dict.fromkeys(lists):
        for symbol, export in read_symvers(listed, fence).items():
            known.setdefault(symbol, set()).add(export.crc)
    with opened_elf(path, fence) as elf:
        wanted = parse_versions(elf) if elf is not None else {}
    others = [symbol for symbol, crc in wanted.items() if symbol in known and crc not in known[symbol]]
    if not others:
        return []
    shown = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
    message = (
        f"{os.path.basename(path)} was linked for other versions of {shown} than Module.symvers has: "
        "it will not load (disagrees about version of symbol)"
    )
    return [Discovery(Kind.MIXED_BUILDS, path, message, "", Status.STALE, (path,))]
