# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Remember what each step of a build was made from.

Taken from a verdict by time, after a build. What a step is remembered with was surely read
by it, or the step is left out:

* A step that is stale by itself was built from something that may be gone.
* An input that changed since kdeps began may have changed while its compiler ran.
* An input whose ctime is later than the record, and whose mtime is not, was put in place
  with an old time after the step ran. In a tree that was copied or unpacked the ctimes of
  the records are late as well, and there make's own view is the first one there is.
* What changed so recently that its stamp could stay the same is racy.

What make does not compare (tools, scripts, the synced configuration) and what changed since is in doubt: the sources of
such a step are compared all the same, and nothing proves it.

An entry that still describes its artifact stays, whatever happened to the inputs since:
that is how a change of branch and back is seen to change nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kdeps.contents.digest import Hasher, is_copied
from kdeps.contents.inputs import (
    TOOLS,
    Surroundings,
    built_ns,
    command_digest,
    configuration_inputs,
    configuration_outputs,
    configuration_target,
    deciding_inputs,
    is_remembered,
)
from kdeps.contents.memory import DOUBT, GONE, Entry, Memory, pack, unpack, update_memory
from kdeps.contents.shadows import Shadows, searched_folders
from kdeps.formats.cmdfile import RecordState
from kdeps.kbuild.rule import Action, Rule
from kdeps.staleness.racy_edits import find_racy_edits
from kdeps.staleness.reasons import ReasonKind
from kdeps.system.stat import status_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kdeps.staleness.check import CheckResult

_LATER_NS = 2_000_000_000
"""Kbuild writes a record right after the outputs of its step."""
_WHOLE = (RecordState.COMPLETE, RecordState.COMMAND_ONLY)


def remember(
    result: CheckResult, environ: dict[str, str], since_ns: int, but: frozenset[str] = frozenset()
) -> Memory:
    """Bring the memory of an object tree up to date with a verdict by time, just taken, and save it.

    What changed after ``since_ns``, when kdeps began, is not remembered, nor are the targets ``but``, against which
    something else speaks.
    """
    edited: dict[str, list[str]] = {}
    for edit in find_racy_edits(result.graph.rules, result.snapshot.mtime_ns):
        edited.setdefault(edit.rule.target, []).append(edit.path)
    taken = Memory()

    def take(memory: Memory) -> bool:
        nonlocal taken
        taken = memory
        return _Taker(result, environ, memory, since_ns).take(but, edited)

    update_memory(take, result.tree.objtree, environ, whole=result.rules.whole)
    return taken


class _Taker:
    def __init__(self, result: CheckResult, environ: dict[str, str], old: Memory, since_ns: int) -> None:
        self.result = result
        self.environ = environ
        self.memory = old
        self.since_ns = since_ns
        self.hasher = Hasher(old.known_hashes())
        self.around = Surroundings(result.tree, environ)
        self.shadows = Shadows()
        self.copied: dict[str, bool] = {}
        self.built: dict[str, int] = {}
        self.synced = frozenset(configuration_outputs(result.tree))
        self.changed = False

    def take(self, but: frozenset[str], edited: dict[str, list[str]]) -> bool:
        """Go through all steps, those first that others read from; tell whether the memory changed."""
        graph, memory = self.result.graph, self.memory
        stale = {target for target, state in self.result.verdict.states.items() if state.direct} | but
        self.take_configuration()
        for at in graph.order:
            rule = graph.rules[at]
            built = built_ns(rule, self.result.snapshot.mtime_ns)
            if built is None:
                continue
            self.built[rule.target] = built
            if not is_remembered(rule) or at in graph.cycles:
                continue
            known = memory.entries.get(rule.target)
            if known is not None and known.built_ns == built and known.command == command_digest(rule):
                # The step has not run since. An artifact that was edited by hand stays uncovered.
                self.refresh_stamps(known)
                continue
            entry = None
            if rule.target in edited:
                entry = self.doubtful_entry(rule, built, edited[rule.target])
            elif rule.target not in stale:
                entry = self.entry(rule, built)
            if entry is not None:
                memory.entries[rule.target] = entry
                self.changed = True
            elif known is not None:
                del memory.entries[rule.target]
                self.changed = True
        return self.changed

    # -- an entry that is there ----------------------------------------------------

    def refresh_stamps(self, entry: Entry) -> None:
        """Note new stamps of contents that are still the same: touched, copied, checked out again."""
        memory = self.memory
        for part in (entry.decides, entry.also, entry.outputs):
            for at in unpack(part):
                path = memory.paths[at]
                if memory.stamps[at] is None:
                    continue
                stamp, digest = self.hasher.look(path, self.result.snapshot.stats.get(path))
                if (
                    digest == memory.digests[at]
                    and stamp != memory.stamps[at]
                    and path not in self.hasher.racy
                ):
                    memory.stamps[at] = stamp
                    self.changed = True

    # -- a new entry -----------------------------------------------------------------

    def entry(self, rule: Rule, built: int) -> Entry | None:
        """Describe a fresh step; None if it is not certain what it read."""
        if rule.action is Action.IF_CHANGED and rule.state not in _WHOLE:
            return None
        times = self.result.snapshot.mtime_ns
        if any(times.get(path, 0) > built + _LATER_NS for path in rule.outputs):
            return None  # touched or edited after its step
        deciding, also = deciding_inputs(rule), self.around.also_read(rule)
        # make compares none of these, so the step may have run with earlier ones.
        doubtful = [path for path in also if not self.was_read(path, rule, built)]
        also = [path for path in also if path not in doubtful]
        folders = searched_folders(rule.command, rule.config_dir)
        others = self.shadows.find(folders, deciding)
        unread = [path for path in (*deciding, *others) if not self.was_read(path, rule, built)]
        if unread:
            return self.doubtful_entry(rule, built, unread) if built >= self.since_ns else None
        if rule.action is Action.FILECHK and any(self.last_change(path) > built for path in deciding):
            return None  # what the step wrote last is not known to be made from these
        decides, more = self.rows(deciding), self.rows(also)
        outputs = self.rows(rule.outputs)
        if decides is None or more is None or outputs is None:
            return None
        memory = self.memory
        more += [
            memory.add(f"CONFIG_{name}", self.around.symbol(name), None)
            for name in dict.fromkeys(rule.config)
        ]
        if self.is_old_enough(self.around.tools.newest_ns(), rule.record, built):
            more.append(memory.add(TOOLS, self.around.tools.identity(), None))
        else:
            doubtful.append(TOOLS)
        # Nor is it known what a variable had. Then nothing proves the step; its sources are compared all the same.
        doubtful += (f"env {name}" for name in self.around.compiled_in(rule))
        more += [memory.add(name, DOUBT, None) for name in doubtful]
        shadows = self.shadows.digest(folders, deciding)
        return Entry(command_digest(rule), built, pack(decides), pack(more), pack(outputs), shadows)

    def doubtful_entry(self, rule: Rule, built: int, unread: list[str]) -> Entry | None:
        """Describe a step whose sources changed while it ran, so that it may have read the old contents or the new."""
        changed = [path for path in unread if path in deciding_inputs(rule) and not self.is_made(path)]
        outputs = self.rows(rule.outputs) if changed else None
        if outputs is None:
            return None
        rows = [self.memory.add(path, DOUBT, None) for path in changed]
        return Entry(command_digest(rule), built, pack(rows), b"", pack(outputs), b"")

    def is_made(self, path: str) -> bool:
        return path in self.result.graph.producers or path in self.synced

    def last_change(self, path: str) -> int:
        """When a file got its content: an artifact when its step ran, any other at its ctime."""
        producer = self.result.graph.producers.get(path)
        if producer is not None:
            return self.built.get(self.result.graph.rules[producer].target, 0)
        stamp = self.hasher.look(path)[0]
        if stamp is None:
            return 0
        return stamp[3] if path in self.synced else stamp[4]

    def was_read(self, path: str, rule: Rule, built: int) -> bool:
        """Whether what a file has now is what a step read, or passed over, when it ran."""
        producer = self.result.graph.producers.get(path)
        if producer is not None:
            # An artifact: its own step ran before this one, and it is as that step left it.
            return self.built.get(self.result.graph.rules[producer].target, 0) <= built
        if path in self.synced:
            # An artifact as well: syncconfig writes these before anything is built.
            synced = self.hasher.look(path)[0]
            return synced is None or synced[3] <= built
        st = self.result.snapshot.stats.get(path) or status_of(path)
        return st is None or self.is_old_enough(st.st_ctime_ns, rule.record, built)

    def is_old_enough(self, ctime_ns: int, record: str | None, built: int) -> bool:
        """Whether a file has not changed since a step ran."""
        if ctime_ns >= self.since_ns:
            return False
        # Built by the make that was just run; or untouched since; or in a tree that was copied.
        return built >= self.since_ns or ctime_ns <= built or self.was_copied(record)

    def was_copied(self, record: str | None) -> bool:
        if record is None:
            return True  # make has nothing but the times, and they are as they should be
        copied = self.copied.get(record)
        if copied is None:
            copied = self.copied[record] = is_copied(record)
        return copied

    def rows(self, paths: Iterable[str]) -> list[int] | None:
        """Find or make the rows of some files; None if one of them cannot be known for certain."""
        rows: list[int] = []
        for path in paths:
            stamp, digest = self.hasher.look(path, self.result.snapshot.stats.get(path))
            if digest is None or path in self.hasher.racy:
                return None
            rows.append(self.memory.add(path, digest, stamp))
        return rows

    # -- the configuration -------------------------------------------------------------

    def take_configuration(self) -> None:
        """Remember what the configuration was synced from, if it is synced now."""
        tree = self.result.tree
        target = configuration_target(tree)
        findings = self.result.verdict.findings
        if tree.prebuilt or any(f.kind is ReasonKind.CONFIG_NOT_SYNCED for f in findings):
            return
        outputs = self.rows(configuration_outputs(tree))
        inputs = self.rows(configuration_inputs(tree, self.environ))
        if outputs is None or inputs is None or any(self.memory.digests[at] == GONE for at in outputs):
            return
        synced = self.result.snapshot.stats.get(target)
        built = synced.st_mtime_ns if synced else self.hasher.look(target)[0][3]  # type: ignore[index]
        known = self.memory.entries.get(target)
        if known is not None and known.built_ns == built:
            self.refresh_stamps(known)
            return
        if not self.is_old_enough(self.around.tools.newest_ns(), target, built):
            return
        also = [self.memory.add(TOOLS, self.around.tools.identity(), None)]
        self.memory.entries[target] = Entry(b"", built, pack(inputs), pack(also), pack(outputs), b"")
        self.changed = True
