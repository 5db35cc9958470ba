# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The rules of ``make M=…``: what is reachable from the module's own modules.order."""

from __future__ import annotations

import os
import re

from kdeps import TYPE_CHECKING
from kdeps.formats.cmdfile import RecordState
from kdeps.kbuild.crates import add_module_crates
from kdeps.kbuild.module_folder import list_rust, may_be_built, may_hold_rust, read_object_names
from kdeps.kbuild.records import path_of_target
from kdeps.kbuild.rule import Action, Owner, Rule
from kdeps.system.files import open_to_read

if TYPE_CHECKING:
    from kdeps.kbuild.records import RecordReader

_MODULE_TARGETS = re.compile(
    r"\.(?:o|mod|ko)$|/(?:modules\.order|Module\.symvers)$"
    # drivers/gpu/Makefile: $(obj)/nova-core/exports_nova_core_generated.h:  (7.3)
    r"|/exports_[^/]+_generated\.h$"
)
"""Targets of a module that Kbuild always keeps a record of; what else is read there may be a source."""

_READ_BY = {".rs": ".rmeta", ".c": ".h", ".S": ".h"}
"""What of the kernel's outputs a source may read, by its suffix."""

ANYTHING = frozenset((".rmeta", ".h"))
"""Any crate and any header: what a module without records may read."""

_EVERYONES_CRATES = ("/rust/libcore.rmeta", "/rust/libkernel.rmeta")
"""What every Rust module reads."""


def read_module(reader: RecordReader) -> None:
    """Read what ``make M=…`` builds: what is reachable from its modules.order.

    Records that are not reachable belong to sources that were renamed or
    removed. Kbuild never visits them again, and neither do we.
    """
    output = reader.tree.module_output
    if output is None or reader.tree.module is None:
        reader.reads_any |= ANYTHING  # whatever module it will be
        return
    for path in reader.scan(output, 0):
        reader.read_module_record(path_of_target(path))
    objects = _module_objects(reader, output)
    if objects is None:
        # Never built to the end, or cleaned. The .mod.c of a Rust module is C as well.
        reader.reads_any |= ANYTHING if may_hold_rust(reader.tree.module) else {".h"}
        return
    wanted = [f"{output}/modules.order", f"{output}/Module.symvers"]
    generated: list[str] = []
    for obj in objects:
        stem = obj[:-2]
        wanted += [f"{stem}.mod", f"{stem}.mod.o", f"{stem}.ko", obj]
        generated.append(f"{stem}.mod.c")
    symvers = reader.rules.get(f"{output}/Module.symvers")
    if symvers is not None:
        # modpost writes the .mod.c of every module, each only if it changes.
        reader.rules[symvers.target] = symvers._replace(
            outputs=(symvers.target, *generated), replaced_if_changed=frozenset(generated)
        )
    reached = _reach(reader, wanted)
    for target, rule in list(reader.rules.items()):
        if rule.owner is Owner.MODULE and target not in reached:
            del reader.rules[target]
    own = [reader.rules[target] for target in reached & reader.rules.keys()]
    for rule in own:
        reader.reads_any |= _find_unrecorded(reader, rule) | _find_elsewhere(reader, rule)
    reader.reads_any |= _find_new(reader)
    add_module_crates(reader)


def _find_unrecorded(reader: RecordReader, rule: Rule) -> set[str]:
    """Find what a step of the module may read, and its record does not say: any crate, or any header."""
    if rule.owner is not Owner.MODULE or rule.state in (RecordState.COMPLETE, RecordState.COMMAND_ONLY):
        return set()
    source = f"{reader.tree.module}/{rule.name}"
    if rule.name.endswith(".o"):
        return {".rmeta"} if os.path.exists(f"{source[:-2]}.rs") else {".h"}
    if not rule.name.endswith(".mod") or reader.members(rule):
        return set()
    try:
        return {_READ_BY[end] for end in map(_suffix, os.listdir(os.path.dirname(source))) if end in _READ_BY}
    except OSError:
        return set(ANYTHING)


def _find_elsewhere(reader: RecordReader, rule: Rule) -> set[str]:
    """Find what a step read of another object tree, or of this one where it was before a move.

    Asked for this tree make runs it again, for its command is another one, and it reads what is here.
    """
    if rule.owner is not Owner.MODULE:
        return set()
    here = f"{reader.tree.objtree}/"
    found: dict[str, str] = {}
    for path in rule.prerequisites:
        if path.startswith(here):
            continue
        if path.endswith(_EVERYONES_CRATES):
            found[path.rpartition("/rust/")[0]] = ".rmeta"
        elif "/include/generated/" in path:
            found[path.partition("/include/generated/")[0]] = ".h"
    real = os.path.realpath(reader.tree.objtree)
    return {kind for top, kind in found.items() if not f"{os.path.realpath(top)}/".startswith(f"{real}/")}


def _find_new(reader: RecordReader) -> set[str]:
    """Find what those objects may read that a Makefile names and that no step which is reached compiles."""
    folder, tree = reader.tree.module or "", reader.tree
    own = [rule for rule in reader.rules.values() if rule.owner is Owner.MODULE]
    read = {path for rule in own for path in (*rule.prerequisites, *rule.optional_prerequisites)}
    crates = [path for path in list_rust(folder) if path not in read]
    found: set[str] = set()
    if any(may_be_built(path, folder, tree.objtree, tree.args.variables) for path in crates):
        found.add(".rmeta")
    try:
        sources = [name for name in os.listdir(folder) if name.endswith((".c", ".S"))]
    except OSError:
        return found
    new = {f"{name[:-2]}.o" for name in sources if f"{tree.module_output}/{name[:-2]}.o" not in reader.rules}
    if new and not new.isdisjoint(read_object_names(folder, tree.objtree, tree.args.variables)):
        found.add(".h")
    return found


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1]


def _module_objects(reader: RecordReader, output: str) -> list[str] | None:
    """List the objects that become modules. Returns None if no module was ever built here."""
    base = reader.tree.module_records_base
    order = reader.rules.get(f"{output}/modules.order")
    if order is not None and order.prerequisites:
        return _nested_objects(reader, order)
    try:
        with open_to_read(f"{output}/modules.order") as file:
            text = file.read(1 << 20).decode("utf-8", "surrogateescape")
            names = [reader.path(name, base) for name in text.split()]
            return [f"{name[:-3]}.o" if name.endswith(".ko") else name for name in names]
    except OSError:
        pass
    kos = [t for t, rule in reader.rules.items() if rule.owner is Owner.MODULE and t.endswith(".ko")]
    return [f"{ko[:-3]}.o" for ko in kos] if kos or order is not None else None


def _nested_objects(reader: RecordReader, order: Rule) -> list[str]:
    """Follow ``cat sub/modules.order`` in the command of a modules.order."""
    objects: list[str] = []
    seen = {order.target}
    waiting = [iter(order.prerequisites)]
    while waiting:
        name = next(waiting[-1], None)
        if name is None:
            waiting.pop()
        elif not name.endswith("modules.order"):
            objects.append(name)
        elif name not in seen:
            seen.add(name)
            below = reader.read_module_record(name)
            waiting.append(iter(below.prerequisites if below else ()))
    return objects


def _reach(reader: RecordReader, wanted: list[str]) -> set[str]:
    reached: set[str] = set()
    named = set(wanted)
    output = reader.tree.module_output
    while wanted:
        target = wanted.pop()
        if target in reached:
            continue
        reached.add(target)
        rule = reader.rules.get(target) or reader.read_module_record(target)
        if rule is None:
            inside = output is not None and target.startswith(output + "/") and _MODULE_TARGETS.search(target)
            if not inside and target not in named:
                continue
            rule = reader.add_unrecorded_rule(target, Action.IF_CHANGED, (), Owner.MODULE)
        if rule.owner is not Owner.MODULE:
            continue
        wanted += rule.prerequisites
        if target.endswith((".o", ".mod")):
            # A link names its objects, and they are the module's wherever they lie.
            members = rule.prerequisites if target.endswith(".o") else reader.members(rule)
            objects = [path for path in members if path.endswith(".o")]
            named.update(objects)
            wanted += objects
    return reached
