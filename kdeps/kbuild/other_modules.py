# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Inputs of a module that another ``make M=…`` built: its crates, its list of symbols.

Their records are beside them. They are read as rules of that build, so that the
chain from the other module's sources to this module is one chain.
"""

from __future__ import annotations

import os

from kdeps import TYPE_CHECKING
from kdeps.kbuild.module_folder import builds_objects
from kdeps.kbuild.rule import Action, Owner, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from kdeps.kbuild.records import RecordReader
    from kdeps.kbuild.tree import Tree

_MAX_DEPTH = 8
"""How far above an input the folder may be that ``M=`` named."""


def add_other_modules(
    reader: RecordReader, read: Callable[[Tree, set[str]], RecordReader], seen: set[str]
) -> None:
    """Add the rules of every module whose outputs this one reads, and of those that they read.

    ``read`` reads another module; ``seen`` are the folders that are being read or were, and grows.
    """
    tree = reader.tree
    _follow_links(reader)
    for folder in _find_input_folders(reader.rules.values(), tree):
        root = next((os.path.dirname(p) for p in _list_records(folder, tree) if os.path.exists(p)), None)
        if root is None:
            _add_unbuilt(reader, folder)
            continue
        # A module that was last built for another kernel has records of that one's files.
        if root in seen or _is_kernel(root):
            continue
        seen.add(root)
        other = read(_tree_of(tree, root), seen)
        reader.problems += other.problems
        reader.others += [*other.others, (other.tree.module or root, root)]
        for rule in other.rules.values():
            reader.rules.setdefault(rule.target, _belongs_to_other(rule, tree))
    _add_lost_outputs(reader)
    _part_circles(reader)


def find_given_lists(tree: Tree) -> tuple[str, ...]:
    """Find the lists of symbols that the user names; a record may have none, or others, until make runs."""
    given = tree.args.variables.get("KBUILD_EXTRA_SYMBOLS", "").split() if tree.module else ()
    return tuple(os.path.realpath(os.path.join(tree.module_records_base, name)) for name in given)


def _follow_links(reader: RecordReader) -> None:
    """Add what the links lead to that are given as lists of symbols: records are beside that."""
    own = f"{reader.tree.module_output}/Module.symvers"
    symvers = reader.rules.get(own)
    if symvers is not None:
        real = [os.path.realpath(path) for path in symvers.uncompared_inputs if os.path.islink(path)]
        reader.rules[own] = symvers._replace(uncompared_inputs=(*symvers.uncompared_inputs, *real))


def _add_lost_outputs(reader: RecordReader) -> None:
    """Add the metadata of crates whose record does not list it any more, gone or cut off: its object is beside it."""
    rules = reader.rules
    made = {output for rule in rules.values() for output in rule.outputs}
    users = [rule for rule in rules.values() if rule.owner is not Owner.KERNEL]
    read = {path for rule in users for path in (*rule.prerequisites, *rule.uncompared_inputs)}
    for path in read - made:
        folder, _, name = path.rpartition("/")
        target = f"{folder}/{name[3:-6]}.o"
        if name.startswith("lib") and name.endswith(".rmeta") and target in rules:
            rules[target] = rules[target]._replace(outputs=(*rules[target].outputs, path))


def _add_unbuilt(reader: RecordReader, folder: str) -> None:
    """Add the list of symbols of a module that was cleaned: its build makes the list again."""
    path = f"{folder}/Module.symvers"
    wanted = any(path in rule.uncompared_inputs for rule in reader.rules.values())
    if wanted and not os.path.exists(path) and builds_objects(folder):
        rule = reader.add_unrecorded_rule(path, Action.IF_CHANGED, (), Owner.OTHER)
        reader.rules[path] = rule._replace(name=path)
        reader.others.append((folder, folder))


def _part_circles(reader: RecordReader) -> None:
    """Part modules that read each other's symbols, as where one list is given to all of them.

    Whichever is built last has the newest list, and that says nothing: so a list stands for the
    objects whose symbols are in it.
    """
    own = f"{reader.tree.module_output}/Module.symvers"
    symvers = reader.rules.get(own)
    if symvers is None:
        return
    circle = {
        rule.target: rule
        for rule in reader.rules.values()
        if rule.owner is Owner.OTHER and own in rule.uncompared_inputs
    }
    for target, rule in circle.items():
        rest = tuple(path for path in rule.uncompared_inputs if path != own)
        reader.rules[target] = rule._replace(uncompared_inputs=rest)
    listed = [path for path in symvers.uncompared_inputs if path in circle]
    objects = [path for target in listed for path in circle[target].prerequisites]
    reader.rules[own] = symvers._replace(
        uncompared_inputs=(*(path for path in symvers.uncompared_inputs if path not in circle), *objects),
        needed=(*symvers.needed, *listed),
    )


def list_searched_records(rules: Iterable[Rule], tree: Tree) -> Iterator[str]:
    """List every record whose coming would make something a module of its own: there or not."""
    for folder in _find_input_folders(rules, tree):
        yield from _list_records(folder, tree)


def _find_input_folders(rules: Iterable[Rule], tree: Tree) -> list[str]:
    """Find the folders of a module's inputs that another module build may have made."""
    made: set[str] = set()
    inputs = {*find_given_lists(tree)}
    for rule in rules:
        made.update(rule.outputs)
        if rule.owner is not Owner.KERNEL:
            inputs.update(rule.prerequisites, rule.uncompared_inputs, rule.needed)
    # Most of it are headers: what is in these folders no module build made.
    names = ("include", "arch", "rust", "scripts")
    kernel = tuple(f"{base}/{name}/" for base in {tree.srctree, tree.objtree} for name in names)
    return sorted({os.path.dirname(path) for path in inputs - made if not path.startswith(kernel)})


def _list_records(folder: str, tree: Tree) -> Iterator[str]:
    """List where the record is that ``M=`` (or ``MO=``) left, if it built something in ``folder``."""
    for _ in range(_MAX_DEPTH):
        if folder in (tree.module_output, tree.srctree, tree.objtree, "/", ""):
            return
        yield f"{folder}/.Module.symvers.cmd"
        folder = os.path.dirname(folder)


def _is_kernel(folder: str) -> bool:
    """Whether a folder is the top of a kernel's source or object tree."""
    return any(
        os.path.exists(f"{folder}/{name}")
        for name in ("include/config/auto.conf", "scripts/Kbuild.include", ".config")
    )


def _tree_of(tree: Tree, root: str) -> Tree:
    """The same kernel with another module; with ``MO=`` Kbuild leaves a link to the sources."""
    link = f"{root}/source"
    source = os.path.realpath(link) if os.path.islink(link) else root
    return tree._replace(module=source, module_output=root)


def _belongs_to_other(rule: Rule, tree: Tree) -> Rule:
    if rule.owner is not Owner.MODULE:
        return rule
    inside = f"{tree.objtree}/"
    name = rule.target[len(inside) :] if rule.target.startswith(inside) else rule.target
    return rule._replace(owner=Owner.OTHER, name=name)
