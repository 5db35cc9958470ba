# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What is done to a tree, and the seeded choice of it.

A case is named ``LAYOUT/SEED:INDEX`` and is a function of that name and of the
tree alone, not of the other cases: so any one can be run again by itself.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from .aim import Aim, Catalogue, find_kernel_aims, find_module_aims
from .layout import Layout, Module

HOUR_NS = 3_600_000_000_000


@dataclass(frozen=True, slots=True)
class Step:
    """One change of one file."""

    kind: str
    """Kind of file, a key of the catalogue."""
    operation: str
    """A key of :data:`OPERATIONS`."""
    path: str
    relative: str = ""
    """The file whose mtime ``equal``, ``plus1`` and ``minus1`` refer to."""
    draw: float = 0.0
    """A number in [0, 1) for the operation's own choices."""

    def __str__(self) -> str:
        """Return the step as a report shows it."""
        to = f" ({self.relative})" if self.relative else ""
        return f"{self.operation} {self.path}{to} [{self.kind}]"


@dataclass(frozen=True, slots=True)
class Case:
    """One mutation of one layout, and the modules to judge after it."""

    layout: Layout
    modules: tuple[Module, ...]
    steps: tuple[Step, ...]
    seed: int
    index: int
    warm: bool
    """Whether kdeps finds the caches of an earlier run on the fresh tree."""
    extra: tuple[str, ...] = ()
    """Make arguments of this case only (flags)."""

    @property
    def name(self) -> str:
        """Return what ``--only`` takes."""
        return f"{self.layout.name}/{self.seed}:{self.index}"


# Operations. Each takes the step; files that a former step of the same case
# removed are skipped, for the case is about what is left.


def _touch(step: Step) -> None:
    os.utime(step.path)


def _edit(step: Step) -> None:
    end = "// kdeps\n" if step.path.endswith((".rs", ".c", ".h")) else "# kdeps\n"
    if step.path.endswith((".o", ".so", ".rmeta", ".rlib", ".ko")):
        end = "\0"
    with open(step.path, "ab") as f:
        f.write(end.encode())


def _edit_unseen(step: Step) -> None:
    """Change the content, not the mtime: nothing that compares times can notice."""
    before = os.stat(step.path).st_mtime_ns
    _edit(step)
    _set_mtime(step.path, before)


def _age(step: Step) -> None:
    _set_mtime(step.path, os.stat(step.path).st_mtime_ns - 400 * 24 * HOUR_NS)


def _equal(step: Step) -> None:
    _set_mtime(step.path, os.stat(step.relative).st_mtime_ns)


def _plus1(step: Step) -> None:
    _set_mtime(step.path, os.stat(step.relative).st_mtime_ns + 1)


def _minus1(step: Step) -> None:
    _set_mtime(step.path, os.stat(step.relative).st_mtime_ns - 1)


def _future(step: Step) -> None:
    _set_mtime(step.path, time.time_ns() + HOUR_NS)


def _delete(step: Step) -> None:
    os.unlink(step.path)


def _empty(step: Step) -> None:
    with open(step.path, "wb"):
        pass


def _replace(step: Step) -> None:
    """Do what an editor does: write a new file and rename it over the old one."""
    temporary = step.path + ".kdeps~"
    with open(step.path, "rb") as old, open(temporary, "wb") as new:
        new.write(old.read())
    os.chmod(temporary, os.stat(step.path).st_mode & 0o7777)
    os.rename(temporary, step.path)


def _link(step: Step) -> None:
    """Move the file aside and link to it; now and then the file behind the link is newer."""
    aside = step.path + ".kdeps~"
    os.rename(step.path, aside)
    os.symlink(os.path.basename(aside), step.path)
    if step.draw < 0.5:
        os.utime(aside)


def _dangle(step: Step) -> None:
    os.unlink(step.path)
    os.symlink("kdeps-is-not-here", step.path)


def _epoch(step: Step) -> None:
    """Set the mtime that unpacked archives and reproducible builds like: zero."""
    _set_mtime(step.path, 0)


def _create(step: Step) -> None:
    os.makedirs(os.path.dirname(step.path), exist_ok=True)
    with open(step.path, "ab"):
        os.utime(step.path)


def _create_old(step: Step) -> None:
    _create(step)
    _age(step)


def _cut(find: Callable[[bytes, float], int]) -> Callable[[Step], None]:
    """Make an operation that cuts a record off at the byte that ``find`` tells."""

    def operation(step: Step) -> None:
        with open(step.path, "r+b") as f:
            f.truncate(find(f.read(), step.draw))

    return operation


def _in_command(text: bytes, draw: float) -> int:
    return int(len(text.partition(b"\n")[0]) * draw)


def _after_command(text: bytes, _draw: float) -> int:
    return text.find(b"\n") + 1


def _between_lines(text: bytes, draw: float) -> int:
    ends = [m.end() for m in re.finditer(rb"^ +\S.* \\\n", text, re.MULTILINE)]
    return ends[int(len(ends) * draw)] if ends else _after_command(text, draw)


def _in_wildcard(text: bytes, draw: float) -> int:
    starts = [m.start() for m in re.finditer(rb"\$\(wildcard include/config/\w", text)]
    return starts[int(len(starts) * draw)] + 20 if starts else _in_command(text, draw)


def _before_rules(text: bytes, draw: float) -> int:
    """Keep the list, lose ``T: $(deps_T)`` and what follows."""
    m = re.search(rb"^\S+: \$\(deps_", text, re.MULTILINE)
    return m.start() if m else _after_command(text, draw)


def _before_last_rule(text: bytes, draw: float) -> int:
    """Keep ``T: $(deps_T)``, lose the empty rule for the prerequisites."""
    m = re.search(rb"^\$\(deps_", text, re.MULTILINE)
    return m.start() if m else _after_command(text, draw)


def _junk(step: Step) -> None:
    with open(step.path, "ab") as f:
        f.write(b"\xff\xfe junk\n")


_FLAG_OPTIONS = (
    "RUST_OVERFLOW_CHECKS",
    "CC_OPTIMIZE_FOR_SIZE",
    "HAVE_CFI_ICALL_NORMALIZE_INTEGERS",
    "FRAME_WARN",
)


def _drop_option(step: Step) -> None:
    """Take an option out of auto.conf that no file depends on, only flags."""
    with open(step.path, "r+b") as f:
        lines = f.readlines()
        starts = tuple(f"CONFIG_{name}=".encode() for name in _FLAG_OPTIONS)
        there = [line for line in lines if line.startswith(starts)]
        if there:
            lines.remove(there[int(len(there) * step.draw)])
        f.seek(0)
        f.truncate()
        f.writelines(lines)


def _set_mtime(path: str, mtime_ns: int) -> None:
    os.utime(path, ns=(mtime_ns, mtime_ns))


OPERATIONS: Mapping[str, Callable[[Step], None]] = {
    "touch": _touch,
    "edit": _edit,
    "edit-unseen": _edit_unseen,
    "replace": _replace,
    "age": _age,
    "equal": _equal,
    "plus1": _plus1,
    "minus1": _minus1,
    "future": _future,
    "delete": _delete,
    "empty": _empty,
    "link": _link,
    "dangle": _dangle,
    "epoch": _epoch,
    "create": _create,
    "create-old": _create_old,
    "cut-command": _cut(_in_command),
    "cut-after-command": _cut(_after_command),
    "cut-list": _cut(_between_lines),
    "cut-wildcard": _cut(_in_wildcard),
    "cut-rules": _cut(_before_rules),
    "cut-last-rule": _cut(_before_last_rule),
    "junk": _junk,
    "drop-option": _drop_option,
}

_RECORD = ("delete", "empty", "cut-command", "cut-after-command", "cut-list", "cut-list", "cut-wildcard", "cut-rules",
           "cut-last-rule", "junk", "touch", "age")  # fmt: skip
_OUTPUT = (
    "touch",
    "delete",
    "empty",
    "age",
    "equal",
    "plus1",
    "minus1",
    "future",
    "edit",
    "epoch",
    "link",
    "dangle",
)
_SOURCE = ("touch", "edit", "replace", "delete", "age", "equal", "plus1", "minus1", "future", "edit-unseen", "epoch", "link",
           "dangle")  # fmt: skip
_FILE = ("touch", "edit", "delete", "age", "plus1", "future")
_STAMP = ("touch", "delete", "age", "equal", "plus1")
_IDLE = ("touch", "edit", "delete")

_USES: Mapping[str, tuple[str, ...]] = {
    "rust record": _RECORD * 2,
    "tool record": _RECORD,
    "other record": ("delete", "cut-list", "empty"),
    "module record": _RECORD,
    "rust kernel source": _SOURCE * 2,
    "helper source": _FILE,
    "macros source": _FILE,
    "pin-init source": _FILE,
    "zerocopy source": _FILE,
    "other rust source": _FILE,
    "bindings input": _SOURCE,
    "header": _SOURCE * 2,
    "generated header": _FILE,
    "generated file": _FILE,
    "system header": ("touch", "delete", "plus1"),
    "core library source": ("touch", "delete", "equal", "plus1"),
    "host library": ("touch", "delete"),
    "tool source": _SOURCE,
    "other source": _FILE,
    "crate output": _OUTPUT * 2,
    "crate metadata": _OUTPUT,
    "tool output": _OUTPUT,
    "other output": ("touch", "delete", "age"),
    "config stamp": _STAMP * 2,
    "absent config stamp": ("create", "create-old"),
    "fixed input": ("touch", "edit", "delete", "age", "future"),
    "configuration": ("touch", "edit", "delete", "age"),
    "configuration output": ("touch", "edit", "delete"),
    "kconfig": ("touch", "edit"),
    "makefile": ("touch",),
    "unrelated": _IDLE,
    "absent file": ("create", "create-old"),
    "left-over dep-info": ("create", "create-old"),
    "module source": _SOURCE * 2,
    "module header": ("touch", "edit", "delete", "plus1"),
    "module crate": ("touch", "delete", "equal", "plus1"),
    "module output": _OUTPUT * 2,
    "module list": _OUTPUT,
    "module makefile": ("touch",),
    "absent module config": ("create", "create-old"),
    "absent module file": ("create",),
}
"""Which operations make sense on which kind. A repeated one comes up more often."""

_NEEDS_RELATIVE = ("equal", "plus1", "minus1")
_SEVERAL = 0.15
"""How often a case is of two to four steps."""
_TWO_MODULES = 0.2


_FLAGS = ("KRUSTFLAGS=-Cdebuginfo=1", "KCFLAGS=-DKDEPS", "KCPPFLAGS=-DKDEPS", "KBUILD_MODPOST_WARN=", "HOSTCFLAGS=-DKDEPS",
          "KRUSTFLAGS=--cfg=kdeps", "KBUILD_MODPOST_NOFINAL=1", "V=1")  # fmt: skip
"""What a user adds to make's arguments and what changes recorded commands (or does not)."""


class Planner:
    """Chooses the cases of one layout.

    Pairs of kind and operation come in shuffled rounds, so that each has come
    up once before any comes up again.
    """

    def __init__(self, layout: Layout) -> None:
        """Take aim. Reads the layout's trees, which must be fresh."""
        self.layout = layout
        self._kernel = find_kernel_aims(layout)
        self._module: dict[str, Catalogue] = {m.name: find_module_aims(layout, m) for m in layout.modules}

    @property
    def kinds(self) -> dict[str, int]:
        """Return how many files there are to hit, by kind."""
        catalogues: Sequence[Catalogue] = [self._kernel, *self._module.values()]
        kinds = sorted({kind for c in catalogues for kind in c})
        return {kind: sum(len(c.get(kind, ())) for c in catalogues) for kind in kinds}

    def plan(self, seed: int, index: int) -> Case:
        """Return case number ``index`` of the stream that ``seed`` starts."""
        rng = random.Random(f"{seed}/{self.layout.name}/{index}")
        module = rng.choice(self.layout.modules)
        pairs = self._round(seed, index)
        first = self._step(rng, module, *pairs[index % len(pairs)])
        steps = [first]
        if rng.random() < _SEVERAL:
            steps += [self._step(rng, module, *rng.choice(pairs)) for _ in range(rng.randint(1, 3))]
        modules = [module]
        others = [m for m in self.layout.modules if m is not module]
        if others and rng.random() < _TWO_MODULES:
            modules.append(rng.choice(others))
        warm = rng.random() < 0.5
        return Case(self.layout, tuple(modules), tuple(steps), seed, index, warm)

    def plan_exact(self, seed: int, index: int) -> Case:
        """Return a case for ``--exact``: flags, an option only flags know of, or a plain case."""
        case = self.plan(seed, index)
        rng = random.Random(f"{seed}/{self.layout.name}/exact {index}")
        which = index % 4
        if which == 0:
            return replace(case, steps=(), extra=(rng.choice(_FLAGS),))
        if which == 1:
            return replace(case, extra=(rng.choice(_FLAGS),))
        if which == 2:
            auto_conf = f"{self.layout.objtree}/include/config/auto.conf"
            return replace(case, steps=(Step("configuration", "drop-option", auto_conf, draw=rng.random()),))
        return case

    def _round(self, seed: int, index: int) -> list[tuple[str, str]]:
        kinds = self.kinds
        pairs = [(kind, op) for kind in sorted(_USES) if kind in kinds for op in _USES[kind]]
        random.Random(f"{seed}/{self.layout.name}/round {index // len(pairs)}").shuffle(pairs)
        return pairs

    def _step(self, rng: random.Random, module: Module, kind: str, operation: str) -> Step:
        aims = self._kernel.get(kind, ()) + self._module[module.name].get(kind, ())
        if not aims:  # a kind that only another module of this layout has
            aims = next(c[kind] for c in self._module.values() if kind in c)
        aim: Aim = rng.choice(aims)
        draw = rng.random()
        relatives = [r for r in aim.relatives if os.path.isfile(r)]
        if operation in _NEEDS_RELATIVE and not relatives:
            operation = "touch"
        relative = rng.choice(relatives) if operation in _NEEDS_RELATIVE else ""
        return Step(kind, operation, aim.path, relative, draw)


def apply_step(step: Step) -> bool:
    """Change the tree; return whether there was something to change."""
    if not step.operation.startswith("create") and not os.path.exists(step.path):
        return False
    if step.relative and not os.path.exists(step.relative):
        return False
    OPERATIONS[step.operation](step)
    return True
