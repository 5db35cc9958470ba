# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The seeded choice of what is done to a tree.

A case is named ``LAYOUT/SEED:INDEX`` and is a function of that name and of the
tree alone, not of the other cases: so any one can be run again by itself.
"""

from __future__ import annotations

import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from .layout import Layout, Module
from .operations import Step
from .targets import Aim, Catalogue, find_kernel_aims, find_module_aims


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


_RECORD = ("delete", "empty", "cut-command", "cut-after-command", "cut-list", "cut-list", "cut-wildcard", "cut-rules",
           "cut-last-rule", "junk", "touch", "age", "vanish", "overwrite", "swap")  # fmt: skip
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
    "before-epoch",
    "whole-second",
    "link",
    "dangle",
)
_SOURCE = ("touch", "edit", "replace", "delete", "age", "equal", "plus1", "minus1", "future", "edit-unseen", "epoch", "before-epoch", "whole-second", "link",
           "dangle")  # fmt: skip
_FILE = ("touch", "edit", "delete", "age", "plus1", "future")
_STAMP = ("touch", "delete", "age", "equal", "plus1", "dangle")
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
    "bitcode": ("touch", "edit", "delete", "age", "plus1"),
    "absent program": ("shadow",),
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
_SEVERAL = 0.25
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
