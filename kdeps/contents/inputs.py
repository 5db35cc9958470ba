# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What the outputs of a step follow from.

Two kinds. What *decides* is what make compares a target with: if one of these has another
content, the target is stale. *Also* counts what make does not compare: the programs and
scripts that the command starts, response files, the values of configuration symbols, the
compilers. A difference there makes nothing stale by itself, because most commands do not
depend on most of it. But a step is only proven to be up to date if none of it differs.
"""

from __future__ import annotations

import os
import re

from kdeps import TYPE_CHECKING
from kdeps.contents.memory import CONFIGURATION
from kdeps.contents.tools import Tools
from kdeps.kbuild.command_files import find_command_files
from kdeps.kbuild.configuration import find_dot_config, read_configuration
from kdeps.kbuild.makefile_rules import sees_command
from kdeps.kbuild.rule import Action, Rule
from kdeps.kbuild.tree import Tree
from kdeps.system.files import read_text
from kdeps.system.stat import status_of

if TYPE_CHECKING:
    from kdeps.contents.digest import Hasher

TOOLS = "tools"
"""The row that stands for the compilers and linkers."""
_WORD = re.compile(r"[^\s;|&()<>'\"`]+")
_READ_BY_COMMAND = (".json", "rustc_cfg", ".lds", ".sh", ".pl", ".py", ".awk", ".sed", ".tbl")
_COMPILED_IN = re.compile(r'\b(?:option_)?env!\s*[(\[{]\s*"(\w+)"')
CONSTANTS = ("rust/bindings/bindings_generated.rs", "rust/uapi/uapi_generated.rs")
"""bindgen makes a constant of each symbol of the configuration."""
AUTOCONF = "include/generated/autoconf.h"
_CONFIGURED = (
    "include/config/auto.conf", "include/config/auto.conf.cmd", AUTOCONF,
    "include/generated/rustc_cfg",
)  # fmt: skip


def deciding_inputs(rule: Rule) -> list[str]:
    """List the files that make compares a target with, and those that only the record names."""
    source = (rule.source,) if rule.source else ()
    inputs = dict.fromkeys(
        (*rule.prerequisites, *source, *rule.optional_prerequisites, *rule.uncompared_inputs)
    )
    for output in rule.outputs:
        inputs.pop(output, None)
    return [path for path in inputs if not is_only_named(rule, path)]


def is_only_named(rule: Rule, path: str) -> bool:
    """Whether a step writes down the name of an input and does not read it: the objects in a modules.order."""
    return rule.name.endswith("modules.order") and path.endswith(".o")


class Surroundings:
    """What a build depends on beside files that it compares: tools, symbols, programs of commands."""

    def __init__(self, tree: Tree, environ: dict[str, str]) -> None:
        self.tree = tree
        self._environ = environ
        self.tools = Tools(tree, environ)
        self._symbols: dict[str, str] | None = None
        self._programs: dict[str, str | None] = {}
        self._variables: dict[str, frozenset[str]] = {}

    def symbol(self, name: str) -> bytes:
        """The value of a configuration symbol."""
        if self._symbols is None:
            self._symbols = read_configuration(self.tree).symbols
        return self._symbols.get(f"CONFIG_{name}", "n").encode("utf-8", "surrogateescape")

    def commands(self, hasher: Hasher) -> tuple[bytes, int]:
        """What commands are made from, Makefiles, scripts and the synced configuration: their hash, and when one last changed."""
        import hashlib

        digest = hashlib.sha256()
        newest_ns = 0
        synced = configuration_outputs(self.tree)
        for path in find_command_files(self.tree, self._environ):
            stamp, content = hasher.look(path)
            digest.update(path.encode("utf-8", "surrogateescape") + b"\0" + (content or b"?"))
            if stamp is not None:
                newest_ns = max(newest_ns, stamp[3] if path in synced else stamp[4])
        return digest.digest()[:16], newest_ns

    def also_read(self, rule: Rule) -> list[str]:
        """List the files that a command starts or reads and that make does not compare.

        A command that Kbuild does not compare may be another one now: the files that it is made from count as well.
        """
        base = rule.config_dir
        found: dict[str, None] = {}
        for word in _WORD.findall(rule.command):
            name = word.partition("@")[2] if word[0] == "@" else word
            if name.startswith("--target="):
                name = name[9:]
            if "/" not in name or name[0] == "-":
                continue
            path = self._program(os.path.normpath(os.path.join(base, name)))
            if path:
                found[path] = None
        if rule.name in CONSTANTS:
            found[f"{self.tree.objtree}/{AUTOCONF}"] = None
        if not sees_command(rule.name, self.tree.version):
            found.update(dict.fromkeys(find_command_files(self.tree, self._environ)))
        for output in rule.outputs:
            found.pop(output, None)
        return list(found)

    def compiled_in(self, rule: Rule) -> list[str]:
        """List the variables of the environment that a step compiles in and that its command does not set.

        Makefiles export them, and no record has their values.
        """
        if rule.source is None or not rule.source.endswith(".rs"):
            return []
        names: set[str] = set()
        for path in deciding_inputs(rule):
            if path.endswith(".rs"):
                if path not in self._variables:
                    self._variables[path] = _find_variables(read_text(path))
                names |= self._variables[path]
        return sorted(name for name in names if not re.search(rf"(?:^|[\s;]){name}=", rule.command))

    def _program(self, path: str) -> str | None:
        """The path, if it is a file of the trees that a command would start or read as a whole."""
        if path not in self._programs:
            tree = self.tree
            inside = path.startswith(
                (f"{tree.srctree}/", f"{tree.objtree}/", f"{tree.module or tree.srctree}/")
            )
            read = path.endswith(_READ_BY_COMMAND) or os.access(path, os.X_OK)
            self._programs[path] = path if inside and read and os.path.isfile(path) else None
        return self._programs[path]


def _find_variables(text: str) -> frozenset[str]:
    """The variables that ``env!`` and ``option_env!`` name in a source, comments apart."""
    return frozenset(
        found[1]
        for found in _COMPILED_IN.finditer(text)
        if "//" not in text[text.rfind("\n", 0, found.start()) + 1 : found.start()]
    )


def configuration_inputs(tree: Tree, environ: dict[str, str]) -> list[str]:
    """List what the configuration was synced from."""
    files = read_configuration(tree).inputs.files
    return [
        find_dot_config(tree, environ),
        *(name if name[:1] == "/" else f"{tree.srctree}/{name}" for name in files),
    ]


def configuration_outputs(tree: Tree) -> list[str]:
    """List what syncconfig writes, the file that make compares first."""
    return [f"{tree.objtree}/{name}" for name in _CONFIGURED]


def configuration_target(tree: Tree) -> str:
    return f"{tree.objtree}/{CONFIGURATION}"


def built_ns(rule: Rule, mtime_ns: dict[str, int]) -> int | None:
    """When the step last ran: the mtime of its record, which settling never changes."""
    if rule.record is None:
        return mtime_ns.get(rule.target)
    found = status_of(rule.record)
    return None if found is None else found.st_mtime_ns


def is_remembered(rule: Rule) -> bool:
    """Whether the memory has entries for such a step.

    A filechk step runs every time; what it wrote follows from its prerequisites, if it has any.
    """
    return rule.action is not Action.FILECHK or bool(rule.prerequisites)


def command_digest(rule: Rule) -> bytes:
    """Hash of a recorded command."""
    import hashlib

    return hashlib.sha256(rule.command.encode("utf-8", "surrogateescape")).digest()[:16]
