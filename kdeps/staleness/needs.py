# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What a module build needs, is not there, and no rule of this tree makes.

Kbuild would begin and fail, so this is never "its own to rebuild". Installed
headers make nothing at all: whatever is gone there only their package has. In a
tree that can be built it is what other builds left, such as a crate of another module.
"""

from __future__ import annotations

import os
import re

from kdeps import NamedTuple
from kdeps.kbuild.configuration import list_module_tools
from kdeps.kbuild.graph import Graph
from kdeps.kbuild.makefile_rules import MODULE_MAKEFILES, UNRECORDED_RULES
from kdeps.kbuild.module_folder import is_unnamed, list_rust
from kdeps.kbuild.rule import Action, Owner, Rule, Rules
from kdeps.kbuild.tree import Tree, find_moved
from kdeps.staleness.reasons import Finding, ReasonKind, Status
from kdeps.staleness.snapshot import CRATES, Snapshot, find_gone_source, is_damaged
from kdeps.system.stat import status_of

_SOURCE = re.compile(r"(?:scripts|include|arch)/(?!config/|generated/|.*/generated/)")
"""Of what the first build of a module reads: files of the kernel's sources."""
_SYNCED = ("include/config/", "include/generated/autoconf.h", "include/generated/rustc_cfg")


def add_generated(tree: Tree, rules: Rules, snapshot: Snapshot) -> Rules:
    """Add a rule for each file that the module's steps read, that is gone, and that modules_prepare makes.

    ``utsrelease.h`` and its like leave no record. A build of the module cannot make them, so
    that they are nothing the module will rebuild by itself.
    """
    if tree.prebuilt:
        return rules
    inside = f"{tree.objtree}/"
    missing = _find_read(rules.rules) - snapshot.mtime_ns.keys() - snapshot.unreadable
    gone = [path for path in sorted(missing) if path.startswith(inside) and not _is_own(path, tree)]
    made = {output for rule in rules.rules for output in rule.outputs} if gone else set()
    added = [_generated(p, tree) for p in gone if p not in made and _is_prepared(p[len(inside) :], tree)]
    return rules._replace(rules=(*rules.rules, *added)) if added else rules


def drop_unnamed(tree: Tree, rules: Rules, snapshot: Snapshot) -> Rules:
    """Drop the module's steps whose source is gone and whose object no Makefile names any more: no make runs them.

    A source was renamed or removed together with its line. Its object stays behind and is linked into nothing.
    """
    inside = f"{tree.module}/"
    gone = {
        source: rule.target
        for rule in rules.rules
        if rule.owner is Owner.MODULE and (source := find_gone_source(rule, snapshot)).startswith(inside)
    }
    if not gone or tree.module is None:
        return rules
    gone_by_itself = gone.keys() - set[str]().union(*(rule.outputs for rule in rules.rules))
    stems = [
        gone[source][:-2]
        for source in gone_by_itself
        if is_unnamed(source, tree.module, tree.objtree, tree.args.variables)
    ]
    unnamed = {stem + suffix for stem in stems for suffix in (".o", ".mod", ".mod.o", ".ko")}
    kept = (
        rule._replace(prerequisites=tuple(p for p in rule.prerequisites if p not in unnamed))
        if rule.owner is Owner.MODULE and not unnamed.isdisjoint(rule.prerequisites)
        else rule
        for rule in rules.rules
        if rule.target not in unnamed
    )
    return rules._replace(rules=tuple(kept)) if unnamed else rules


def _is_prepared(name: str, tree: Tree) -> bool:
    """Whether this source tree has what makes a file of the object tree: a step without a record."""
    return any(
        row.filechk and row.target.replace("$(srcarch)", tree.srcarch) == name for row in UNRECORDED_RULES
    )


def _generated(path: str, tree: Tree) -> Rule:
    return Rule(
        target=path, name=path[len(tree.objtree) + 1 :], owner=Owner.KERNEL, action=Action.FILECHK, outputs=(path,),
        prerequisites=(), config_dir=tree.objtree, replaced_if_changed=frozenset((path,)),
    )  # fmt: skip


class Lacking(NamedTuple):
    """What a module build needs and make cannot get."""

    paths: frozenset[str]
    findings: tuple[Finding, ...]
    """At most one for what is gone, and one for what is damaged."""


def find_lacking(tree: Tree, graph: Graph, snapshot: Snapshot) -> Lacking:
    """Find what the module needs and make cannot get."""
    read = _find_read(graph.rules)
    gone = _find_gone(tree, graph, snapshot, read)
    damaged = _find_damaged(tree, graph, read)
    if tree.module is not None:
        wanted = _find_needed_of_any(tree) if tree.prebuilt else []
        wanted += _find_needed_first(tree, tree.module, graph)
        gone += [path for path in wanted if path not in gone and not os.path.exists(path)]
        gone += [path for name in MODULE_MAKEFILES if not _has_content(path := f"{tree.srctree}/{name}")]
        known = {*gone, *damaged, *graph.producers}
        damaged += [
            path for path in wanted if path.endswith(CRATES) and path not in known and is_damaged(path)
        ]
    found: list[Finding] = []
    # A tree that was moved has them at another place, and the next build names that.
    told = [path for path in gone if tree.prebuilt or not _is_moved(path, tree)]
    if told:
        found.append(_say(tree, told, ReasonKind.MISSING_PREREQUISITE, ""))
    if damaged:
        found.append(
            _say(tree, damaged, ReasonKind.INTERRUPTED, "is damaged, cut off or for another machine; ")
        )
    return Lacking(frozenset((*gone, *damaged)), tuple(found))


def _has_content(path: str) -> bool:
    st = status_of(path)
    return st is not None and st.st_size > 0


def _find_read(rules: tuple[Rule, ...]) -> set[str]:
    """Every file that the steps of the module read and that has to be there."""
    own = [rule for rule in rules if rule.owner is Owner.MODULE]
    return set().union(*(rule.prerequisites for rule in own), *(rule.needed for rule in own))


def _find_gone(tree: Tree, graph: Graph, snapshot: Snapshot, read: set[str]) -> list[str]:
    """Files outside the module that its steps read, that are gone, and that no rule makes here."""
    return [
        path
        for path in sorted(read - snapshot.mtime_ns.keys() - snapshot.unreadable - snapshot.dangling)
        if not _is_own(path, tree) and (tree.prebuilt or _is_foreign(path, tree, graph))
    ]


def _is_own(path: str, tree: Tree) -> bool:
    return path.startswith((f"{tree.module}/", f"{tree.module_output}/"))


def _is_foreign(path: str, tree: Tree, graph: Graph) -> bool:
    """Whether a tree that can be built has nothing to do with a file, and does not make it.

    A source that is gone may be one that a pull removed, with all that named it: the compiler
    will tell. What syncconfig makes is a matter of the configuration.
    """
    if path in graph.producers:
        return False
    for base in (tree.objtree, tree.srctree):
        if path.startswith(f"{base}/"):
            name = path[len(base) + 1 :]
            if name.startswith(_SYNCED):
                return False
            return (
                base != tree.srctree
                or "/generated/" in path
                or (name.startswith("rust/") and name.endswith(".rmeta"))
            )
    return True


def _is_moved(path: str, tree: Tree) -> bool:
    """Whether a file that is gone with its whole folder lies in this tree now."""
    return not os.path.lexists(os.path.dirname(path)) and find_moved([path], tree) != ""


def _find_damaged(tree: Tree, graph: Graph, read: set[str]) -> list[str]:
    """Crates that no rule here can make again, that are there, and cannot be read."""
    return sorted(
        path
        for path in (read if tree.prebuilt else read - graph.producers.keys())
        if path.endswith(CRATES) and not _is_own(path, tree) and is_damaged(path)
    )


def _find_needed_of_any(tree: Tree) -> list[str]:
    """What every module build runs or reads in the object tree, whatever the module is."""
    names = list_module_tools(tree.objtree)
    if os.path.exists(f"{tree.objtree}/arch/{tree.srcarch}/module.lds"):
        names.remove("scripts/module.lds")  # Makefile.modfinal takes either
    return [f"{tree.objtree}/{name}" for name in (*names, "include/generated/autoconf.h")]


def _find_needed_first(tree: Tree, module: str, graph: Graph) -> list[str]:
    """What the first build of a module reads; of a tree that can be built only what nothing there makes."""
    own = [rule for rule in graph.rules if rule.owner is Owner.MODULE]
    is_finished = any(rule.target.endswith(".ko") for rule in own)
    has_new_rust = (
        tree.prebuilt
        and not any(rule.source and rule.source.endswith(".rs") for rule in own)
        and bool(list_rust(module))
    )
    if is_finished and not has_new_rust:
        return []  # its records name what it reads
    from kdeps.kbuild.first_build import find_first_reads  # most modules were built before

    reads = find_first_reads(tree, rust=has_new_rust)
    return [*reads.sources, *(reads.made if tree.prebuilt else ())]


def _say(tree: Tree, paths: list[str], kind: ReasonKind, what: str) -> Finding:
    more = f" (and {len(paths) - 1} more files)" if len(paths) > 1 else ""
    if tree.prebuilt:
        why = "the module needs it, and installed headers cannot make it"
        remedy = "install the package of these headers again, or ask its packager to ship it"
    else:
        why = "the module needs it, and no rule of this tree makes it"
        remedy = f"build what belongs in {os.path.dirname(paths[0])} first"
        if paths[0].startswith(f"{tree.srctree}/") and _SOURCE.match(paths[0][len(tree.srctree) + 1 :]):
            why, remedy = (
                "module builds read it, and it is gone or empty",
                "put it back, as with `git checkout`",
            )
    return Finding(kind, paths[0], f"{what}{why}{more}", remedy, Status.UNKNOWN)
