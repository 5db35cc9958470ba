# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Which files a mutation may hit, sorted into kinds.

The kinds exist so that every one of them is hit: a random file of a build is a
C header nine times out of ten.  Records are read here a second time, on
purpose without kdeps' parser, and only well enough to take aim.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .layout import Layout, Module

_WILDCARD = re.compile(r"\$\(wildcard (include/config/\w+)\)")


@dataclass(frozen=True, slots=True)
class Aim:
    """A file that may be mutated."""

    path: str
    relatives: tuple[str, ...] = ()
    """Files whose mtime decides something together with this one's: the targets
    that have it as prerequisite, or the prerequisites of the target it is."""


@dataclass(frozen=True, slots=True)
class _Record:
    path: str
    target: str
    deps: tuple[str, ...]
    configs: tuple[str, ...]


Catalogue = dict[str, tuple[Aim, ...]]
"""By kind. Sorted, so that a seed means the same on every machine."""


def find_kernel_aims(layout: Layout) -> Catalogue:
    """Return the aims of a layout that belong to the kernel, not to a module."""
    if not layout.prepare:
        return _find_prebuilt_aims(layout)
    records = list(_read_records(layout.objtree, layout))
    if layout.objtree == layout.srctree:  # in-source: modules lie inside, they are not the kernel's
        outputs = tuple(m.output + "/" for m in layout.modules)
        records = [r for r in records if not r.path.startswith(outputs)]
    src, obj = layout.srctree, layout.objtree
    found: dict[str, dict[str, set[str]]] = {}
    for record in records:
        _add(found, _record_kind(record.path, obj), record.path)
        if os.path.isfile(record.target):
            _add(found, _target_kind(record.target, obj), record.target, *record.deps[:3], *record.deps[-3:])
        for dep in record.deps:
            _add(found, _dep_kind(dep, src, obj), dep, record.target)
        for name in record.configs:
            stamp = f"{obj}/{name}"
            kind = "config stamp" if os.path.exists(stamp) else "absent config stamp"
            _add(found, kind, stamp, record.target)
    for path in _list_files(f"{obj}/rust", ".rmeta"):
        _add(found, "crate metadata", path)
    for path in (*_list_files(f"{obj}/rust", ".bc"), *_list_files(f"{obj}/rust/helpers", ".bc")):
        _add(found, "bitcode", path, f"{obj}/rust/kernel.o")
    for name in ("rustc", "clang", "gcc", "bindgen", "ld.lld", "make", "python3"):
        if os.path.exists(f"/usr/bin/{name}"):
            _add(found, "absent program", f"/usr/local/bin/{name}")
    kernel_crates = tuple(f"{obj}/rust/{name}.o" for name in ("core", "kernel", "bindings"))
    for name in (
        "scripts/target.json",
        "scripts/module.lds",
        "include/generated/utsrelease.h",
        "scripts/basic/fixdep",
    ):
        _add(found, "fixed input", f"{obj}/{name}", *kernel_crates)
    _add(found, "fixed input", f"{obj}/tools/objtool/objtool", *kernel_crates)
    for name in ("include/config/auto.conf", "include/config/auto.conf.cmd", ".config"):
        _add(found, "configuration", f"{obj}/{name}", *kernel_crates)
    for name in (
        "include/generated/autoconf.h",
        "include/generated/rustc_cfg",
        "include/config/kernel.release",
    ):
        _add(found, "configuration output", f"{obj}/{name}", *kernel_crates)
    for name in ("init/Kconfig", "arch/x86/Kconfig", "lib/Kconfig.debug"):
        _add(found, "kconfig", f"{src}/{name}")
    for name in (
        "rust/Makefile",
        "Makefile",
        "scripts/Makefile.build",
        "scripts/Makefile.lib",
        "scripts/Kbuild.include",
    ):
        _add(found, "makefile", f"{src}/{name}")
    for name in (
        "MAINTAINERS",
        "CREDITS",
        "COPYING",
        "README",
        "lib/Makefile",
        "kernel/fork.c",
        "rust/.gitignore",
    ):
        _add(found, "unrelated", f"{src}/{name}")
    for name in ("core", "kernel", "bindings", "helpers/helpers"):
        folder, _, crate = f"{obj}/rust/{name}.o".rpartition("/")
        _add(found, "left-over dep-info", f"{folder}/.{crate}.d")
    _add(found, "absent file", f"{src}/rust/kernel/kdeps_new.rs")
    _add(found, "absent file", f"{obj}/Module.symvers")
    _add(found, "absent file", f"{obj}/rust/kdeps_new.rmeta")
    return _finish(found)


def find_module_aims(layout: Layout, module: Module) -> Catalogue:
    """Return the aims that belong to one module."""
    records = list(_read_records(module.output, layout))
    inside = (module.folder + "/", module.output + "/")
    found: dict[str, dict[str, set[str]]] = {}
    for record in records:
        _add(found, "module record", record.path)
        if os.path.isfile(record.target):
            is_list = record.target.endswith(("modules.order", "Module.symvers", ".mod"))
            kind = "module list" if is_list else "module output"
            _add(found, kind, record.target, *record.deps[:2], *record.deps[-2:])
        for dep in record.deps:
            if dep.startswith(inside):
                _add(found, "module source", dep, record.target)
            elif dep.startswith(f"{layout.srctree}/") and dep.endswith(".h"):
                _add(found, "module header", dep, record.target)
            elif dep.startswith(f"{layout.objtree}/rust/"):
                _add(found, "module crate", dep, record.target)
        for name in record.configs[:8]:
            _add(found, "absent module config", f"{module.output}/{name}", record.target)
    for path in _list_files(module.output, ".mod.c"):
        _add(found, "module output", path)
    for path in _list_files(module.folder, ".rs", ".c", ".h", ".txt"):
        if not path.endswith(".mod.c"):
            _add(found, "module source", path, *(r.target for r in records if r.target.endswith(".o")))
    for name in ("Makefile", "Kbuild"):
        _add(found, "module makefile", f"{module.folder}/{name}")
    _add(found, "absent module file", f"{module.folder}/kdeps_new.rs")
    return _finish(found)


def _find_prebuilt_aims(layout: Layout) -> Catalogue:
    found: dict[str, dict[str, set[str]]] = {}
    for name in (
        "Module.symvers",
        "include/config/auto.conf",
        "include/generated/autoconf.h",
        "scripts/module.lds",
    ):
        _add(found, "fixed input", f"{layout.objtree}/{name}")
    for name in ("scripts/mod/modpost", "tools/objtool/objtool", "scripts/basic/fixdep"):
        _add(found, "fixed input", os.path.realpath(f"{layout.objtree}/{name}"))
    for path in _list_files(f"{layout.objtree}/rust", ".rmeta", ".so"):
        _add(found, "crate metadata", path)
    for name in ("include/linux/module.h", "include/linux/pci_ids.h"):
        _add(found, "header", f"{layout.srctree}/{name}")
    for name in ("Makefile", "scripts/Makefile.build"):
        _add(found, "makefile", f"{layout.srctree}/{name}")
    return _finish(found)


def _record_kind(path: str, obj: str) -> str:
    if path.startswith(f"{obj}/rust/"):
        return "rust record"
    if path.startswith((f"{obj}/tools/", f"{obj}/scripts/")):
        return "tool record"
    return "other record"


def _target_kind(path: str, obj: str) -> str:
    if path.startswith(f"{obj}/rust/"):
        return "crate output"
    if path.startswith((f"{obj}/tools/", f"{obj}/scripts/")):
        return "tool output"
    return "other output"


_RUST_PARTS = (
    ("kernel", "rust kernel source"),
    ("helpers", "helper source"),
    ("macros", "macros source"),
    ("pin-init", "pin-init source"),
    ("zerocopy", "zerocopy source"),
    ("bindings", "bindings input"),
    ("uapi", "bindings input"),
    ("bindgen_parameters", "bindings input"),
)


def _dep_kind(path: str, src: str, obj: str) -> str:
    if path.startswith(f"{obj}/") and (src != obj or not _is_source(path, src)):
        if path.startswith(f"{obj}/rust/"):
            return "crate metadata" if path.endswith(".rmeta") else "crate output"
        return "generated header" if path.endswith(".h") else "generated file"
    if path.startswith(f"{src}/rust/"):
        rest = path[len(src) + len("/rust/") :]
        return next((kind for start, kind in _RUST_PARTS if rest.startswith(start)), "other rust source")
    if path.startswith((f"{src}/tools/", f"{src}/scripts/")):
        return "tool source"
    if path.startswith(f"{src}/"):
        return "header" if path.endswith(".h") else "other source"
    if "/library/" in path:
        return "core library source"
    if path.endswith((".rlib", ".rmeta", ".so")):
        return "host library"
    return "system header"


def _is_source(path: str, src: str) -> bool:
    """Tell sources from generated files in a tree that holds both."""
    generated = ("/generated/", "_generated.rs", ".rmeta", ".rlib", ".so", ".o", "auto.conf")
    return not any(mark in path[len(src) :] for mark in generated)


def _read_records(folder: str, layout: Layout) -> Iterator[_Record]:
    for path in _list_files(folder, ".cmd", hidden=True):
        name = os.path.basename(path)
        if not name.startswith(".") or "/include/config/" in path:
            continue
        where = os.path.dirname(path)
        with open(path, encoding="utf-8", errors="surrogateescape") as f:
            text = f.read()
        bases = (
            folder,
            layout.objtree,
            f"{layout.srctree}/tools/objtool",
            f"{layout.srctree}/tools/lib/subcmd",
        )
        deps = tuple(filter(None, (_locate(d, bases) for d in _listed(text))))
        yield _Record(path, f"{where}/{name[1:-4]}", deps, tuple(sorted(set(_WILDCARD.findall(text)))))


def _listed(text: str) -> Iterator[str]:
    source = re.search(r"^source_\S+ := (\S+)$", text, re.MULTILINE)
    if source:
        yield source[1]
    for line in text.partition("\ndeps_")[2].partition("\n\n")[0].splitlines()[1:]:
        name = line.rstrip("\\").strip()
        if name and not name.startswith("$(wildcard"):
            yield name


def _locate(name: str, bases: tuple[str, ...]) -> str:
    for base in bases:
        path = os.path.normpath(os.path.join(base, name))
        if os.path.isfile(path):
            return path
    return ""


def _list_files(folder: str, *endings: str, hidden: bool = False) -> list[str]:
    found = []
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(d for d in folders if d not in (".git", "source"))
        found += [
            os.path.join(where, f) for f in files if f.endswith(endings) and (hidden or not f.startswith("."))
        ]
    return sorted(found)


def _add(found: dict[str, dict[str, set[str]]], kind: str, path: str, *relatives: str) -> None:
    found.setdefault(kind, {}).setdefault(path, set()).update(relatives)


def _finish(found: dict[str, dict[str, set[str]]]) -> Catalogue:
    def aims(kind: str, paths: dict[str, set[str]]) -> Iterable[Aim]:
        for path, relatives in sorted(paths.items()):
            if kind.startswith(("absent", "left-over")) != os.path.isfile(path):
                yield Aim(path, tuple(sorted(relatives - {path}))[:6])

    return {kind: tuple(aims(kind, found[kind])) for kind in sorted(found) if any(aims(kind, found[kind]))}
