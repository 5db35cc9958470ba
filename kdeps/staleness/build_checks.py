# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What can be wrong with a build as a whole, where no single rule is to blame.

The configuration that was never synced, a compiler that is another one now, a
folder that builds nothing, headers without the crates they promise.
"""

from __future__ import annotations

import os
import re
import time
from stat import S_ISDIR

from kdeps.formats.kconfig import parse_symbols, parse_value
from kdeps.kbuild.configuration import (
    COMPARED_BY_ANSWER,
    Configuration,
    find_dot_config,
    find_flags,
    make_variables,
    read_configuration,
)
from kdeps.kbuild.module_folder import find_why_nothing_is_built
from kdeps.kbuild.named_kernel import GUESSED
from kdeps.kbuild.rule import Rules
from kdeps.kbuild.toolchain import (
    chooses_by_folder,
    describe_silence,
    rustc_folders,
    version_text,
)
from kdeps.kbuild.tree import Tree
from kdeps.staleness.configured_with import check_variables
from kdeps.staleness.presence_checks import check_clean_folder, check_presence
from kdeps.staleness.reasons import Finding, ReasonKind, Remedy, Status
from kdeps.staleness.release_checks import check_release_name
from kdeps.staleness.rustc_errors import WRONG_COMPILER
from kdeps.staleness.snapshot import BEFORE_EPOCH, SLACK_NS, find_mtime_ns
from kdeps.staleness.vmlinux_checks import check_given_lists, check_linked_kernel
from kdeps.system.files import read_text
from kdeps.system.stat import status_of
from kdeps.system.text import list_some

_FLAGS = re.compile(
    r"(?i).*flags.*|CONFIG_\w+|W|C|CF|CHECK|CLIPPY|KBUILD_(?:EXTRA_WARN|CHECKSRC|CLIPPY)|KCOV|GCOV_PROFILE"
)
"""Variables that are part of commands, of Kbuild's or of a Makefile's own (``ccflags-y``)."""
_LIBRARY = "RUST_LIB_SRC"
_ASSIGNED = re.compile(r"^CONFIG_", re.MULTILINE)
_DEFINED = re.compile(r"^#define CONFIG_", re.MULTILINE)
_PASSED = re.compile(r"^--cfg=CONFIG_\w+=", re.MULTILINE)


def check_build_as_a_whole(
    tree: Tree, rules: Rules, environ: dict[str, str], stats: dict[str, os.stat_result] | None = None
) -> tuple[Finding, ...]:
    """Look for everything that concerns the build as a whole; most important first.

    Args:
        tree: Where the build lies.
        rules: What was read of it.
        environ: The environment make would get.
        stats: Of a snapshot; what stat says of the Kconfig files is added.
    """
    configuration = read_configuration(tree)
    damaged = _find_damage(tree, configuration) or _find_damaged_inputs(tree, configuration)
    if damaged is not None:
        return (damaged,)  # nothing that follows could be believed
    found: list[Finding] = []
    if tree.guessed:
        help_text = "build for another one? name it with KDIR=DIR, or with -C DIR M=DIR"
        found.append(
            Finding(ReasonKind.KERNEL_GUESSED, tree.make_directory, GUESSED, help_text, Status.FRESH)
        )
    found += _check_flags(tree, rules, configuration, environ)
    found += _check_module_folder(tree, configuration, environ)
    found += check_presence(tree, rules, configuration)
    found += check_clean_folder(tree)
    if not tree.prebuilt:
        found += _check_config_synced(tree, configuration, environ, {} if stats is None else stats)
        found += check_release_name(tree, configuration, environ)
    found += _check_toolchain(tree, configuration, environ)
    if not any(finding.status is Status.UNKNOWN for finding in found):
        found += check_linked_kernel(tree, rules, environ)
        found += check_given_lists(tree, rules)
    return tuple(found)


def _check_flags(
    tree: Tree, rules: Rules, configuration: Configuration, environ: dict[str, str]
) -> list[Finding]:
    """Words for make that change commands: records alone cannot tell what they lead to."""
    given = find_flags(tree, environ)
    given.update({name: value for name, value in tree.args.variables.items() if _FLAGS.fullmatch(name)})
    given.update(_find_respelled(tree, configuration))
    library = tree.args.variables.get(_LIBRARY, environ.get(_LIBRARY, ""))
    if library and not _is_built_from(rules, os.path.join(tree.make_directory, library)):
        given[_LIBRARY] = library
    words = [f"{name}={value}" for name, value in given.items() if value]
    words += [f"--eval={text}" for text in tree.args.evaluated]
    words += ["-e"] if tree.args.prefers_environment else []
    if not words:
        return []
    message = f"{list_some(words)} may change commands, which the records alone cannot tell"
    help_text = "`kdeps check --exact` asks Kbuild for the commands"
    return [Finding(ReasonKind.COMMAND_CHANGED, tree.objtree, message, help_text, Status.FRESH)]


def _find_respelled(tree: Tree, configuration: Configuration) -> dict[str, str]:
    """The tools that the user names in other words than the tree was configured with; another tool is stale anyway."""
    recorded = dict(configuration.inputs.variables)
    given = tree.args.variables
    return {
        name: given[name]
        for name in COMPARED_BY_ANSWER
        if name in given and recorded.get(name, given[name]) != given[name]
    }


def _is_built_from(rules: Rules, library: str) -> bool:
    """Whether the core crate was built from a folder of sources; so is a tree without this crate."""
    top = os.path.normpath(library) + "/"
    cores = [rule for rule in rules.rules if rule.name == "rust/core.o"]
    return all(
        any(path.startswith(top) for path in (rule.source or "", *rule.prerequisites)) for rule in cores
    )


def _check_module_folder(tree: Tree, configuration: Configuration, environ: dict[str, str]) -> list[Finding]:
    """Find a folder in which make builds nothing, whatever an earlier build left there."""
    if tree.module is None:
        return []
    variables = {**environ, **tree.args.variables}
    why = find_why_nothing_is_built(tree.module, configuration.auto_conf, variables)
    if not why:
        return []
    name = os.path.basename(tree.module)
    parent = os.path.dirname(tree.module)
    message = f"make M={tree.given_module} {why}"
    help_text = "name the folder whose Kbuild or Makefile has the obj-m line"
    if "not set" in why:
        help_text = (
            "set it in the configuration, or on make's command line if the module is not of this kernel"
        )
    if " is y" in why:
        help_text = "set it to m to build it with M=, or build the kernel"
    while parent.startswith(tree.srctree + "/"):
        text = read_text(f"{parent}/Makefile")
        if re.search(rf"\b{re.escape(name)}/", text):
            help_text = f"{os.path.relpath(parent, tree.srctree)}/Makefile builds it: use M={os.path.relpath(parent, tree.make_directory)}"
            break
        parent = os.path.dirname(parent)
    return [Finding(ReasonKind.NO_OBJECTS, tree.module, message, help_text, Status.UNKNOWN)]


def _find_damage(tree: Tree, configuration: Configuration) -> Finding | None:
    """Find a synced configuration that lost symbols: syncconfig writes the same ones into all three of its files."""
    text = configuration.auto_conf
    counts = {"auto.conf": len(_ASSIGNED.findall(text))}
    for name, pattern in (("autoconf.h", _DEFINED), ("rustc_cfg", _PASSED)):
        path = f"{tree.objtree}/include/generated/{name}"
        if os.path.exists(path):  # else ``check_presence`` finds that
            counts[name] = len(pattern.findall(read_text(path)))
    if not text or (len(set(counts.values())) == 1 and text.endswith("\n")):
        return None
    path = f"{tree.objtree}/include/config/auto.conf"
    listed = ", ".join(f"{count} in {name}" for name, count in counts.items())
    message = f"is damaged or cut off, or what was written with it is: they differ in the number of symbols ({listed})"
    if tree.prebuilt:
        help_text = "install these headers again"
        return Finding(ReasonKind.CONFIG_NOT_SYNCED, path, message, help_text, Status.UNKNOWN)
    return Finding(ReasonKind.CONFIG_NOT_SYNCED, path, message, "", Status.STALE, remove=(path,))


def _find_damaged_inputs(tree: Tree, configuration: Configuration) -> Finding | None:
    """Find a list of what the configuration was made from that is not whole: make forgets, or cannot read it."""
    path = f"{tree.objtree}/include/config/auto.conf.cmd"
    if tree.prebuilt or configuration.inputs_are_whole or not os.path.isfile(path):
        return None  # M= builds never read it; and if it is gone, ``check_presence`` finds that
    if not os.access(path, os.R_OK):
        return None
    message = (
        "is damaged or cut off: make no longer knows which Kconfig files the configuration was made from"
    )
    return Finding(ReasonKind.CONFIG_NOT_SYNCED, path, message, "", Status.STALE, remove=(path,))


def _check_config_synced(
    tree: Tree, configuration: Configuration, environ: dict[str, str], stats: dict[str, os.stat_result]
) -> list[Finding]:
    """Whether anything but ``M=`` would first run syncconfig, by the rules of Makefile and auto.conf.cmd."""
    auto_conf = f"{tree.objtree}/include/config/auto.conf"
    synced = find_mtime_ns(auto_conf)
    found: list[Finding] = []
    if synced is None:
        return found
    dot_config = find_dot_config(tree, environ)
    status = status_of(dot_config)
    newer = _find_newer(tree.srctree, configuration.inputs.files, synced, stats)
    edited = find_mtime_ns(dot_config) or 0
    ahead = _find_ahead([*((dot_config,) if edited > synced else ()), *newer])
    if ahead:
        when = "in the future"
        if find_mtime_ns(ahead[0]) == BEFORE_EPOCH:
            when = "before 1970, which make takes for the far future"
        message = f"is dated {when}: syncconfig runs again and again, and make never ends"
        help_text = f"`touch` it{' and the others like it' if len(ahead) > 1 else ''}, and see that the clock is right"
        return [
            Finding(
                ReasonKind.CONFIG_NOT_SYNCED, ahead[0], message, help_text, Status.STALE, remedy=Remedy.MANUAL
            )
        ]
    if status is None or S_ISDIR(status.st_mode):
        what = "a folder" if status else "gone"
        message = f"is {what}, so Kbuild cannot bring this tree up to date; M= builds do not notice"
        help_text = "restore it; .config.old is the one before the last change"
        found.append(Finding(ReasonKind.CONFIG_NOT_SYNCED, dot_config, message, help_text, Status.UNKNOWN))
    elif edited > synced:
        changes = _changes(dot_config, configuration)
        message = (
            f"changed after it was last synced; M= builds never sync it ({changes or 'no value differs'})"
        )
        remedy = Remedy.CONFIGURE if changes else Remedy.REFRESH
        found.append(
            Finding(ReasonKind.CONFIG_NOT_SYNCED, dot_config, message, "", Status.STALE, remedy=remedy)
        )
    elif status.st_ctime_ns > synced and (changes := _changes(dot_config, configuration)):
        message = (
            f"was put in place with an older time after it was last synced, which no make notices ({changes})"
        )
        found.append(
            Finding(
                ReasonKind.CONFIG_NOT_SYNCED, dot_config, message, "", Status.STALE,  remedy=Remedy.SYNC
            )
        )  # fmt: skip
    if newer:
        more = len(newer) - 1
        others = f"and {more} more Kconfig file{'s' if more > 1 else ''} " if more else ""
        message = f"{others}changed after the configuration was last synced; M= builds never sync it"
        found.append(
            Finding(
                ReasonKind.CONFIG_NOT_SYNCED,
                sorted(newer)[0],
                message,
                "",
                Status.STALE,
                remedy=Remedy.CONFIGURE,
            )
        )
    return [*found, *check_variables(tree, configuration, environ)]


def _changes(dot_config: str, configuration: Configuration) -> str:
    """Say how ``.config`` and the synced configuration differ; empty where they do not."""
    wanted = parse_symbols(read_text(dot_config))
    synced = configuration.symbols
    names = sorted(n for n in wanted.keys() | synced.keys() if wanted.get(n, "n") != synced.get(n, "n"))
    shown = ", ".join(f"{n}: {synced.get(n, 'n')} → {wanted.get(n, 'n')}" for n in names[:3])
    return shown + (f", and {len(names) - 3} more" if len(names) > 3 else "")


def _check_toolchain(tree: Tree, configuration: Configuration, environ: dict[str, str]) -> list[Finding]:
    """Whether the compilers found now are those of the configuration."""
    recorded_cc = dict(configuration.inputs.variables).get("CC")
    text = configuration.auto_conf
    tools = [("CC", "CC_VERSION_TEXT", recorded_cc is not None)]
    if parse_value(text, "RUST") == "y":
        tools = [("RUSTC", "RUSTC_VERSION_TEXT", True), ("BINDGEN", "BINDGEN_VERSION_TEXT", True), *tools]
    actual = make_variables(tree, environ)
    found: list[Finding] = []
    for variable, symbol, comparable in tools:
        recorded = parse_value(text, symbol)
        if not comparable or recorded is None:
            continue
        if variable == "CC" and actual["CC"] != recorded_cc:
            continue  # another compiler by name: config-not-synced says it
        now = version_text(actual[variable], environ, tree.make_directory)
        if now == recorded.strip():
            if variable == "RUSTC":
                found += _check_rustc_of_module(tree, actual[variable], now, environ)
            continue
        shown = f"is `{now}`" if now else describe_silence(actual[variable], environ, tree.make_directory)
        message = f"{actual[variable]} {shown}, the kernel was built with `{recorded.strip()}`"
        if now and variable == "RUSTC":
            message += f"; until they are rebuilt, {WRONG_COMPILER.message} ({WRONG_COMPILER.code})"
        remedy, help_text = Remedy.REFRESH, ""
        remove: tuple[str, ...] = ()
        if not now:
            # Kconfig would switch Rust off, and with it everything that is built here.
            remedy, help_text = Remedy.MANUAL, "put the compiler the kernel was built with into PATH"
            if "fails" in shown:
                help_text = "fix what it complains of; its own first line is quoted above"
        elif variable == "BINDGEN":
            # Kbuild never compares bindgen, so no make goal helps by itself.
            remedy = Remedy.SYNC
            remove = tuple(
                f"{tree.objtree}/rust/{name}"
                for name in (
                    "bindings/bindings_generated.rs",
                    "bindings/bindings_helpers_generated.rs",
                    "uapi/uapi_generated.rs",
                )
            )
        found.append(
            Finding(
                ReasonKind.TOOLCHAIN_CHANGED, tree.objtree, message, help_text, Status.STALE, remove, remedy
            )
        )
    return found


def _check_rustc_of_module(tree: Tree, command: str, expected: str, environ: dict[str, str]) -> list[Finding]:
    """Whether make gets another rustc where it compiles the module (from 6.13 on its output folder)."""
    folder = rustc_folders(tree)[-1]
    if folder == tree.objtree or not chooses_by_folder(command, environ, tree.make_directory):
        return []
    now = version_text(command, environ, folder)
    if now in (expected, ""):
        return []
    message = (
        f"in {folder}, where make compiles the module, {command} is `{now}`; the crates were built with `{expected}`,"
        f" so {WRONG_COMPILER.message} ({WRONG_COMPILER.code})"
    )
    help_text = f"choose the same toolchain there: `cd {folder} && rustup override set TOOLCHAIN`, or set RUSTUP_TOOLCHAIN"
    return [
        Finding(
            ReasonKind.TOOLCHAIN_CHANGED, tree.objtree, message, help_text, Status.STALE, remedy=Remedy.MANUAL
        )
    ]


def _find_ahead(paths: list[str]) -> list[str]:
    """The files that are dated in the future, furthest first."""
    limit = time.time_ns() + SLACK_NS
    times = {path: mtime for path in paths if (mtime := find_mtime_ns(path) or 0) > limit}
    return sorted(times, key=times.__getitem__, reverse=True)


def _find_newer(
    folder: str, names: tuple[str, ...], mtime_ns: int, stats: dict[str, os.stat_result]
) -> list[str]:
    """Find the files that are newer; of some 1,700 (every Kconfig file) mostly none is."""
    newer: list[str] = []
    stat = os.stat
    for name in names:
        path = name if name[:1] == "/" else f"{folder}/{name}"
        try:
            st = stats[path] = stat(path)
            if not 0 <= st.st_mtime_ns <= mtime_ns:  # make takes a negative one for the newest
                newer.append(path)
        except OSError:
            continue
    return newer
