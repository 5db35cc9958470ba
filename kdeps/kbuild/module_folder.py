# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What a module's source folder contains, and what its own Makefile names. It must not know what a tree is."""

from __future__ import annotations

import os
import re

from kdeps import TYPE_CHECKING
from kdeps.formats.kconfig import parse_symbols, parse_value
from kdeps.kbuild.kernel_makefile import read_text
from kdeps.system.text import list_some

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_OBJECT = re.compile(r"(?<![\w.-])[\w.-]+\.o\b")
_OBJECTS = re.compile(r"^[^#\n]*\bobj-(?:m|y|\$[({])", re.MULTILINE)


def builds_objects(folder: str) -> bool:
    """Tell whether a folder's Kbuild or Makefile has ``obj-…`` lines: whether ``M=`` would build anything."""
    for name in ("Kbuild", "Makefile"):
        text = read_text(os.path.join(folder, name), missing="")
        if text:
            return _OBJECTS.search(text) is not None  # Kbuild wins over Makefile, as in Makefile.build
    return False


_LISTS = re.compile(
    r"\b(?P<list>obj|lib|always|extra|subdir)-(?:(?P<kind>[my])\b|\$[({](?P<symbol>[^)}\n]*)[)}]?)(?P<names>.*)"
)
_MORE = re.compile(r"^[ \t]*[-s]?include\b|\$[({](?:eval|call)\b", re.MULTILINE)

_PUT_TOGETHER = re.compile(r"[)}][\w-][\w.-]*\.o\b|[\w-]\$[({][^)}\n]*[)}][\w.-]*\.o\b")


def find_why_nothing_is_built(folder: str, auto_conf: str, variables: Mapping[str, str]) -> str:
    """Find why ``make M=…`` builds nothing in a folder. Returns an empty text if it builds something, or may.

    ``variables`` are make's, those of the environment among them.
    """
    names = [name for name in ("Kbuild", "Makefile") if os.path.exists(os.path.join(folder, name))]
    if not names:
        return "fails: there is no Kbuild and no Makefile"
    if os.path.isdir(os.path.join(folder, names[0])):
        return f"fails: {names[0]} is a folder"
    text = re.sub(r"#.*", "", read_text(os.path.join(folder, names[0]), missing="")).replace("\\\n", " ")
    if _MORE.search(text):
        return ""
    unset: list[str] = []
    builtin: list[str] = []
    for listed in _LISTS.finditer(text):
        symbol = listed["symbol"] or ""
        # Of what is built into the kernel ``M=`` builds nothing, but it goes down into folders.
        may_build = listed["list"] != "obj" or re.search(r"[/$]", listed["names"]) is not None
        if not symbol and listed["kind"] == "y" and not may_build:
            continue
        if (
            not symbol.startswith("CONFIG_")
            or symbol in variables
            or re.search(rf"\b{symbol}[ \t]*[:?+]?=", text)
        ):
            return ""
        value = parse_value(auto_conf, symbol[7:])
        if value == "m" or (value == "y" and may_build):
            return ""
        (builtin if value == "y" else unset).append(symbol)
    if builtin:
        return f"succeeds and builds nothing: {list_some(builtin)} is y, so its objects are part of the kernel itself"
    if unset:
        return (
            f"succeeds and builds nothing: its {names[0]} asks for {list_some(unset)}, not set in this kernel"
        )
    return f"succeeds and builds nothing: its {names[0]} has no obj-m"


def walk(folder: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield a module's folder and each below it, with the names of its files and of links to folders."""
    for where, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield where, files, [name for name in folders if os.path.islink(f"{where}/{name}")]


def list_rust(folder: str) -> list[str]:
    """List the Rust sources in a module's folder and below it."""
    return [f"{where}/{name}" for where, files, _ in walk(folder) for name in files if name.endswith(".rs")]


def may_hold_rust(folder: str) -> bool:
    """Tell whether a module may have Rust in it, built or not: a source, or a Makefile that names one or looks elsewhere."""
    if list_rust(folder):
        return True
    for where, _, links in walk(folder):
        text = "".join(read_makefiles(where))
        elsewhere = "|".join([r"\.\.", *map(re.escape, links)])
        if re.search(rf"\.rs\b|(?<![\w.-])(?:{elsewhere})/", text):
            return True
    return False


def may_be_built(source: str, top: str, objtree: str, variables: dict[str, str]) -> bool:
    """Tell whether a Makefile beside a source, or above it up to the module's folder, names its object.

    Where the object is not written out (``$(foreach …)``, an included file), its stem is enough.
    """
    folder = os.path.dirname(source)
    name = os.path.splitext(os.path.basename(source))[0]
    stem = re.escape(name)
    while True:
        own, included = read_makefiles(folder)
        if re.search(rf"(?<![\w.-]){stem}\.o\b", own):
            return f"{name}.o" in read_object_names(folder, objtree, variables)
        if re.search(rf"(?<![\w.-]){stem}\b(?!\.rs)", own + included):
            return True
        if folder == top or len(folder) <= len(top):
            return False
        folder = os.path.dirname(folder)


def is_unnamed(source: str, top: str, objtree: str, variables: dict[str, str]) -> bool:
    """Tell whether surely no Makefile names the object of a source: none includes others or puts names together."""
    if may_be_built(source, top, objtree, variables):
        return False
    folder = os.path.dirname(source)
    while folder.startswith(top):
        text = read_makefiles(folder)[0]
        if _MORE.search(text) or _PUT_TOGETHER.search(text):
            return False
        folder = os.path.dirname(folder)
    return True


def read_makefiles(folder: str) -> tuple[str, str]:
    """Read the Kbuild or Makefile of a folder, and what it may include, each without comments."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return "", ""
    own = next((name for name in ("Kbuild", "Makefile") if name in names), "")
    others = [name for name in names if name.endswith(".mk") or name.startswith(("Kbuild", "Makefile"))]
    texts = [read_text(os.path.join(folder, name), missing="") for name in (own, *others) if name]
    texts = [re.sub(r"#.*", "", text) for text in texts]
    return (texts[0], "\n".join(texts)) if own else ("", "\n".join(texts))


def read_object_names(folder: str, objtree: str, variables: dict[str, str]) -> set[str]:
    """Read the objects that a module folder's Kbuild or Makefile names, without those that are not configured.

    The assignments on make's command line, ``variables``, win over the configuration of the object tree.
    """
    for name in ("Kbuild", "Makefile"):
        text = read_text(os.path.join(folder, name), missing="")
        if text:
            break
    configuration = parse_symbols(read_text(f"{objtree}/include/config/auto.conf", missing=""))
    lines = re.sub(r"#.*", "", text).replace("\\\n", " ").split("\n")
    own = {found[1] for line in lines if (found := re.match(r"\s*(?:export\s+)?CONFIG_(\w+)\s*[:?]?=", line))}
    names: set[str] = set()
    for line in lines:
        symbol = re.match(r"[^=]*-\$[({]CONFIG_(\w+)[)}]\s*[:+?]?=", line)
        if symbol is None or symbol[1] in own or _is_set(symbol[1], variables, configuration):
            names.update(_OBJECT.findall(line))
    return names


def _is_set(symbol: str, variables: dict[str, str], configuration: dict[str, str]) -> bool:
    name = f"CONFIG_{symbol}"
    return variables.get(name, configuration.get(name)) in ("y", "m")


def is_module_folder(folder: str) -> bool:
    """Tell whether a folder below the kernel tree is one that people build with ``M=``.

    Nearly every folder there has an ``obj-`` line; a module build left its list
    behind, or there is Rust to build. rust/ itself is the core, never a module.
    """
    above = folder
    while above != os.path.dirname(above):
        if os.path.basename(above) == "rust" and os.path.exists(f"{os.path.dirname(above)}/Kconfig"):
            return False
        above = os.path.dirname(above)
    try:
        names = os.listdir(folder)
    except OSError:
        return False
    return "modules.order" in names or any(name.endswith(".rs") for name in names)
