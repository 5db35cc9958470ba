# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Every path that a check looks at: what its answer rests on.

Some 6,000 paths; a change of anything else cannot change the answer. The watch turns
them into folders to watch, and ``kdeps make`` keeps how they looked, so that an answer
holds while they still look like that.

Held by a test: whatever a check stats, lists or opens is here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import NamedTuple

from kdeps.formats.makeargs import MAKEFILES, parse_make_args, working_directory
from kdeps.kbuild import makefile_rules
from kdeps.kbuild.command_files import find_main_makefiles
from kdeps.kbuild.configuration import find_dot_config, list_asked, make_variables, read_configuration
from kdeps.kbuild.expected import list_always
from kdeps.kbuild.first_build import list_looked_at
from kdeps.kbuild.module_folder import walk
from kdeps.kbuild.named_kernel import KDIR_NAMES, MODULES, RELEASE
from kdeps.kbuild.other_modules import list_searched_records
from kdeps.kbuild.records import path_of_target
from kdeps.kbuild.rule import Owner, Rule
from kdeps.kbuild.toolchain import rustc_folders, rustup_home, toolchain_files
from kdeps.kbuild.tree import CORE_SOURCES, Tree
from kdeps.staleness.check import CheckResult
from kdeps.staleness.release_checks import find_localversions, list_git_files, list_tag_files
from kdeps.staleness.snapshot import list_stand_ins
from kdeps.staleness.vmlinux_checks import find_lists
from kdeps.system.executable import interpreter_of
from kdeps.system.files import is_folder, list_names

_FINDINGS = (
    "include/config/auto.conf", "include/config/auto.conf.cmd", "include/config/kernel.release",
    "include/generated/autoconf.h", "include/generated/rustc_cfg", "include/generated/utsrelease.h", "rust/libcore.rmeta", "Module.symvers", "Makefile",
    "source", "scripts", "vmlinux", "vmlinux.o", ".kernelvariables",
)  # fmt: skip
"""What of the object tree ``kdeps.staleness.build_checks`` and ``kdeps.kbuild.tree`` look at."""
_SOURCES = (
    "Makefile",
    *CORE_SOURCES,
    *makefile_rules.MODULE_MAKEFILES,
    "scripts",
    "scripts/Makefile.asm-generic",
    "rust/Makefile",
    "Kconfig",
)
_MAKEFILES = ("Kbuild", "Makefile")
_KERNELS = (*KDIR_NAMES, "O", "MO", "KBUILD_OUTPUT", "KBUILD_EXTMOD_OUTPUT")


class Dependencies(NamedTuple):
    """What a check has looked at."""

    files: frozenset[str]
    """Absolute; whether they exist, and their stamps, matter."""
    folders: frozenset[str]
    """Absolute; every name in them matters, because they are listed."""


def list_dependencies(
    result: CheckResult, words: tuple[str, ...], cwd: str, environ: dict[str, str]
) -> Dependencies:
    """List what a check depends on."""
    tree = result.tree
    files = {*result.snapshot.mtime_ns}
    folders: set[str] = set()
    for rule in result.graph.rules:
        files.update(rule.prerequisites)
        files.update(rule.optional_prerequisites)
        files.update(rule.uncompared_inputs)
        files.update(rule.needed)
        files.update(rule.outputs)
        files.update(path for path in (rule.record, rule.depfile) if path)
        files.update(_config_paths(rule, tree))
        if rule.source and rule.source not in result.snapshot.mtime_ns:
            files.update(list_stand_ins(rule.source))
    files.update(tree.makefiles)
    if not tree.prebuilt:
        makefiles, listed = find_main_makefiles(tree)
        files.update(makefiles)
        folders.update(listed)
    files.update(problem.path for problem in result.verdict.problems)
    files.update(_module_records(result))
    files.update(list_searched_records(result.rules.rules, tree))
    files.update(
        f"{os.path.dirname(rule.target)}/.module-common.o"  # which release a module was built for
        for rule in result.graph.rules
        if rule.target.endswith(".ko")
    )
    files.add(f"{tree.objtree}/arch/{tree.srcarch}/module.lds")
    for path, has_record in find_lists(tree, result.rules).items():
        files.add(path)
        if not has_record:
            folder = os.path.dirname(path)
            folders.add(folder)
            files.update(f"{folder}/{name}" for name in (*_MAKEFILES, *list_names(folder)))
    files.update(_tool_sources(result))
    files.update(_edge_paths(tree))
    tools = [os.path.join(tree.objtree, name) for name in makefile_rules.MODULE_TOOLS]
    files.update((*tools, *filter(None, map(interpreter_of, tools))))
    files.update(os.path.join(tree.objtree, name) for name in _FINDINGS)
    files.update(os.path.join(tree.srctree, name) for name in _SOURCES)
    inputs = read_configuration(tree).inputs
    files.update(os.path.join(tree.srctree, name) for name in inputs.files)
    files.add(find_dot_config(tree, environ))
    files.update(_tool_paths(tree, environ))
    folders.add(os.path.join(rustup_home(environ), "toolchains"))
    for folder, depth in makefile_rules.PREPARED_FOLDERS:
        _add_folders(
            f"{tree.objtree}/{folder.replace('$(srcarch)', tree.srcarch)}", depth, folders, tree.objtree
        )
    for name in makefile_rules.PREPARED_RECORDS:
        record = f"{tree.objtree}/{name.replace('$(srcarch)', tree.srcarch)}"
        files.update((record, path_of_target(record)))
    if tree.module is not None and tree.module_output is not None:
        folders.update((tree.module, tree.module_output))
        files.add(f"{tree.module}/modules.order")
        files.update(_parents(tree.module, tree.srctree, ("Makefile",)))
        for where, names, _ in walk(tree.module):
            folders.add(where)
            files.update(
                f"{where}/{name}" for name in {*_MAKEFILES, *(n for n in names if n.endswith(".mk"))}
            )
        if tree.prebuilt or f"{tree.module_output}/modules.order" not in result.graph.producers:
            # Never built to the end, or without what Rust needs: whether there is Rust in it decides.
            files.update(list_looked_at(tree))
    folders.update((tree.objtree, tree.srctree))  # a localversion file may come
    version = make_variables(tree, environ).get("KERNELVERSION", "")
    files.update((*list_git_files(tree.srctree), *list_tag_files(tree, version), f"{tree.srctree}/.git"))
    files.update(find_localversions(tree))
    first = list_places_searched(words, cwd, environ)
    return Dependencies(frozenset(files | first.files), frozenset(folders))


def list_places_searched(words: tuple[str, ...], cwd: str, environ: dict[str, str]) -> Dependencies:
    """List where a tree is looked for, so that one that comes into being is noticed."""
    args = parse_make_args(words)
    start = working_directory(args, cwd)
    # A goal that is a folder, and a Makefile called like a format of ours, are slips of the user.
    names = (*MAKEFILES, "Kbuild", "modules.order", *args.goals, *args.files)
    files = {os.path.join(start, name) for name in names}
    files.update(_parents(start, "/", ("Makefile", "scripts", "Kconfig")))
    given = {**{name: environ[name] for name in _KERNELS if name in environ}, **args.variables}
    for folder in (
        os.path.join(start, value) for name, value in given.items() if name in _KERNELS or "/" in value
    ):
        files.update(os.path.join(folder, name) for name in (*_FINDINGS, ".config"))
    for release in (
        os.uname().release,
        *(value for value in args.variables.values() if re.fullmatch(RELEASE, value)),
    ):
        files.update(f"{MODULES}/{release}/build/{name}" for name in _MAKEFILES)
    module = args.variables.get("M") or args.variables.get("KBUILD_EXTMOD") or environ.get("KBUILD_EXTMOD")
    if module:
        files.update(os.path.join(start, module, name) for name in _MAKEFILES)
    return Dependencies(frozenset(files), frozenset())


def _config_paths(rule: Rule, tree: Tree) -> Iterable[str]:
    """The stamp files of a rule's configuration symbols, where make looks and where it should."""
    if not rule.config:
        return
    for base in {rule.config_dir, tree.objtree}:
        for name in rule.config:
            yield f"{base}/include/config/{name}"


def _module_records(result: CheckResult) -> Iterable[str]:
    """Records that would count if they appeared."""
    output = result.tree.module_output
    if output is None:
        return
    for rule in result.graph.rules:
        if rule.owner is Owner.MODULE:
            for path in (rule.target, *rule.prerequisites):
                if path.startswith(output + "/"):
                    folder, _, name = path.rpartition("/")
                    yield f"{folder}/.{name}.cmd"


def _tool_sources(result: CheckResult) -> Iterable[str]:
    """Where the sources of a tool's objects would be found first, were they there: that says what its record means."""
    srctree = result.tree.srctree
    inside = f"{result.tree.objtree}/tools/"
    folders = [*(source for _, source in makefile_rules.TOOLS), *makefile_rules.SHARED_TOOL_SOURCES]
    for rule in result.graph.rules:
        if rule.source is not None and rule.target.startswith(inside):
            for folder in folders:
                if rule.source.startswith(f"{srctree}/{folder}/"):
                    name = rule.source[len(srctree) + len(folder) + 2 :]
                    yield from (f"{srctree}/{other}/{name}" for other in folders)


def _edge_paths(tree: Tree) -> Iterable[str]:
    """What the edge table names, whether this tree builds it or not yet."""
    names = [name for row in makefile_rules.UNRECORDED_RULES for name in (row.target, *row.prerequisites)]
    names += [name for edge in makefile_rules.MAKEFILE_PREREQUISITES for name in edge.prerequisites]
    names += [f"$(srctree)/{folder}/Makefile" for folder in makefile_rules.ALWAYS]
    for prepared in makefile_rules.PREPARED:
        names += [prepared.target, prepared.beside, f"$(srctree)/{prepared.source}"]
    names += map(os.path.normpath, list_always(tree))
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
            below = [entry.path for entry in entries if is_folder(entry)]
    except OSError:
        return
    for path in below:
        if path[len(objtree) + 1 :] not in makefile_rules.SKIPPED_FOLDERS:
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
    folders = [
        os.path.join(tree.make_directory, folder) for folder in environ.get("PATH", os.defpath).split(":")
    ]
    beside = {*folders}
    for command in list_asked(tree, environ):
        for name in command.split():  # of `ccache clang` both
            if name.startswith("-") or "=" in name:
                continue
            if "/" in name:
                yield os.path.join(tree.make_directory, name)
                beside.add(os.path.dirname(os.path.join(tree.make_directory, name)))
            else:
                yield from (os.path.join(folder, name) for folder in folders)
    for folder in beside:  # the files there show that a compiler is rustup's
        yield from (os.path.join(folder, name) for name in ("../toolchains", "rustup"))
    home = rustup_home(environ)
    yield from (os.path.join(home, name) for name in ("settings.toml", "update-hashes", "toolchains"))
    yield from toolchain_files(home)
    for folder in rustc_folders(tree):
        yield from _parents(folder, "/", ("rust-toolchain", "rust-toolchain.toml"))
