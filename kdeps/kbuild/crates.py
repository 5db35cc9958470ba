# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The edges between crates: by ``.rmeta`` in the records, by ``.o`` in the Makefiles.

A dep-info lists the crates that were *loaded*; a Makefile orders those that are
passed (``--extern``), used or not, and names their objects.
"""

from __future__ import annotations

import os

from kdeps import TYPE_CHECKING
from kdeps.formats.command import find_externs, find_search_folders
from kdeps.kbuild import makefile_rules
from kdeps.kbuild.rule import Owner

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kdeps.kbuild.records import RecordReader
    from kdeps.kbuild.rule import Rule


def add_kernel_crates(reader: RecordReader) -> None:
    """Add the crates that each crate of ``rust/`` is given."""
    crates = _find_crates(reader.rules.values())
    for rule in list(reader.rules.values()):
        if "--extern " not in rule.command or not rule.name.startswith("rust/"):
            continue
        _add_crates(
            reader,
            rule,
            (
                # A crate without a record may be one whose object *and* record are
                # gone: name the object all the same, it will be found missing.
                crates.get(crate) or _unrecorded_crate(reader, crate)
                for crate in find_externs(rule.command)
                if crate not in makefile_rules.TOOLCHAIN_CRATES
                and (rule.name, crate) not in makefile_rules.CRATE_EXCEPTIONS
            ),
        )


def add_module_crates(reader: RecordReader) -> None:
    """Add the module's *own* crates that one of its objects is given.

    drivers/gpu/Makefile (7.3): ``$(obj)/drm/nova/nova.o: $(obj)/nova-core/nova_core.o``.
    On the kernel's crates no Makefile makes a module wait.
    """
    own = {target: rule for target, rule in reader.rules.items() if rule.owner is Owner.MODULE}
    crates = _find_crates(own.values())
    for rule in own.values():
        if "--extern " not in rule.command:
            continue
        found: list[str] = []
        for crate in find_externs(rule.command):
            target = crates.get(crate)
            if target is None:
                # Its record is gone, and with it the list of outputs; its object is beside its metadata.
                beside = (
                    reader.path(f"{folder}/{crate}.o", reader.tree.module_records_base)
                    for folder in find_search_folders(rule.command)
                )
                target = next((o for o in beside if o in own), None)
            if target is not None and target != rule.target:
                found.append(target)
        _add_crates(reader, rule, found)


def _find_crates(rules: Iterable[Rule]) -> dict[str, str]:
    crates: dict[str, str] = {}
    for rule in rules:
        if crate := rule.crate:
            crates.setdefault(crate, rule.target)
    return crates


def _add_crates(reader: RecordReader, rule: Rule, targets: Iterable[str]) -> None:
    known = set(rule.prerequisites)
    added = tuple(target for target in dict.fromkeys(targets) if target not in known)
    if added:
        reader.rules[rule.target] = rule._replace(prerequisites=(*rule.prerequisites, *added))


def _unrecorded_crate(reader: RecordReader, crate: str) -> str:
    """Find the file of a crate that has no record: what is there of it, else its object."""
    rust = f"{reader.tree.objtree}/rust"
    for name in (f"lib{crate}.so", f"lib{crate}.rlib", f"host/lib{crate}.rlib"):
        if os.path.exists(f"{rust}/{name}"):
            return f"{rust}/{name}"
    return f"{rust}/{crate}.o"
