# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Find a module that was linked from other objects, or for other symbol versions, than those there now.

* ``ld -r`` copies code as it is. If the code or the ``.modinfo`` of an object is not in the ``.ko``, or a
  function of a member is not in it with its size, the module was linked from another build of the object.
* With MODVERSIONS a module contains the CRC of every symbol it needs. The kernel refuses any other CRC.

A step that is already stale by time gets no finding here.

Limits: an object in which only data changed, or code without a function size, looks like the one that
was linked.
"""

from __future__ import annotations

import os

from kdeps.artifacts.reading import opened_elf, read_symvers
from kdeps.formats.elf import Elf, find_functions
from kdeps.formats.symvers import parse_versions
from kdeps.kbuild.rule import Owner, Rule
from kdeps.staleness.check import CheckResult
from kdeps.staleness.reasons import Finding, ReasonKind, Status
from kdeps.system.files import AllowedRoots
from kdeps.system.text import list_some

_ALLOC_AND_CODE = 0x2 | 0x4
_PROGBITS = 1
_MAX_LINKED = 256 << 20


def check_linked(result: CheckResult, fence: AllowedRoots, symbols: dict[str, str]) -> list[Finding]:
    """Compare each module with its objects and with ``Module.symvers``."""
    stale = result.verdict.states
    rules = [rule for rule in result.graph.rules if rule.owner is Owner.MODULE and rule.target not in stale]
    findings: list[Finding] = []
    for rule in rules:
        if rule.target.endswith(".ko"):
            findings += _judge_link(result, rule, fence)
            if "CONFIG_MODVERSIONS" in symbols:
                findings += _judge_versions(result, rule.target, fence)
    return findings


# -- what was linked ----------------------------------------------------------------


def _judge_link(result: CheckResult, rule: Rule, fence: AllowedRoots) -> list[Finding]:
    """Look for the code of every part in a module."""
    with opened_elf(rule.target, fence) as module:
        if module is None or not module.keeps_code:
            return []
        linked = b"\0".join(_pieces(module))
        functions = find_functions(module)
        parts = [path for path in rule.prerequisites if path.endswith(".o")]
        parts += [p for p in rule.optional_prerequisites if p.endswith(".o")]
        for path in dict.fromkeys(parts):
            with opened_elf(path, fence) as part:
                if part is None or part.machine != module.machine:
                    continue
                if not all(piece in linked for piece in _pieces(part)):
                    return [_other_object(rule, path, "its code or its .modinfo is not in it")]
                missing = find_functions(part) - functions
            if not missing:
                missing, path = _of_members(result, path, functions, fence)
            if missing:
                name, size = min(missing)
                return [_other_object(rule, path, f"function {name} of {size} bytes is not in it")]
    return []


def _of_members(
    result: CheckResult, path: str, functions: frozenset[tuple[str, int]], fence: AllowedRoots
) -> tuple[frozenset[tuple[str, int]], str]:
    """The functions that a member of an object has and the module has not."""
    at = result.graph.producers.get(path)
    members = result.graph.rules[at].prerequisites if at is not None else ()
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


def _other_object(rule: Rule, path: str, why: str) -> Finding:
    name = os.path.basename(rule.target)
    message = f"{name} was linked from another build of {os.path.basename(path)} than the one that is there now: {why}"
    return Finding(ReasonKind.MIXED_BUILDS, rule.target, message, "", Status.STALE, (rule.target, path))


# -- versions of symbols ----------------------------------------------------------


def _judge_versions(result: CheckResult, path: str, fence: AllowedRoots) -> list[Finding]:
    """Compare the CRCs that a module remembers with those of the kernel and of the modules it was linked against."""
    tree = result.tree
    lists = [f"{tree.objtree}/Module.symvers", f"{tree.module_output}/Module.symvers"]
    lists += [p for rule in result.graph.rules for p in rule.uncompared_inputs if p.endswith(".symvers")]
    known: dict[str, set[int]] = {}
    for listed in dict.fromkeys(lists):
        for symbol, crc in read_symvers(listed, fence).items():
            known.setdefault(symbol, set()).add(crc)
    with opened_elf(path, fence) as elf:
        wanted = parse_versions(elf) if elf is not None else {}
    others = [symbol for symbol, crc in wanted.items() if symbol in known and crc not in known[symbol]]
    if not others:
        return []
    message = (
        f"{os.path.basename(path)} was linked for other versions of {list_some(others)} than Module.symvers has: "
        "it will not load (disagrees about version of symbol)"
    )
    # modpost writes .mod.c, which has the versions, only if the module's own list is missing or old.
    remove = (path, f"{tree.module_output}/Module.symvers")
    return [Finding(ReasonKind.MIXED_BUILDS, path, message, "", Status.STALE, remove)]
