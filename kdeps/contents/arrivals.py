# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What came into the folders of a build after its artifacts, where no recorded input shows it.

A link that leads elsewhere since, to older files; a header earlier on the ``-I`` path than the one that was read;
``foo/mod.rs`` beside ``foo.rs``. No make looks at any of them. Each changes the list of names of its folder, so only
the folders that are newer than the first artifact are listed, and mostly that is none of the kernel's.
"""

from __future__ import annotations

import os

from kdeps import TYPE_CHECKING, NamedTuple
from kdeps.contents.digest import is_copied
from kdeps.contents.shadows import searched_folders
from kdeps.kbuild.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from kdeps.kbuild.rule import Rule

_HEADERS = (".h", ".inc", ".S", ".c")
_MAX_ARRIVALS = 10
"""More than these did not come one by one: the tree was copied or unpacked."""

Made = list[tuple["Rule", os.stat_result]]
"""Steps, and what stat says of the target of each."""


class Arrival(NamedTuple):
    """Something that came after an artifact was made."""

    rule: Rule
    """What was made before."""
    replaced: str
    """The file that was read then, and would not be read now; of a link that which is read through it."""
    is_link: bool


class Arrivals(NamedTuple):
    """What came, and what was looked at to find it."""

    found: dict[str, Arrival]
    folders: frozenset[str]
    """Every folder whose list of names it goes by."""


def find_arrivals(
    made: Made, tree: Tree, outputs: Collection[str], is_known: Callable[[Rule], bool]
) -> Arrivals:
    """Find what came after the artifacts that read something in its place.

    Args:
        made: The steps whose artifacts are in order, with what stat says of their targets.
        outputs: What the build makes itself.
        is_known: Whether the memory has what a step read, and what could stand in for it.
    """
    inputs = set[str]().union(*(rule.prerequisites + rule.optional_prerequisites for rule, _ in made))
    inputs.difference_update(outputs)
    folders = {path.rpartition("/")[0] for path in inputs}
    earlier, missing = _find_earlier(
        made, {path.rpartition("/")[0] for path in inputs if path.endswith(_HEADERS)}
    )
    ways = folders | _find_parents(folders, tree)
    looked = {*earlier, *ways} - {""}
    first_ns = min((st.st_ctime_ns for _, st in made), default=0)
    candidates: dict[str, tuple[str, bool]] = {}
    for folder in looked:
        if _is_newer(folder, first_ns):
            candidates.update(_find_candidates(folder, inputs, ways, earlier))
    found: dict[str, Arrival] = {}
    for path, (replaced, is_link) in candidates.items():
        rule = None if path in outputs else _find_older(path, replaced, made, is_link=is_link)
        if rule is not None and not is_known(rule) and not is_copied(rule.record or ""):
            found[path] = Arrival(rule, replaced, is_link)
    return Arrivals({} if len(found) > _MAX_ARRIVALS else found, frozenset(looked | missing))


def _find_earlier(made: Made, folders: set[str]) -> tuple[dict[str, set[str]], set[str]]:
    """List the folders that a compiler searches before one from which it read a header, each with the latter.

    Returns as well which folders are not there, the uppermost of each that is missing.
    """
    pairs: dict[tuple[str, str], None] = {}
    for searched in {
        searched_folders(rule.command, rule.config_dir) for rule, _ in made if " -I" in rule.command
    }:
        pairs.update(((before, later), None) for at, later in enumerate(searched) for before in searched[:at])
    there: dict[str, bool] = {}
    missing: set[str] = set()

    def is_there(folder: str, top: str) -> bool:
        known = there.get(folder)
        if known is None:
            above = folder == top or is_there(folder[: folder.rfind("/")], top)
            known = there[folder] = above and os.path.isdir(folder)
            if above and not known:
                missing.add(folder)
        return known

    earlier: dict[str, set[str]] = {}
    below = {later: [f for f in folders if f == later or f.startswith(f"{later}/")] for _, later in pairs}
    for before, later in pairs:
        for folder in below[later]:
            if is_there(place := before + folder[len(later) :], before):
                earlier.setdefault(place, set()).add(folder)
    return earlier, missing


def _find_parents(folders: set[str], tree: Tree) -> set[str]:
    """Find the folders above others, up to the top of the kernel or the module: a link may be in each."""
    tops = tuple(f"{top}/" for top in {tree.srctree, tree.objtree, tree.module, tree.module_output} if top)
    found: set[str] = set()
    for folder in folders:
        above = folder[: folder.rfind("/")]
        while above not in found and above not in folders and f"{above}/".startswith(tops):
            found.add(above)
            above = above[: above.rfind("/")]
    return found


def _is_newer(folder: str, than_ns: int) -> bool:
    try:
        return os.stat(folder).st_mtime_ns > than_ns
    except OSError:
        return False


def _find_candidates(
    folder: str, inputs: set[str], ways: set[str], earlier: dict[str, set[str]]
) -> dict[str, tuple[str, bool]]:
    """Find the links in a folder, and what would be read instead of an input: path → that input, and whether it is a link.

    ``ways`` are the folders through which an input is reached.
    """
    found: dict[str, tuple[str, bool]] = {}
    shadowed = earlier.get(folder, ())
    try:
        with os.scandir(folder) as entries:
            names = [(entry.name, entry.is_symlink()) for entry in entries]
    except OSError:
        return found
    for name, is_link in names:
        path = f"{folder}/{name}"
        if is_link and path in inputs:
            found[path] = (path, True)
        elif is_link and path in ways:
            found[path] = (next(p for p in inputs if p.startswith(f"{path}/")), True)
        if path in inputs:
            continue
        if name.endswith(_HEADERS):
            found.update((path, (f"{f}/{name}", False)) for f in shadowed if f"{f}/{name}" in inputs)
        elif name.endswith(".rs"):
            beside = f"{folder}.rs" if name == "mod.rs" else f"{path[:-3]}/mod.rs"
            if beside in inputs:
                found[path] = (beside, False)
        elif f"{path}.rs" in inputs and f"{path}/mod.rs" not in inputs and os.path.exists(f"{path}/mod.rs"):
            found[f"{path}/mod.rs"] = (f"{path}.rs", False)
    return found


def _find_older(path: str, replaced: str, made: Made, *, is_link: bool) -> Rule | None:
    """Find a step that read something in the place of what is there, before it came; None if it was there before."""
    try:
        there = os.lstat(path)
        came_ns = there.st_ctime_ns
        read_ns = os.stat(replaced).st_mtime_ns
    except OSError:
        return None
    for rule, target in made:
        inputs = (*rule.prerequisites, *rule.optional_prerequisites)
        if came_ns <= target.st_ctime_ns or replaced not in inputs:
            continue
        if is_link:
            # What is newer shows by its own time.
            return rule if read_ns <= target.st_mtime_ns else None
        return rule if _was_born_after(path, target.st_mtime_ns) else None
    return None


def _was_born_after(path: str, made_ns: int) -> bool:
    """Whether a file was not there yet; a ``chmod`` gives one that was a new ctime."""
    from kdeps.system.birth import birth_times

    times = birth_times(path)
    return times is None or times.birth_ns > made_ns
