# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Put back what was built before, instead of building it again.

A step that is to run is looked up among its earlier builds (``kdeps.contents.steps``). If one of them was
made from all the contents that are there now, by the same tools, with the same values of symbols and no
other file that could stand in for an input, its outputs and Kbuild's record are put in place. make then
finds nothing to do; where its command of today is another one, it sees that in the record, and runs the step.

* The record goes first and comes back last. A step that was broken off has none, and make runs it.
* Contents that are new in their place get the time at which this began, as a compile would give it: whatever
  was made from the old ones is older. An edit that comes later is newer.
* A step whose inputs are to be built again is left to make.
"""

from __future__ import annotations

import os
import stat
import time
from typing import TYPE_CHECKING

from kdeps.contents.digest import Hasher
from kdeps.contents.inputs import AUTOCONF, TOOLS, Surroundings, configuration_target
from kdeps.contents.memory import GONE, Memory, load_memory, save_memory, unpack
from kdeps.contents.recall import is_synced
from kdeps.contents.settle import has_other_name, remove, temporary_name
from kdeps.contents.shadows import Shadows
from kdeps.contents.steps import Index, Step, load_index, save_index
from kdeps.formats.kconfig import parse_symbols
from kdeps.kbuild.rule import Action
from kdeps.staleness.reasons import ReasonKind
from kdeps.system.blobs import Blobs
from kdeps.system.files import read_text, write_file
from kdeps.system.stat import mtime_ns, stamp_of

if TYPE_CHECKING:
    from kdeps.contents.recall import Recollection
    from kdeps.contents.shared import SharedSteps
    from kdeps.staleness.check import CheckResult

_CLOCK_NS = 20_000_000
"""More than the clock of a file system may be behind."""


def restore_configuration(
    result: CheckResult, recalled: Recollection, environ: dict[str, str], shared: SharedSteps | None = None
) -> bool:
    """Put back the synced configuration that belongs to ``.config`` and all Kconfig files; tell whether it was.

    Raises OSError where a file cannot be written.
    """
    findings = (*result.verdict.findings, *recalled.result.verdict.findings)
    if recalled.configuration_proven or is_synced(findings):
        return False
    restorer = _open(result, recalled, environ, shared)
    if restorer is None:
        return False
    with restorer.blobs:
        return restorer.restore_configuration()


def restore_steps(
    result: CheckResult, recalled: Recollection, environ: dict[str, str], shared: SharedSteps | None = None
) -> tuple[str, ...]:
    """Put back what was built before from the contents that are there now; return the targets that were.

    ``recalled`` is what the memory says of the same build, ``shared`` has the steps of others. Raises OSError where a
    file cannot be written.
    """
    restorer = _open(result, recalled, environ, shared)
    if restorer is None:
        return ()
    with restorer.blobs:
        return restorer.restore_steps()


def _open(
    result: CheckResult, recalled: Recollection, environ: dict[str, str], shared: SharedSteps | None
) -> _Restorer | None:
    index = load_index(result.tree.objtree, environ)
    if (index is None and shared is None) or result.tree.prebuilt or result.rules.whole:
        return None
    try:
        return _Restorer(result, recalled, environ, index or Index(), Blobs(environ, create=True), shared)
    except OSError:
        return None


class _Restorer:
    def __init__(
        self,
        result: CheckResult,
        recalled: Recollection,
        environ: dict[str, str],
        index: Index,
        blobs: Blobs,
        shared: SharedSteps | None,
    ) -> None:
        self.blobs = blobs
        self._shared = shared
        self._of_others = shared.add_to(index) if shared is not None else []
        self._started_ns = time.time_ns()
        self._tree, self._result, self._environ = result.tree, result, environ
        self._memory = load_memory(result.tree.objtree, environ) or Memory()
        self._index = index
        self._makers = {
            path: target
            for target, builds in index.steps.items()
            for step in builds
            for path, _ in index.contents(step.entry.outputs)
        }
        self._rules = {rule.target: rule for rule in result.graph.rules}
        self._is_synced = is_synced(recalled.result.verdict.findings)
        states = recalled.result.verdict.states
        self._stale = states.keys()
        self._other_command = {
            target
            for target, state in states.items()
            if any(reason.kind is ReasonKind.COMMAND_CHANGED for reason in state.reasons)
        }
        self._hasher = Hasher(self._memory.known_hashes())
        self._around = Surroundings(result.tree, environ)
        self._shadows = Shadows()
        self._commands, _ = self._around.commands(self._hasher)
        self._consumers_ns = self._find_consumers()
        self._placed: dict[str, tuple[bytes, int]] = {}
        """Path → hash and time of what was put in place."""
        self._left: set[str] = set()
        """Paths whose content make decides."""
        self._done: set[str] = set()
        self._restored: dict[str, Step] = {}

    def _find_consumers(self) -> dict[str, int]:
        """Map each artifact to the latest time of what is made from it."""
        times = self._result.snapshot.mtime_ns
        latest: dict[str, int] = {}
        for rule in self._result.graph.rules:
            made = times.get(rule.target, 0)
            for path in (*rule.prerequisites, *rule.optional_prerequisites):
                latest[path] = max(latest.get(path, 0), made)
        return latest

    # -- what is there -----------------------------------------------------------------

    def _content(self, path: str) -> bytes | None:
        if path == TOOLS:
            return self._around.tools.identity()
        if path.startswith("CONFIG_"):
            return self._around.symbol(path[7:])
        if path in self._left or (path.endswith(AUTOCONF) and not self._is_synced):
            return None
        placed = self._placed.get(path)
        return placed[0] if placed else self._hasher.look(path)[1]

    def _is_there(self, contents: list[tuple[str, bytes]]) -> bool:
        return all(self._content(path) == digest for path, digest in contents)

    def _find(self, target: str) -> Step | None:
        """Find the build of a target that was made from what is there.

        Those of these Makefiles and this configuration come first, because the command is made from them; then the
        one that was used last. Where Kbuild would run another command, only the first will do.
        """
        index = self._index
        builds = index.steps.get(target, [])[::-1]
        builds.sort(key=lambda step: step.commands != self._commands)
        for step in builds:
            decides = index.contents(step.entry.decides)
            if (
                step.entry.outputs
                and (step.commands == self._commands or target not in self._other_command)
                and self._is_there(decides)
                and self._is_there(index.contents(step.entry.also))
                and (
                    not step.entry.shadows
                    or self._shadows.digest(step.folders, [path for path, _ in decides]) == step.entry.shadows
                )
            ):
                return step
        return None

    # -- the configuration ---------------------------------------------------------------

    def restore_configuration(self) -> bool:
        """Put back what syncconfig would write."""
        target = configuration_target(self._tree)
        step = self._find(target)
        if step is None:
            return False
        if not self._place(step):
            return False
        self._save()
        return True

    def _touch_symbols(self, synced: str) -> None:
        """Touch the stamps of the symbols that get another value, before the configuration has it: as syncconfig does.

        Whoever is killed between the two leaves steps that run once too often.
        """
        before, after = (
            parse_symbols(read_text(path)) for path in (configuration_target(self._tree), synced)
        )
        for name in before.keys() | after.keys():
            if before.get(name) != after.get(name):
                write_file(f"{self._tree.objtree}/include/config/{name.removeprefix('CONFIG_')}", b"")

    # -- the steps -----------------------------------------------------------------------

    def restore_steps(self) -> tuple[str, ...]:
        """Go through what this build uses, what is read first."""
        module = f"{self._tree.module_output}/"
        own = (target for target in self._index.steps if self._tree.module and target.startswith(module))
        for target in dict.fromkeys((*self._rules, *own)):
            self._restore(target)
        if self._restored:
            self._save()
        return tuple(self._restored)

    def _restore(self, target: str) -> None:
        """Put a target back if it is to be built; what it is made from comes before."""
        if target in self._done:
            return
        self._done.add(target)
        for path in self._inputs(target):
            maker = self._makers.get(path)
            if maker is not None:
                self._restore(maker)
        rule = self._rules.get(target)
        if rule and rule.action is Action.FILECHK:
            self._restore_generated(target)
            return
        if not self._is_to_run(target):
            return
        step = self._find(target)
        if step is None or not self._place(step):
            self._left.update(rule.outputs if rule else (target,))

    def _restore_generated(self, target: str) -> None:
        """Put back what a filechk step would write: from the same contents, by the same Makefiles.

        Where it would write what is there, the file keeps its time; where that is not known, make decides.
        """
        step = self._find(target)
        if step is None or step.commands != self._commands:
            return
        if not self._is_there(self._index.contents(step.entry.outputs)):
            self._place(step)

    def _inputs(self, target: str) -> list[str]:
        rule = self._rules.get(target)
        found = [*rule.prerequisites, *rule.optional_prerequisites, *rule.uncompared_inputs] if rule else []
        for step in self._index.steps.get(target, ()):
            found += (path for path, _ in self._index.contents(step.entry.decides))
        return found

    def _is_to_run(self, target: str) -> bool:
        """Whether make would run a step, now or after what it reads has been made."""
        if target in self._stale:
            return True
        rule = self._rules.get(target)
        if rule is None or rule.record is None:
            return not os.path.exists(target)
        read = (*rule.prerequisites, *rule.optional_prerequisites)
        return any(path in self._placed or path in self._left for path in read) or self._is_of_another(target)

    def _is_of_another(self, target: str) -> bool:
        """Whether what is there was built with other Makefiles or in another configuration, and there is a build with these."""
        entry = self._memory.entries.get(target)
        builds = self._index.steps.get(target, ())
        now = [step for step in builds if entry and step.entry.built_ns == entry.built_ns]
        return (
            any(step.commands != self._commands for step in now)
            and any(step.commands == self._commands for step in builds)
        )  # fmt: skip

    # -- putting in place ----------------------------------------------------------------

    def _place(self, step: Step) -> bool:
        """Put one build in place; tell whether it is there, and nothing is lost if it is not."""
        outputs = self._index.contents(step.entry.outputs)
        record, recorded = step.record
        new = [
            path for path, digest in outputs if self._hasher.look(path)[1] != digest or has_other_name(path)
        ]
        wanted = {digest for path, digest in outputs if path in new} | ({recorded} if record else set())
        mtime_ns = self._time_for(step, new)
        paths = [path for path, _ in outputs]
        if mtime_ns > self._started_ns or not all(map(_is_ours, paths)):
            return False
        if self._shared is not None:
            self._shared.fetch(wanted, self.blobs)
        if not self.blobs.has_all(wanted):
            return False
        modes = dict(zip(paths, step.modes, strict=True))
        temporary = {path: temporary_name(path) for path in (*new, *([record] if record else ()))}
        try:
            for path, digest in (*outputs, *([(record, recorded)] if record else ())):
                if path in temporary:
                    os.makedirs(os.path.dirname(path), exist_ok=True)
                    remove(temporary[path])  # of a run that was killed
                    self.blobs.copy_out(digest, temporary[path], modes.get(path, 0o644))
        except OSError:
            for path in temporary.values():
                remove(path)
            return False
        if step.target == configuration_target(self._tree) and step.target in temporary:
            self._touch_symbols(temporary[step.target])
        if record:
            remove(record)
        for path, digest in reversed(outputs):
            if path in new:
                os.utime(temporary[path], ns=(mtime_ns, mtime_ns))
                os.replace(temporary[path], path)
                self._placed[path] = (digest, mtime_ns)
            elif os.stat(path).st_mtime_ns < mtime_ns:
                os.utime(path, ns=(mtime_ns, mtime_ns))
                self._placed[path] = (digest, mtime_ns)
        if record:
            os.replace(temporary[record], record)
        self._note(step)
        return True

    def _time_for(self, step: Step, new: list[str]) -> int:
        """The time at which make takes the outputs for up to date."""
        index = self._index
        rule = self._rules.get(step.target)
        newest = 0
        for path, digest in (*index.contents(step.entry.decides), *index.contents(step.entry.also)):
            if path.startswith("CONFIG_"):
                folder = rule.config_dir if rule else self._tree.objtree
                path = f"{folder}/include/config/{path[7:]}"
            elif digest == GONE or path == TOOLS:
                continue
            newest = max(newest, mtime_ns(path))
        outputs = [path for path, _ in index.contents(step.entry.outputs)]
        if not new:
            return max(newest, *(map(mtime_ns, outputs[:1])))
        read_later = max((self._consumers_ns.get(path, 0) for path in outputs), default=0)
        return max(newest, read_later + 1, self._started_ns - _CLOCK_NS)

    def _note(self, step: Step) -> None:
        """Remember that the artifact is the one of this build again."""
        rows = self._index.copy_rows(step.entry, self._memory, {})
        for part in (rows.decides, rows.also, rows.outputs):
            for at in unpack(part):
                path = self._memory.paths[at]
                if path in self._placed:
                    self._memory.stamps[at] = stamp_of(os.stat(path))
                elif path.startswith("/") and path not in self._hasher.racy:
                    self._memory.stamps[at] = self._hasher.look(path)[0]
        built_ns = mtime_ns(step.record[0] or step.target)
        self._memory.entries[step.target] = rows._replace(built_ns=built_ns)
        self._index.use(step)
        self._index.steps[step.target][-1] = step._replace(entry=step.entry._replace(built_ns=built_ns))
        self._restored[step.target] = step

    def _save(self) -> None:
        for step in self._of_others:
            builds = self._index.steps[step.target]
            builds[:] = [build for build in builds if build is not step]
        save_memory(self._memory, self._tree.objtree, self._environ)
        save_index(self._index, self._tree.objtree, self._environ)


def _is_ours(path: str) -> bool:
    """Whether a file may be replaced: it is a plain one, or not there."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except FileNotFoundError:
        return True
    except OSError:
        return False
