# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Give outputs that are proven up to date a time that Kbuild accepts.

After a run of ninja, ``bindings_generated.rs`` may be older than the header that was
touched: bindgen ran, and wrote what was there already. Kbuild would run it again, and
every crate behind it. So such a file gets the time of its newest prerequisite, and so does
everything behind it that is good (``staleness.new_times``). A rule is known to be good at the
moment when its step last began, if that step left every output as it was.

Run by the last step of a ``build.ninja``: ``python -m kdeps.refresh.ninja.timestamps FOLDER MAKE-ARGS``.
"""

from __future__ import annotations

import os
import sys
import zlib

from kdeps.kbuild.graph import build_graph
from kdeps.kbuild.rules import read_rules
from kdeps.kbuild.tree import find_tree
from kdeps.staleness.new_times import plan_new_times
from kdeps.staleness.snapshot import take_snapshot
from kdeps.system.errors import KdepsError
from kdeps.system.files import write_file

LOG = ".ninja_log"
STAMP = "settled"


def settle(folder: str, words: tuple[str, ...], cwd: str, environ: dict[str, str]) -> int:
    """Settle one build by the notes that the steps left in a folder; return how many rules got another time.

    Raises KdepsError if the tree cannot be read any more.
    """
    write_file(f"{folder}/{STAMP}.new", b"")  # before anything is looked at: an edit after this is newer
    tree = find_tree(words, cwd, environ)
    rules = read_rules(tree)
    notes = _read_notes(f"{folder}/same")
    names = {rule.target: note_name(rule.target) for rule in rules.rules}
    proven = {target: notes[name] for target, name in names.items() if name in notes}
    graph = build_graph(rules, tree.objtree)
    raised = plan_new_times(graph, take_snapshot(rules), proven, objtree=tree.objtree)
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
