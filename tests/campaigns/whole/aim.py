# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Which files of a whole kernel a mutation may hit, sorted into kinds so that each of them is hit."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kdeps.kbuild.makefile_rules import WHOLE_SUFFIXES
from tests.lab.operations import Step

_WILDCARD = re.compile(r"\$\(wildcard (include/config/\w+)\)")
_SOURCE = ("touch", "edit", "replace", "delete", "age", "plus1", "future", "equal")
_OUTPUT = ("touch", "delete", "empty", "age", "plus1", "future", "link", "dangle")
_RECORD = (
    "delete",
    "empty",
    "cut-command",
    "cut-after-command",
    "cut-list",
    "cut-rules",
    "junk",
    "touch",
    "age",
)

USES: dict[str, tuple[str, ...]] = {
    "C source": _SOURCE,
    "assembly source": _SOURCE,
    "Rust source": _SOURCE,
    "header": _SOURCE,
    "linker script source": _SOURCE,
    "source that only a Makefile names": ("touch", "edit", "age"),
    "generated header": ("touch", "edit", "delete", "age"),
    "generated source": ("touch", "delete", "age", "future"),
    "C object": _OUTPUT,
    "assembly object": _OUTPUT,
    "Rust object": _OUTPUT,
    "archive": _OUTPUT,
    "module part": _OUTPUT,
    "module": _OUTPUT,
    "list": ("touch", "delete", "age", "future"),
    "image": _OUTPUT,
    "tool": _OUTPUT,
    "tool source": _SOURCE,
    "record of an object": _RECORD,
    "record of an archive": _RECORD,
    "record of a link": _RECORD,
    "record of a module": _RECORD,
    "record of a tool": _RECORD,
    "config stamp": ("touch", "delete", "age", "plus1"),
    "absent config stamp": ("create", "create-old"),
    "configuration": ("touch", "edit", "age"),
    "makefile": ("touch",),
    "unrelated": ("touch", "edit", "delete"),
    "left over": ("create", "create-old"),
}
"""By kind of file: which operations make sense on it."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A whole kernel of the lab."""

    name: str
    cwd: str
    srctree: str
    objtree: str
    make: tuple[str, ...]


class Planner:
    """Chooses what is done to a tree. Reads its records, without kdeps' parser, to take aim."""

    def __init__(self, tree: Tree) -> None:
        found: dict[str, dict[str, str]] = {}
        for kind, path, relative in _aims(tree):
            found.setdefault(kind, {})[path] = relative
        self._aims = {kind: sorted(found[kind].items()) for kind in sorted(found)}

    @property
    def kinds(self) -> dict[str, int]:
        """How many files there are to hit, by kind."""
        return {kind: len(aims) for kind, aims in self._aims.items()}

    def plan(self, seed: int, index: int) -> tuple[Step, ...]:
        """Case number ``index`` of the stream that ``seed`` starts: one step, now and then several."""
        pairs = [(kind, operation) for kind in self._aims for operation in USES[kind]]
        random.Random(f"{seed}/round {index // len(pairs)}").shuffle(pairs)
        rng = random.Random(f"{seed}/{index}")
        steps = [self._step(rng, *pairs[index % len(pairs)])]
        if rng.random() < 0.15:
            steps += [self._step(rng, *rng.choice(pairs)) for _ in range(rng.randint(1, 3))]
        return tuple(steps)

    def _step(self, rng: random.Random, kind: str, operation: str) -> Step:
        path, relative = rng.choice(self._aims[kind])
        if operation in ("plus1", "equal") and not os.path.isfile(relative):
            operation = "touch"
        return Step(kind, operation, path, relative if operation in ("plus1", "equal") else "", rng.random())


def _aims(tree: Tree) -> Iterator[tuple[str, str, str]]:
    """Yield kind, path, and a file whose mtime decides together with this one's."""
    objtree, srctree = tree.objtree, tree.srctree
    for path in _records(objtree):
        folder, _, file = path.rpartition("/")
        target = f"{folder}/{file[1:-4]}"
        name = target[len(objtree) + 1 :]
        with open(path, encoding="utf-8", errors="surrogateescape") as f:
            text = f.read()
        listed = [os.path.normpath(os.path.join(objtree, dep)) for dep in _listed(text)]
        yield _record_kind(name), path, target
        if os.path.isfile(target):
            yield _target_kind(name, text), target, listed[0] if listed else ""
        for dep in listed:
            kind = _source_kind(dep, srctree, objtree)
            if kind and os.path.isfile(dep):
                yield kind, dep, target
        for symbol in set(_WILDCARD.findall(text)):
            stamp = f"{objtree}/{symbol}"
            yield ("config stamp" if os.path.exists(stamp) else "absent config stamp"), stamp, target
    yield from _named_by_makefiles(tree)
    for name in ("include/config/auto.conf", ".config"):
        yield "configuration", f"{objtree}/{name}", f"{objtree}/vmlinux.o"
    for name in ("Makefile", "scripts/Makefile.build", "scripts/Makefile.vmlinux", "drivers/Makefile"):
        yield "makefile", f"{srctree}/{name}", ""
    for name in ("MAINTAINERS", "COPYING", "README", "lib/.gitignore"):
        yield "unrelated", f"{srctree}/{name}", ""
    for name in ("drivers/base/kdeps-old.o", "lib/.kdeps-old.o.cmd", "kernel/.fork.o.d"):
        yield "left over", f"{objtree}/{name}", f"{objtree}/kernel/fork.o"


def _named_by_makefiles(tree: Tree) -> Iterator[tuple[str, str, str]]:
    """Yield the sources of generated files that leave no record."""
    for folder, _, files in os.walk(f"{tree.objtree}/drivers"):
        source = folder.replace(tree.objtree, tree.srctree, 1)
        if "built-in.a" not in files or not os.path.isfile(f"{source}/Makefile"):
            continue
        with open(f"{source}/Makefile", encoding="utf-8", errors="surrogateescape") as file:
            text = file.read()
        for name in files:
            if f".{name}.cmd" in files or os.path.exists(f"{source}/{name}"):
                continue
            if os.path.exists(f"{source}/{name}_shipped"):
                yield "source that only a Makefile names", f"{source}/{name}_shipped", f"{folder}/{name}"
            for rule in re.findall(rf"^\$\(obj\)/{re.escape(name)}: (.*)$", text, re.MULTILINE):
                for word in re.findall(r"\$\(src\)/([\w.-]+)", rule):
                    if os.path.exists(f"{source}/{word}"):
                        yield "source that only a Makefile names", f"{source}/{word}", f"{folder}/{name}"


def _records(objtree: str) -> Iterator[str]:
    for folder, folders, files in os.walk(objtree):
        folders[:] = sorted(f for f in folders if f not in ("kconfig", ".git", "source"))
        for name in sorted(files):
            if name.startswith(".") and name.endswith(".cmd") and name != ".version-timestamp.o.cmd":
                yield f"{folder}/{name}"


def find_unnamed(tree: Tree) -> list[Step]:
    """Delete, one by one, every record whose target has no suffix of an object, an archive or a module."""
    return [
        Step("record that no suffix tells of", "delete", path, "", 0.5)
        for path in _records(tree.objtree)
        if not path.endswith(("/.modules.order.cmd", *(f"{suffix}.cmd" for suffix in WHOLE_SUFFIXES)))
        and os.path.exists(os.path.join(os.path.dirname(path), os.path.basename(path)[1:-4]))
    ]


def _listed(text: str) -> Sequence[str]:
    source = re.search(r"^source_\S+ := (\S+)$", text, re.MULTILINE)
    lines = text.partition("\ndeps_")[2].partition("\n\n")[0].splitlines()[1:]
    names = [line.rstrip("\\").strip() for line in lines]
    return [*([source[1]] if source else []), *(n for n in names if n and not n.startswith("$("))]


def _is_tool(name: str) -> bool:
    return name.startswith(("tools/", "scripts/", "arch/x86/tools/")) or name in ("usr/gen_init_cpio",)


def _record_kind(name: str) -> str:
    if _is_tool(name):
        return "record of a tool"
    if name.endswith(".a"):
        return "record of an archive"
    if name.endswith((".ko", ".mod", ".mod.o", "modules.order", "Module.symvers")):
        return "record of a module"
    return "record of an object" if name.endswith(".o") and name != "vmlinux.o" else "record of a link"


def _target_kind(name: str, text: str) -> str:
    if _is_tool(name):
        return "tool"
    if name.endswith(".a"):
        return "archive"
    if name.endswith(".ko"):
        return "module"
    if name.endswith(("modules.order", "Module.symvers")):
        return "list"
    if name.endswith((".mod", ".mod.o")):
        return "module part"
    if name.endswith(".o") and name != "vmlinux.o":
        if ".rs\n" in text.partition("\n\n")[2][:400]:
            return "Rust object"
        return "assembly object" if ".S\n" in text[:20000] and "-D__ASSEMBLY__" in text else "C object"
    return "generated source" if name.endswith((".c", ".h", ".S", ".s", ".rs")) else "image"


def _source_kind(path: str, srctree: str, objtree: str) -> str:
    if path.startswith(f"{objtree}/") and (objtree != srctree or "/generated/" in path):
        return "generated header" if path.endswith(".h") else ""
    if not path.startswith(f"{srctree}/"):
        return ""
    if path.startswith((f"{srctree}/tools/", f"{srctree}/scripts/")):
        return "tool source"
    for endings, kind in (
        ((".c",), "C source"), ((".h",), "header"), ((".lds.S",), "linker script source"),
        ((".S",), "assembly source"), ((".rs",), "Rust source"),
    ):  # fmt: skip
        if path.endswith(endings):
            return kind
    return ""
