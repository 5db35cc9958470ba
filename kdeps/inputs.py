# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Every path that a survey looks at: what its answer rests on.

Some 6,000 paths; a change of anything else cannot change the answer. The watch turns
them into folders to watch, and ``kdeps make`` keeps how they looked, so that an answer
holds while they still look like that.

Held by a test: whatever a survey stats, lists or opens is here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple

from kdeps import edges
from kdeps.findings import make_variables, read_configuration
from kdeps.makeargs import parse_make_args, working_directory
from kdeps.rules import Rule, Scope, path_of_target
from kdeps.survey import Survey
from kdeps.tree import Tree

_FINDINGS = (
    "include/config/auto.conf", "include/config/auto.conf.cmd", "include/config/kernel.release",
    "include/generated/autoconf.h", "include/generated/rustc_cfg", "rust/libcore.rmeta", "Module.symvers", "Makefile",
    "source", "scripts", "vmlinux", "vmlinux.o",
)  # fmt: skip
"""What of the object tree ``kdeps.findings`` and ``kdeps.tree`` look at."""
_SOURCES = ("Makefile", "rust/kernel/lib.rs", "init/main.c", "scripts", "scripts/Kbuild.include", "Kconfig")
_MAKEFILES = ("Kbuild", "Makefile")
_KERNELS = (
    "KDIR",
    "KERNEL_SRC",
    "KERNELDIR",
    "KSRC",
    "KERNEL_DIR",
    "O",
    "MO",
    "KBUILD_OUTPUT",
    "KBUILD_EXTMOD_OUTPUT",
)


class Paths(NamedTuple):
    """What a survey has looked at."""

    files: frozenset[str]
    """Absolute; whether they exist, and their stamps, matter."""
    folders: frozenset[str]
    """Absolute; every name in them matters, for they are listed."""


def find_paths(survey: Survey, words: tuple[str, ...], cwd: str, environ: dict[str, str]) -> Paths:
    """List what a survey depends on."""
    tree = survey.tree
    files = {*survey.snapshot.mtime_ns}
    folders: set[str] = set()
    for rule in survey.graph.rules:
        files.update(rule.prerequisites)
        files.update(rule.optional)
        files.update(rule.unseen)
        files.update(rule.outputs)
        files.update(path for path in (rule.record, rule.depfile) if path)
        files.update(_config_paths(rule, tree))
    files.update(problem.path for problem in survey.verdict.problems)
    files.update(_module_records(survey))
    files.update(_tool_sources(survey))
    files.update(_edge_paths(tree))
    files.update(os.path.join(tree.objtree, name) for name in (*_FINDINGS, *edges.MODULE_TOOLS))
    files.update(os.path.join(tree.srctree, name) for name in _SOURCES)
    inputs = read_configuration(tree).inputs
    files.update(os.path.join(tree.srctree, name) for name in inputs.files)
    config = tree.args.variables.get("KCONFIG_CONFIG", environ.get("KCONFIG_CONFIG", ".config"))
    files.add(os.path.join(tree.objtree, config))
    files.update(_tool_paths(tree, environ))
    for folder, depth in edges.PREPARED_FOLDERS:
        _add_folders(
            f"{tree.objtree}/{folder.replace('$(srcarch)', tree.srcarch)}", depth, folders, tree.objtree
        )
    for name in edges.PREPARED_RECORDS:
        record = f"{tree.objtree}/{name.replace('$(srcarch)', tree.srcarch)}"
        files.update((record, path_of_target(record)))
    if tree.module is not None and tree.module_output is not None:
        folders.update((tree.module, tree.module_output))
        files.update(f"{tree.module}/{name}" for name in _MAKEFILES)
        files.update(_parents(tree.module, tree.srctree, ("Makefile",)))
        if f"{tree.module_output}/modules.order" not in survey.graph.producers:
            # Never built to the end: whether there is Rust in it decides whether it will use crates.
            folders.update(where for where, _, _ in os.walk(tree.module))
    first = find_first_paths(words, cwd, environ)
    return Paths(frozenset(files | first.files), frozenset(folders))


def find_first_paths(words: tuple[str, ...], cwd: str, environ: dict[str, str]) -> Paths:
    """List where a tree is looked for, so that one that comes into being is noticed."""
    args = parse_make_args(words)
    start = working_directory(args, cwd)
    files = {os.path.join(start, name) for name in (*_MAKEFILES, "modules.order")}
    files.update(_parents(start, "/", ("Makefile", "scripts", "Kconfig")))
    files.update(f"/lib/modules/{os.uname().release}/build/{name}" for name in _MAKEFILES)
    for name in _KERNELS:
        value = args.variables.get(name) or environ.get(name)
        if value:
            folder = os.path.join(start, value)
            files.update(os.path.join(folder, name) for name in (*_FINDINGS, ".config"))
    module = args.variables.get("M") or args.variables.get("KBUILD_EXTMOD") or environ.get("KBUILD_EXTMOD")
    if module:
        files.update(os.path.join(start, module, name) for name in _MAKEFILES)
    return Paths(frozenset(files), frozenset())


def _config_paths(rule: Rule, tree: Tree) -> Iterable[str]:
    """The stamp files of a rule's configuration symbols, where make looks and where it should."""
    if not rule.config:
        return
    for base in {rule.config_dir, tree.objtree}:
        for name in rule.config:
            yield f"{base}/include/config/{name}"


def _module_records(survey: Survey) -> Iterable[str]:
    """Records that would count if they appeared."""
    output = survey.tree.module_output
    if output is None:
        return
    for rule in survey.graph.rules:
        if rule.scope is Scope.MODULE:
            for path in (rule.target, *rule.prerequisites):
                if path.startswith(output + "/"):
                    folder, _, name = path.rpartition("/")
                    yield f"{folder}/.{name}.cmd"


def _tool_sources(survey: Survey) -> Iterable[str]:
    """Where the sources of a tool's objects would be found first, were they there: that says what its record means."""
    srctree = survey.tree.srctree
    inside = f"{survey.tree.objtree}/tools/"
    folders = [*(source for _, source in edges.TOOLS), *edges.SHARED_TOOL_SOURCES]
    for rule in survey.graph.rules:
        if rule.source is not None and rule.target.startswith(inside):
            for folder in folders:
                if rule.source.startswith(f"{srctree}/{folder}/"):
                    name = rule.source[len(srctree) + len(folder) + 2 :]
                    yield from (f"{srctree}/{other}/{name}" for other in folders)


def _edge_paths(tree: Tree) -> Iterable[str]:
    """What the edge table names, whether this tree builds it or not yet."""
    names = [name for row in edges.UNRECORDED for name in (row.target, *row.prerequisites)]
    names += [name for edge in edges.EDGES for name in edge.prerequisites]
    for name in names:
        name = name.replace("$(srcarch)", tree.srcarch)
        if name.startswith("$(srctree)/"):
            yield f"{tree.srctree}/{name[11:]}"
        else:
            yield f"{tree.objtree}/{name}"


def _add_folders(folder: str, depth: int, found: set[str], objtree: str) -> None:
    """Add a folder that the records are listed in, and ``depth`` levels below it."""
    found.add(folder)
    if not depth:
        return
    try:
        with os.scandir(folder) as entries:
            below = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return
    for path in below:
        if path[len(objtree) + 1 :] not in edges.SKIPPED_FOLDERS:
            _add_folders(path, depth - 1, found, objtree)


def _parents(folder: str, top: str, names: tuple[str, ...]) -> Iterable[str]:
    """Some names in a folder and in everything above it, up to ``top``."""
    while True:
        yield from (os.path.join(folder, name) for name in names)
        if folder == top or folder == os.path.dirname(folder):
            return
        folder = os.path.dirname(folder)


def _tool_paths(tree: Tree, environ: dict[str, str]) -> Iterable[str]:
    """Where the compilers lie, would lie if they came earlier in PATH, and what rustup chooses them by."""
    values = make_variables(tree, environ)
    folders = [folder for folder in environ.get("PATH", os.defpath).split(":") if folder.startswith("/")]
    for command in (values["CC"], values["RUSTC"], values["BINDGEN"], "make"):
        for name in command.split()[:1]:
            if "/" in name:
                yield os.path.join(tree.make_directory, name)
            else:
                yield from (os.path.join(folder, name) for folder in folders)
    yield from (
        os.path.join(folder, "../toolchains") for folder in folders
    )  # rustup's own folder is known by it
    home = environ.get("RUSTUP_HOME") or os.path.join(environ.get("HOME") or "/nonexistent", ".rustup")
    if os.path.isabs(home):
        yield from (os.path.join(home, name) for name in ("settings.toml", "update-hashes", "toolchains"))
    yield from _parents(tree.make_directory, "/", ("rust-toolchain", "rust-toolchain.toml"))
