# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What the first build of a module reads of its kernel: there are no records yet that name it.

Taken from the Makefiles that make reads for a module, so that no list of files for each version is needed:
what they pass to compilers (``-include FILE``, ``@FILE``, ``--target=FILE``, ``--extern CRATE``) and
the files that they include and compile.
"""

from __future__ import annotations

import os
import re

from kdeps import TYPE_CHECKING, NamedTuple
from kdeps.formats.rust_metadata import parse_loaded_crates
from kdeps.kbuild.makefile_rules import FIRST_CRATES, MACRO_CRATES, MODULE_MAKEFILES, TOOLCHAIN_CRATES
from kdeps.system.files import read_bytes, read_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kdeps.kbuild.tree import Tree

_C_FLAGS = r"(?m)^[ \t]*(?:export[ \t]+)?(?:USERINCLUDE|LINUXINCLUDE|_?c_flags)[ \t]*[:+]?=([^\n]*)"
_RUST_FLAGS = r"(?m)^[ \t]*(?:export[ \t]+)?(?:KBUILD_RUSTFLAGS|_?rust_flags)[ \t]*[:+]?=([^\n]*)"
_INCLUDED = r"-include[ \t]+\$\(srctree\)/([\w./-]+)"
_ARGUMENTS = r"@\$\(objtree\)/([\w./-]+)"
_TARGETS = r"--target=(\S+)"
_MAKEFILE = re.compile(r"include[ \t]+\$\(srctree\)/(scripts/[\w./-]+)[ \t]*(?:#.*)?")
_ALWAYS_INCLUDED = r"(?m)^[ \t]*include-y[ \t]*[:+]?=([^\n#]*)"
_ARCH_MAKEFILE = "include $(srctree)/arch/$(SRCARCH)/Makefile"
_COMPILED = r"(?m)^[^\n#=]*:[^\n=]*\$\(srctree\)/([\w./-]+\.c)\b"
_HEADER = r"(?m)^#include <(linux/[\w./-]+)>"
_RELEASE = "generated/utsrelease.h"
_EXTERN = r"--extern\s+([\w]+)"
_CRATE_FLAGS = (
    # $(obj)/kernel.o: private rustc_target_flags = --extern ffi …    pin_init-flags := --extern macros …
    r"(?m)^(?:\$\(obj\)/(\w+)\.o:[^\n]*rustc_target_flags|(\w+)-flags)[ \t]*[:+]?=([^\n]*)"
)
_CONDITION = re.compile(r"[ \t]*(?:ifn?eq|ifn?def)\b")
_CONDITION_END = re.compile(r"[ \t]*endif\b")


class FirstReads(NamedTuple):
    """What the first build of a module reads."""

    sources: tuple[str, ...]
    """Files of the source tree."""
    made: tuple[str, ...]
    """Files that the build of the kernel made."""


def find_first_reads(tree: Tree, *, rust: bool) -> FirstReads:
    """Find what the first build of a module reads.

    Args:
        tree: The kernel.
        rust: Whether there is Rust in the module.
    """
    texts = {name: _read_makefile(tree, name) for name in ("Makefile", *MODULE_MAKEFILES)}
    sources = [*_find_makefiles(tree, texts)]
    for text in texts.values():
        sources += [path for flags in re.findall(_C_FLAGS, text) for path in re.findall(_INCLUDED, flags)]
    release: list[str] = []
    for name in re.findall(_COMPILED, texts["scripts/Makefile.modfinal"]):
        sources.append(name)
        headers = _find_headers(f"{tree.srctree}/{name}")
        sources += [f"include/{header}" for header in headers]
        if any(f"<{_RELEASE}>" in read_text(f"{tree.srctree}/include/{header}") for header in headers):
            release.append(f"include/{_RELEASE}")
    made = [name for name in release if not os.path.exists(f"{tree.srctree}/{name}")]
    if rust:
        made += _find_rust_arguments(tree, texts)
        made += _find_crates(tree, texts["scripts/Makefile.build"])
    return FirstReads(
        tuple(dict.fromkeys(f"{tree.srctree}/{name}" for name in sources)),
        tuple(dict.fromkeys(f"{tree.objtree}/{name}" for name in made)),
    )


def list_looked_at(tree: Tree) -> Iterator[str]:
    """List every file whose coming, going or change may change what ``find_first_reads`` returns."""
    reads = find_first_reads(tree, rust=True)
    yield from (*reads.sources, *reads.made)
    yield from (
        f"{tree.srctree}/{name}" for name in (_arch_makefile(tree), "rust/Makefile", f"include/{_RELEASE}")
    )
    for path in reads.made:
        folder, name = os.path.split(path)
        if name.startswith("lib"):
            crate = name.rpartition(".")[0]
            yield from (f"{folder}/{crate}.{suffix}" for suffix in ("so", "dylib", "rmeta"))


def _read_makefile(tree: Tree, name: str) -> str:
    return read_text(f"{tree.srctree}/{name}").replace("\\\n", " ")


def _arch_makefile(tree: Tree) -> str:
    return f"arch/{tree.srcarch}/Makefile"


def _find_makefiles(tree: Tree, texts: dict[str, str]) -> Iterator[str]:
    """The Makefiles that every ``make M=`` includes, without those that a condition decides about."""
    for name in MODULE_MAKEFILES:
        depth = 0
        for line in texts[name].split("\n"):
            depth += (_CONDITION.match(line) is not None) - (_CONDITION_END.match(line) is not None)
            if not depth and (found := _MAKEFILE.fullmatch(line)):
                yield found[1]
    for names in re.findall(_ALWAYS_INCLUDED, texts["Makefile"]):
        yield from (name for name in names.split() if name.startswith("scripts/") and "$" not in name)
    if f"\n{_ARCH_MAKEFILE}\n" in texts["Makefile"]:
        yield _arch_makefile(tree)


def _find_headers(path: str) -> list[str]:
    """The headers that a C file includes in any configuration."""
    return re.findall(_HEADER, read_text(path).partition("\n#if")[0])


def _find_rust_arguments(tree: Tree, texts: dict[str, str]) -> Iterator[str]:
    """The files that are named on every command line of rustc."""
    flags = [
        f
        for text in (*texts.values(), _read_makefile(tree, _arch_makefile(tree)))
        for f in re.findall(_RUST_FLAGS, text)
    ]
    for text in flags:
        yield from re.findall(_ARGUMENTS, text)
    targets = {target for text in flags for target in re.findall(_TARGETS, text)}
    # Of several targets the configuration chooses one.
    if targets == {"$(objtree)/scripts/target.json"}:
        yield "scripts/target.json"


def _find_crates(tree: Tree, makefile_build: str) -> Iterator[str]:
    """The crates that Kbuild passes to every module, and those behind them.

    ``rust/Makefile`` names those; headers often come without it, and then the metadata of ``kernel`` does.
    """
    makefile = _read_makefile(tree, "rust/Makefile")
    flags: dict[str, str] = {}
    for crate, variable, value in re.findall(_CRATE_FLAGS, makefile):
        flags[crate or variable] = f"{flags.get(crate or variable, '')} {value}"
    crates: dict[str, None] = {"core": None, "compiler_builtins": None}
    waiting = [*re.findall(_EXTERN, makefile_build), *FIRST_CRATES]
    waiting += parse_loaded_crates(read_bytes(f"{tree.objtree}/rust/libkernel.rmeta"))
    while waiting:
        crate = waiting.pop(0)
        if crate not in crates and crate not in TOOLCHAIN_CRATES:
            crates[crate] = None
            waiting += re.findall(_EXTERN, flags.get(crate, ""))
    yield from (_file_of_crate(tree, crate) for crate in crates)


def _file_of_crate(tree: Tree, crate: str) -> str:
    """The file of a crate: a library of macros (``dylib`` if it was built on macOS), or its metadata."""
    for suffix in ("so", "dylib"):
        if os.path.exists(f"{tree.objtree}/rust/lib{crate}.{suffix}"):
            return f"rust/lib{crate}.{suffix}"
    return f"rust/lib{crate}.{'so' if crate in MACRO_CRATES else 'rmeta'}"
