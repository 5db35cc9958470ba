# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The configuration of an object tree, and the variables that the top Makefile would set."""

from __future__ import annotations

import os
import re

from kdeps import TYPE_CHECKING, NamedTuple
from kdeps.formats.kconfig import (
    ConfigInputs,
    is_whole_config_inputs,
    parse_config_inputs,
    parse_symbols,
    parse_value,
)
from kdeps.kbuild.makefile_rules import MODULE_TOOLS, RESOLVE_BTFIDS
from kdeps.kbuild.tree import Tree, machine_arch
from kdeps.system.files import read_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COMPARED_BY_ANSWER = ("CC", "RUSTC", "BINDGEN", "LD", "AR", "NM", "OBJCOPY")
"""Variables of tools that are the same if they say so: ``clang`` and ``ccache clang``."""

_FLAGS = (
    "KCFLAGS", "KAFLAGS", "KCPPFLAGS", "KRUSTFLAGS", "CFLAGS_MODULE", "AFLAGS_MODULE", "RUSTFLAGS_MODULE", "LDFLAGS_MODULE",
    "CFLAGS_KERNEL", "AFLAGS_KERNEL", "RUSTFLAGS_KERNEL", "KBUILD_EXTRA_WARN", "MAKEFILES",
)  # fmt: skip


class Configuration(NamedTuple):
    """What the object tree was configured with."""

    auto_conf: str
    """Text of ``include/config/auto.conf``."""
    inputs: ConfigInputs
    inputs_are_whole: bool
    """Whether ``auto.conf.cmd`` is there and was written to its end."""

    @property
    def symbols(self) -> dict[str, str]:
        """Every symbol that is set, with its value."""
        return parse_symbols(self.auto_conf)


def read_configuration(tree: Tree) -> Configuration:
    """Read the synced configuration of an object tree."""
    base = f"{tree.objtree}/include/config"
    inputs = read_text(f"{base}/auto.conf.cmd")
    return Configuration(
        read_text(f"{base}/auto.conf"), parse_config_inputs(inputs), is_whole_config_inputs(inputs)
    )


def list_module_tools(objtree: str) -> list[str]:
    """List the files of the object tree, by name, that every module build of its configuration uses."""
    auto_conf = read_text(f"{objtree}/include/config/auto.conf")
    names = [
        n for n, symbols in MODULE_TOOLS.items() if all(parse_value(auto_conf, s) == "y" for s in symbols)
    ]
    if RESOLVE_BTFIDS in names and not os.path.exists(f"{objtree}/vmlinux"):
        names.remove(
            RESOLVE_BTFIDS
        )  # Makefile.modfinal skips "BTF generation … due to unavailability of vmlinux"
    return names


def list_tools_behind(source: str | None, is_set: Callable[[str], bool], *, versioned: bool) -> Iterator[str]:
    """List the programs that Kbuild runs on a module's object behind the command that it records."""
    if versioned:
        name = "gendwarfksyms" if is_set("GENDWARFKSYMS") else "genksyms"
        yield f"scripts/{name}/{name}"
    tool = "scripts/recordmcount"
    is_code = (
        source is not None and source.endswith(".c") and not source.endswith((".mod.c", "module-common.c"))
    )
    if is_code and all(map(is_set, MODULE_TOOLS[tool])):
        yield tool


def find_dot_config(tree: Tree, environ: dict[str, str]) -> str:
    """The configuration as the user has it, which is synced to the object tree."""
    name = tree.args.variables.get("KCONFIG_CONFIG", environ.get("KCONFIG_CONFIG", ".config"))
    return os.path.join(tree.objtree, name)


def make_variables(tree: Tree, environ: dict[str, str]) -> dict[str, str]:
    """The values the top Makefile would give to the variables that Kconfig reads, without running make.

    A variable that depends on more than this knows is left out, never guessed.
    """
    given = tree.args.variables
    if tree.args.prefers_environment:
        given = {**environ, **given}
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
    values.update(RUSTC="rustc", BINDGEN="bindgen", PYTHON3="python3", PAHOLE="pahole")
    numbers = {
        name: value.strip()
        for name, value in _VERSION_LINE.findall(read_text(f"{tree.srctree}/Makefile", 4096))
    }
    numbers.update((name, given[name]) for name in numbers.keys() & given.keys())
    version = ".".join(
        n for n in (numbers.get("VERSION"), numbers.get("PATCHLEVEL"), numbers.get("SUBLEVEL")) if n
    )
    values["KERNELVERSION"] = version + numbers.get("EXTRAVERSION", "")
    values.update(_read_kernel_variables(tree, cross, values, {**environ, **given}))
    for name in list(values):
        if name in given:
            values[name] = given[name]
    arch = given.get("ARCH", environ.get("ARCH", "")) or machine_arch(tree.srctree)
    if arch:
        values["ARCH"] = arch
    return values


def _read_kernel_variables(
    tree: Tree, cross: str, values: dict[str, str], given: dict[str, str]
) -> dict[str, str]:
    """What Debian's headers set, for their compiler has a version in its name: ``CC = $(CROSS_COMPILE)gcc-12``."""
    found: dict[str, str] = {}
    for name, value in _KERNEL_VARIABLE.findall(read_text(f"{tree.objtree}/.kernelvariables", 4096)):
        value = re.sub(_IF, lambda part: part[2] if given.get(part[1]) else "", value)
        value = value.replace("$(CROSS_COMPILE)", cross).replace("$(CCACHE)", "ccache").strip()
        if name in values and value and "$" not in value:
            found[name] = value
    return found


def find_flags(tree: Tree, environ: dict[str, str]) -> dict[str, str]:
    """The flags that Kbuild adds to its commands on request: name → value, of those that have one.

    Args:
        tree: Whose arguments of make to look at.
        environ: The environment make would get.
    """
    given = {name: tree.args.variables.get(name, environ.get(name, "")) for name in _FLAGS}
    return {name: value for name, value in given.items() if value}


def list_asked(tree: Tree, environ: dict[str, str]) -> tuple[str, ...]:
    """The commands whose version a check may ask for: make's own, and what was recorded in another spelling."""
    values = make_variables(tree, environ)
    asked = [values["CC"], values["RUSTC"], values["BINDGEN"], "make"]
    for name, recorded in read_configuration(tree).inputs.variables:
        if name == "PAHOLE_VERSION":
            asked.append(values["PAHOLE"])
        if name in COMPARED_BY_ANSWER and recorded != values[name]:
            asked += (values[name], recorded)
    return tuple(dict.fromkeys(asked))


_KERNEL_VARIABLE = re.compile(r"^(?:override[ \t]+)?(\w+)[ \t]*:?=[ \t]*(.*)$", re.MULTILINE)
_IF = r"\$\(if \$\((\w+)\),((?:\$\(\w+\)|[^$()])*)\)"
_VERSION_LINE = re.compile(r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION)[ \t]*=[ \t]*(.*)$", re.MULTILINE)
