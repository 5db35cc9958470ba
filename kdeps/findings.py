# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What can be wrong with a build as a whole, where no single rule is to blame.

The configuration that was never synced, a compiler that is another one now, a
folder that builds nothing, headers without the crates they promise.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from kdeps.edges import MODULE_TOOLS
from kdeps.formats.kconfig import ConfigInputs, parse_config_inputs, parse_symbols, parse_value
from kdeps.linked import judge_linked_kernel
from kdeps.rules import Rules, Scope
from kdeps.rustc_errors import WRONG_COMPILER
from kdeps.stamps import mtime_of
from kdeps.toolchain import version_text
from kdeps.tree import Tree, builds_objects, holds_rust, machine_arch, open_nonblocking
from kdeps.verdict import Cure, Finding, ReasonKind, Status

_VERSION_LINE = re.compile(r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION)[ \t]*=[ \t]*(.*)$", re.MULTILINE)


class Configuration(NamedTuple):
    """What the object tree was configured with."""

    auto_conf: str
    """Text of ``include/config/auto.conf``."""
    inputs: ConfigInputs


def read_configuration(tree: Tree) -> Configuration:
    """Read the synced configuration of an object tree."""
    base = f"{tree.objtree}/include/config"
    return Configuration(_read(f"{base}/auto.conf"), parse_config_inputs(_read(f"{base}/auto.conf.cmd")))


def find_findings(tree: Tree, rules: Rules, environ: dict[str, str]) -> tuple[Finding, ...]:
    """Look for everything that concerns the build as a whole; most important first."""
    configuration = read_configuration(tree)
    found: list[Finding] = []
    found += _judge_module_folder(tree, rules)
    found += _judge_presence(tree, rules, configuration)
    if not tree.prebuilt:
        found += _judge_sync(tree, configuration, environ)
    found += _judge_toolchain(tree, configuration, environ)
    if not any(finding.status is Status.UNKNOWN for finding in found):
        found += judge_linked_kernel(tree, rules, environ)
    return tuple(found)


def _judge_module_folder(tree: Tree, rules: Rules) -> list[Finding]:
    if (
        tree.module is None
        or builds_objects(tree.module)
        or any(r.scope is Scope.MODULE for r in rules.rules)
    ):
        return []
    name = os.path.basename(tree.module)
    parent = os.path.dirname(tree.module)
    message = f"make M={_as_given(tree)} succeeds and builds nothing: its Makefile has no obj-m"
    help_text = "name the folder whose Kbuild or Makefile has the obj-m line"
    while parent.startswith(tree.srctree + "/"):
        text = _read(f"{parent}/Makefile")
        if re.search(rf"\b{re.escape(name)}/", text):
            help_text = f"{os.path.relpath(parent, tree.srctree)}/Makefile builds it: use M={os.path.relpath(parent, tree.make_directory)}"
            break
        parent = os.path.dirname(parent)
    return [Finding(ReasonKind.NO_OBJECTS, tree.module, message, help_text, Status.UNKNOWN)]


def _judge_presence(tree: Tree, rules: Rules, configuration: Configuration) -> list[Finding]:
    """Artifacts without which no module can be built, where no record speaks of them."""
    objtree = tree.objtree
    if parse_value(configuration.auto_conf, "RUST") == "y" and not any(
        rule.name == "rust/core.o" for rule in rules.rules
    ):
        path = f"{objtree}/rust/libcore.rmeta"
        if _is_gone(path):
            if not tree.prebuilt:
                message = "CONFIG_RUST=y, but the Rust crates were never built here"
                return [Finding(ReasonKind.MISSING_OUTPUT, path, message, "", Status.STALE)]
            message = "these headers say CONFIG_RUST=y but come without the crates: no Rust module can be built against them"
            return [
                Finding(
                    ReasonKind.MISSING_OUTPUT, path, message,
                    "build the kernel yourself, or ask its packager to ship rust/*.rmeta and rust/*.so",
                    Status.UNKNOWN if _is_rust_module(tree, rules) else Status.FRESH,
                )
            ]  # fmt: skip
    missing = [
        name
        for name in (
            "include/config/auto.conf.cmd",
            "include/generated/autoconf.h",
            "include/generated/rustc_cfg",
        )
        if _is_gone(f"{objtree}/{name}")
    ]
    found = [
        Finding(
            ReasonKind.CONFIG_NOT_SYNCED,
            f"{objtree}/{name}",
            "missing; M= builds do not notice",
            "",
            Status.STALE,
        )
        for name in missing
        if not tree.prebuilt
    ]
    known = {rule.name for rule in rules.rules}
    wanted = [name for name in MODULE_TOOLS if name not in known and _is_gone(f"{objtree}/{name}")]
    if parse_value(configuration.auto_conf, "OBJTOOL") != "y":
        wanted = [name for name in wanted if name != "tools/objtool/objtool"]
    if wanted and not tree.prebuilt:
        message = "module builds need it; the tree was never prepared for them, or it was deleted"
        found.append(Finding(ReasonKind.MISSING_TARGET, f"{objtree}/{wanted[0]}", message, "", Status.STALE))
    return found


def _is_gone(path: str) -> bool:
    """Whether there is certainly no such file; one that may not be looked at is not gone."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _is_rust_module(tree: Tree, rules: Rules) -> bool:
    """Whether a module has Rust in it: by its records, or by its sources where it was never built."""
    if tree.module is None:
        return False
    built = [rule for rule in rules.rules if rule.scope is Scope.MODULE]
    if built:
        return any(rule.source is not None and rule.source.endswith(".rs") for rule in built)
    return holds_rust(tree.module)


def _judge_sync(tree: Tree, configuration: Configuration, environ: dict[str, str]) -> list[Finding]:
    """Whether anything but ``M=`` would first run syncconfig, by the rules of Makefile and auto.conf.cmd."""
    auto_conf = f"{tree.objtree}/include/config/auto.conf"
    synced = mtime_of(auto_conf)
    found: list[Finding] = []
    if synced is None:
        return found
    config = environ.get("KCONFIG_CONFIG", ".config")
    dot_config = os.path.join(tree.objtree, tree.args.variables.get("KCONFIG_CONFIG", config))
    edited = mtime_of(dot_config)
    if edited is None:
        message = "is gone, so Kbuild cannot bring this tree up to date; M= builds do not notice"
        help_text = "restore it; .config.old is the one before the last change"
        found.append(Finding(ReasonKind.CONFIG_NOT_SYNCED, dot_config, message, help_text, Status.UNKNOWN))
    elif edited > synced:
        changes = _changes(dot_config, configuration)
        message = (
            f"changed after it was last synced; M= builds never sync it ({changes or 'no value differs'})"
        )
        cure = Cure.CONFIGURE if changes else Cure.REFRESH
        found.append(Finding(ReasonKind.CONFIG_NOT_SYNCED, dot_config, message, "", Status.STALE, cure))
    newer = _find_newer(tree.srctree, configuration.inputs.files, synced)
    if newer:
        more = len(newer) - 1
        others = f"and {more} more Kconfig file{'s' if more > 1 else ''} " if more else ""
        message = f"{others}changed after the configuration was last synced; M= builds never sync it"
        found.append(
            Finding(ReasonKind.CONFIG_NOT_SYNCED, sorted(newer)[0], message, "", Status.STALE, Cure.CONFIGURE)
        )
    actual = make_variables(tree, environ)
    for name, recorded in configuration.inputs.variables:
        now = actual.get(name)
        if name == "srctree":
            now = tree.srctree
            same = os.path.realpath(os.path.join(tree.objtree, recorded)) == now
        else:
            same = now is None or now == recorded
        if not same:
            message = f"configured with {name}={recorded}, this make would use {name}={now}"
            # With other tools a refresh would configure the whole kernel anew, for what is a slip.
            slip = name not in ("KERNELVERSION", "srctree") and not _is_same_arch(
                {recorded, now}, configuration
            )
            hint = _tool_hint(name, recorded) if slip else ""
            cure = Cure.BY_HAND if slip else Cure.REFRESH
            found.append(Finding(ReasonKind.CONFIG_NOT_SYNCED, auto_conf, message, hint, Status.STALE, cure))
            break  # one wrong tool family shows in CC, LD, NM, AR …: say it once
    return found


def _is_same_arch(names: set[str | None], configuration: Configuration) -> bool:
    """Whether two values of ARCH configure the same kernel: arch/x86/Kconfig asks x86 about 64BIT, and x86_64 has it."""
    return names == {"x86", "x86_64"} and parse_value(configuration.auto_conf, "64BIT") == "y"


def _tool_hint(name: str, recorded: str) -> str:
    """Say what to put on the command line to get the tools the tree was configured with."""
    folder, _, tool = recorded.rpartition("/")
    if name == "CC" and tool.startswith("clang"):
        llvm = f"{folder}/" if folder else tool[5:] or "1"
        return f"the tree was configured with LLVM={llvm}: say so to make, and to kdeps"
    if name == "CC" and tool.endswith("gcc"):
        cross = recorded[: -len("gcc")]
        return f"the tree was configured without LLVM={f' and with CROSS_COMPILE={cross}' if cross else ''}"
    if name in ("ARCH", "SRCARCH"):
        return f"the tree was configured with ARCH={recorded}"
    return ""


def _changes(dot_config: str, configuration: Configuration) -> str:
    """Say how ``.config`` and the synced configuration differ; empty where they do not."""
    wanted = parse_symbols(_read(dot_config))
    synced = parse_symbols(configuration.auto_conf)
    names = sorted(name for name in wanted.keys() | synced.keys() if wanted.get(name) != synced.get(name))
    shown = ", ".join(f"{n}: {synced.get(n, 'n')} → {wanted.get(n, 'n')}" for n in names[:3])
    return shown + (f", and {len(names) - 3} more" if len(names) > 3 else "")


def make_variables(tree: Tree, environ: dict[str, str]) -> dict[str, str]:
    """The values the top Makefile would give to the variables that Kconfig reads, without running make.

    A variable that depends on more than this knows is left out, never guessed.
    """
    given = tree.args.variables
    llvm = given.get("LLVM", environ.get("LLVM", ""))
    prefix = suffix = ""
    if llvm.endswith("/"):
        prefix = llvm
    elif llvm.startswith("-"):
        suffix = llvm
    cross = given.get("CROSS_COMPILE", environ.get("CROSS_COMPILE", ""))
    if llvm:
        tools = {"CC": "clang", "LD": "ld.lld", "AR": "llvm-ar", "NM": "llvm-nm", "OBJCOPY": "llvm-objcopy"}
        values = {name: f"{prefix}{tool}{suffix}" for name, tool in tools.items()}
    else:
        tools = {"CC": "gcc", "LD": "ld", "AR": "ar", "NM": "nm", "OBJCOPY": "objcopy"}
        values = {name: f"{cross}{tool}" for name, tool in tools.items()}
    values.update(RUSTC="rustc", BINDGEN="bindgen", PYTHON3="python3")
    numbers = {
        name: value.strip() for name, value in _VERSION_LINE.findall(_read(f"{tree.srctree}/Makefile", 4096))
    }
    version = ".".join(
        n for n in (numbers.get("VERSION"), numbers.get("PATCHLEVEL"), numbers.get("SUBLEVEL")) if n
    )
    values["KERNELVERSION"] = version + numbers.get("EXTRAVERSION", "")
    for name in list(values):
        if name in given:
            values[name] = given[name]
    arch = given.get("ARCH", environ.get("ARCH", "")) or machine_arch(tree.srctree)
    if arch:
        values["ARCH"] = arch
    return values


def _judge_toolchain(tree: Tree, configuration: Configuration, environ: dict[str, str]) -> list[Finding]:
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
            continue
        shown = f"`{now}`" if now else "not found"
        message = f"{actual[variable]} is {shown}, the kernel was built with `{recorded.strip()}`"
        if now and variable == "RUSTC":
            message += f"; until they are rebuilt, {WRONG_COMPILER.message} ({WRONG_COMPILER.code})"
        cure, help_text = Cure.REFRESH, ""
        remove: tuple[str, ...] = ()
        if not now:
            # Kconfig would switch Rust off, and with it everything that is built here.
            cure, help_text = Cure.BY_HAND, "put the compiler the kernel was built with into PATH"
        elif variable == "BINDGEN":
            # Kbuild never compares bindgen, so no make goal helps by itself.
            cure = Cure.SYNC
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
                ReasonKind.TOOLCHAIN_CHANGED, tree.objtree, message, help_text, Status.STALE, cure, remove
            )
        )
    return found


def _as_given(tree: Tree) -> str:
    return tree.args.variables.get("M") or tree.module or ""


def _find_newer(folder: str, names: tuple[str, ...], mtime_ns: int) -> list[str]:
    """Find the files that are newer; of some 1,700 (every Kconfig file) mostly none is."""
    newer: list[str] = []
    stat = os.stat
    for name in names:
        path = name if name[:1] == "/" else f"{folder}/{name}"
        try:
            if stat(path).st_mtime_ns > mtime_ns:
                newer.append(path)
        except OSError:
            continue
    return newer


def _read(path: str, limit: int = 1 << 24) -> str:
    try:
        with open(path, "rb", opener=open_nonblocking) as file:
            return file.read(limit).decode("utf-8", "surrogateescape")
    except OSError:
        return ""
