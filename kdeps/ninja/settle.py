# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Give what is proven to be up to date the times that let Kbuild see it.

After a run of ninja, ``bindings_generated.rs`` may be older than the header that was
touched: bindgen ran, and wrote what was there already. Kbuild would run it again, and
every crate behind it. So such a file gets the time of its newest prerequisite, and so does
everything behind it, but only what is *good*:

    A rule is good if none of its prerequisites is newer than the moment at which the
    rule was last known to be right: when its step last began, if that left every output
    as it was, else the time of its target.

That is make's own question, asked with the times from before; a file that somebody edits
while ninja runs, or after, is newer than that moment and keeps its rule stale. No rule gets
a time that is newer than a file which it was made from.

Run by the last step of a ``build.ninja``: ``python -m kdeps.ninja.settle FOLDER MAKE-ARGS``.
"""

from __future__ import annotations

import os
import sys
import zlib
from typing import NamedTuple

from kdeps.errors import KdepsError
from kdeps.graph import Graph, build_graph
from kdeps.rules import Action, Rule, read_rules
from kdeps.stamps import Snapshot, take_snapshot
from kdeps.tree import find_tree

LOG = ".ninja_log"
STAMP = "settled"


class Raise(NamedTuple):
    """New times for outputs of one rule."""

    rule: Rule
    paths: tuple[str, ...]
    """In the order in which they get it: the target last, for side outputs are never newer."""
    mtime_ns: int


def plan_settling(graph: Graph, snapshot: Snapshot, proven: dict[str, int]) -> tuple[Raise, ...]:
    """Find the rules that need another time, and which.

    Args:
        graph: Read after the run.
        snapshot: Taken after the run.
        proven: Target → when a step began that left every output of it as it was.
    """
    before = snapshot.mtime_ns
    after: dict[str, int] = {}
    raised: list[Raise] = []
    for at in graph.order:
        rule = graph.rules[at]
        target = before.get(rule.target)
        if target is None or rule.action is Action.FILECHK or at in graph.cycles:
            continue
        if any(before.get(path, target + 1) > target for path in rule.outputs[1:]):
            continue  # a step that was broken off
        right = max(target, proven.get(rule.target, target))
        newest = 0
        for path in _compared(rule, snapshot):
            mtime = before.get(path)
            if mtime is None or mtime > right:
                break
            newest = max(newest, after.get(path, mtime))
        else:
            paths = (*rule.outputs[1:], rule.target)
            if newest <= target:
                # modpost leaves a .mod.c alone that would not differ, and make does not mind; ninja does.
                paths = tuple(p for p in paths if p in rule.replaced_if_changed and before[p] < newest)
            if paths:
                raised.append(Raise(rule, paths, newest))
                after.update(dict.fromkeys(paths, newest))
    return tuple(raised)


def _compared(rule: Rule, snapshot: Snapshot) -> list[str]:
    """What make compares the target with. Stamps of symbols are looked up in ``snapshot.config``."""
    config = snapshot.config.get(rule.config_dir, {})
    snapshot.mtime_ns.update(
        (f"{rule.config_dir}/include/config/{name}", config[name]) for name in rule.config if name in config
    )
    return [
        *rule.prerequisites,
        *(path for path in rule.optional if path in snapshot.mtime_ns),
        *(f"{rule.config_dir}/include/config/{name}" for name in rule.config if name in config),
    ]


def settle(folder: str, words: tuple[str, ...], cwd: str, environ: dict[str, str]) -> int:
    """Settle one build; return how many rules got another time.

    Args:
        folder: Where the steps left their notes.
        words: make's arguments.
        cwd: Where they mean what they say.
        environ: The environment make would get.

    Raises:
        KdepsError: The tree cannot be read any more.
    """
    with open(f"{folder}/{STAMP}.new", "wb"):
        pass  # before anything is looked at: an edit after this is newer
    tree = find_tree(words, cwd, environ)
    rules = read_rules(tree)
    notes = _read_notes(f"{folder}/same")
    names = {rule.target: note_name(rule.target) for rule in rules.rules}
    proven = {target: notes[name] for target, name in names.items() if name in notes}
    raised = plan_settling(build_graph(rules, tree.objtree), take_snapshot(rules), proven)
    for _, paths, mtime_ns in raised:
        for path in paths:
            os.utime(path, ns=(mtime_ns, mtime_ns))
    for name in notes:
        os.unlink(f"{folder}/same/{name}")
    # From here on the times are true, and the log's are not.
    if os.path.exists(f"{folder}/{LOG}"):
        os.unlink(f"{folder}/{LOG}")
    os.replace(f"{folder}/{STAMP}.new", f"{folder}/{STAMP}")
    return len(raised)


def note_name(target: str) -> str:
    """The name of the note of a step: its target as one file name, however long its path is."""
    return f"{zlib.crc32(os.fsencode(target)):08x}-{os.path.basename(target)[-64:]}"


def _read_notes(folder: str) -> dict[str, int]:
    """When each step that left its outputs as they were began."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name: entry.stat().st_mtime_ns for entry in entries}
    except FileNotFoundError:
        return {}


def main() -> int:
    """Run as ninja's last step."""
    try:
        settle(sys.argv[1], tuple(sys.argv[2:]), os.getcwd(), dict(os.environ))
    except (KdepsError, OSError) as error:
        sys.stderr.write(f"kdeps: error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
