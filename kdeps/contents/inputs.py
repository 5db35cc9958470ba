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

from kdeps.contents.memory import CONFIGURATION
from kdeps.formats.kconfig import parse_symbols
from kdeps.kbuild.configuration import make_variables, read_configuration
from kdeps.kbuild.rule import Action, Owner, Rule
from kdeps.kbuild.toolchain import version_text
from kdeps.kbuild.tree import Tree
from kdeps.system.files import open_to_read

TOOLS = "tools"
"""The row that stands for the compilers and linkers."""
_WORD = re.compile(r"[^\s;|&()<>'\"`]+")
_READ_BY_COMMAND = (".json", "rustc_cfg", ".lds", ".sh", ".pl", ".py", ".awk", ".sed", ".tbl")
_CONFIGURED = (
    "include/config/auto.conf", "include/config/auto.conf.cmd", "include/generated/autoconf.h",
    "include/generated/rustc_cfg",
)  # fmt: skip
_TOOLS = (
    "CC", "LD", "AR", "NM", "OBJCOPY", "STRIP", "READELF", "PYTHON3", "HOSTCC", "HOSTRUSTC", "PAHOLE",
    "RUSTC", "BINDGEN", "gcc", "cc", "clang", "ld.lld", "pahole", "awk", "sh",
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


def base_of(rule: Rule, tree: Tree) -> str:
    """The folder that names in a rule's command are relative to."""
    return tree.module_records_base if rule.owner is Owner.MODULE else tree.objtree


class Surroundings:
    """What a build depends on beside files that it compares: tools, symbols, programs of commands."""

    def __init__(self, tree: Tree, environ: dict[str, str]) -> None:
        self.tree = tree
        self._environ = environ
        self._tools: bytes | None = None
        self._symbols: dict[str, str] | None = None
        self._programs: dict[str, str | None] = {}

    def symbol(self, name: str) -> bytes:
        """The value of a configuration symbol."""
        if self._symbols is None:
            self._symbols = parse_symbols(read_configuration(self.tree).auto_conf)
        return self._symbols.get(f"CONFIG_{name}", "n").encode("utf-8", "surrogateescape")

    def tools(self) -> bytes:
        """The compilers and linkers: how they name themselves, and which files they are."""
        if self._tools is None:
            values = make_variables(self.tree, self._environ)
            parts = [
                version_text(values[name], self._environ, self.tree.make_directory)
                for name in ("RUSTC", "BINDGEN", "CC")
            ]
            for name in _TOOLS:
                parts.append(self._identity(self._given(name, values)))
            self._tools = "\n".join(parts).encode("utf-8", "surrogateescape")
        return self._tools

    def portable_tools(self) -> str:
        """The compilers and linkers as another machine would know them: versions, and hashes of the programs."""
        import hashlib

        values = make_variables(self.tree, self._environ)
        parts = [
            version_text(values[name], self._environ, self.tree.make_directory)
            for name in ("RUSTC", "BINDGEN", "CC")
        ]
        for name, path in self.tool_files().items():
            parts.append(f"{name} {_hash_file(path)}")
            if name == "RUSTC":
                parts += _list_libraries(path)
        return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogateescape")).hexdigest()

    def tool_files(self) -> dict[str, str]:
        """Map each tool to the file that it starts; of ``ccache clang`` both."""
        values = make_variables(self.tree, self._environ)
        found: dict[str, str] = {}
        for name in _TOOLS:
            for at, word in enumerate(self._given(name, values).split()):
                path = next(filter(os.path.isfile, self._places(word)), None)
                if path:
                    found[f"{name} {at}" if at else name] = path
        return found

    def tool_places(self) -> list[str]:
        """List every path at which a tool is looked for."""
        values = make_variables(self.tree, self._environ)
        return [place for name in _TOOLS for place in self._places(self._given(name, values))]

    def _given(self, name: str, values: dict[str, str]) -> str:
        return self.tree.args.variables.get(name) or self._environ.get(name) or values.get(name, name)

    def _places(self, command: str) -> list[str]:
        name = (command.split() or [""])[0]
        folders = [""] if "/" in name else self._environ.get("PATH", os.defpath).split(":")
        return [os.path.join(self.tree.make_directory, folder, name) for folder in folders]

    def _identity(self, command: str) -> str:
        """Which file a command is; a tool that was replaced in place has another ctime."""
        for path in map(os.path.realpath, self._places(command)):
            try:
                found = os.stat(path)
            except OSError:
                continue
            return f"{path} {found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"
        return ""

    def also_read(self, rule: Rule) -> list[str]:
        """List the files that a command starts or reads and that make does not compare."""
        base = base_of(rule, self.tree)
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
        for output in rule.outputs:
            found.pop(output, None)
        return list(found)

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


def _hash_file(path: str) -> str:
    import hashlib

    digest = hashlib.sha256()
    with open_to_read(path) as file:
        while data := file.read(1 << 20):
            digest.update(data)
    return digest.hexdigest()


def _list_libraries(program: str) -> list[str]:
    """Names and sizes of a toolchain's libraries: rustc itself is a small program before them."""
    folder = os.path.join(os.path.dirname(os.path.realpath(program)), os.pardir, "lib")
    try:
        with os.scandir(folder) as entries:
            return sorted(
                f"{entry.name} {entry.stat().st_size}"
                for entry in entries
                if ".so" in entry.name and entry.is_file()
            )
    except OSError:
        return []


def configuration_inputs(tree: Tree, environ: dict[str, str]) -> list[str]:
    """List what the configuration was synced from."""
    config = tree.args.variables.get("KCONFIG_CONFIG", environ.get("KCONFIG_CONFIG", ".config"))
    files = read_configuration(tree).inputs.files
    return [
        os.path.join(tree.objtree, config),
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
    try:
        return os.stat(rule.record).st_mtime_ns
    except OSError:
        return None


def is_remembered(rule: Rule) -> bool:
    """Whether the memory has entries for such a step. A filechk step runs every time."""
    return rule.action is not Action.FILECHK


def command_digest(rule: Rule) -> bytes:
    """Hash of a recorded command."""
    import hashlib

    return hashlib.sha256(rule.command.encode("utf-8", "surrogateescape")).digest()[:16]
