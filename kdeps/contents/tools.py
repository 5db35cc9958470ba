# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The compilers, linkers and other programs that build: which they are, and the flags they are given by hand.

The same version may come from another program: a compiler that is built again names itself as before.
So the files count, too; of a script also the programs that it starts, of rustup those of the toolchains
that it links to.
"""

from __future__ import annotations

import os
import re
import stat

from kdeps.kbuild.configuration import find_flags, make_variables
from kdeps.kbuild.toolchain import linked_compilers, version_text
from kdeps.kbuild.tree import Tree
from kdeps.system.files import list_names, open_to_read, read_bytes, read_text
from kdeps.system.stat import status_of

_NAMES = (
    "CC", "LD", "AR", "NM", "OBJCOPY", "STRIP", "READELF", "PYTHON3", "HOSTCC", "HOSTRUSTC", "PAHOLE",
    "RUSTC", "BINDGEN", "gcc", "cc", "clang", "ld.lld", "pahole", "awk", "sh",
)  # fmt: skip
_COMPILERS = ("RUSTC", "BINDGEN", "CC")
_READ_BY_COMPILERS = (
    "BINDGEN_EXTRA_CLANG_ARGS", "CCC_OVERRIDE_OPTIONS", "COMPILER_PATH", "CPATH", "C_INCLUDE_PATH", "GCC_EXEC_PREFIX",
    "LIBCLANG_PATH",
)  # fmt: skip
"""Variables of the environment that gcc, clang and bindgen read."""
_SCRIPT_BYTES = 1 << 16
_WORD = re.compile(r"[\w./+-]*[\w+-]")
_EXEC = re.compile(r"\bexec\s+([\w.+-]+)")
_MOST_SCRIPTS = 16
"""Scripts that start scripts: so many are read for one tool."""


class Tools:
    """The programs that build one tree."""

    def __init__(self, tree: Tree, environ: dict[str, str]) -> None:
        self._tree, self._environ = tree, environ
        self._identity: bytes | None = None
        self._newest_ns = 0
        self._looked_at: set[str] = set()
        self.listed: set[str] = set()
        """Folders whose names were looked at for what scripts start."""

    def identity(self) -> bytes:
        """How they name themselves, which files they are, and the flags; a tool that was replaced in place has another ctime."""
        if self._identity is None:
            parts = self._versions()
            for name, path in self.files().items():
                found = status_of(path)
                if found is not None:
                    self._newest_ns = max(self._newest_ns, found.st_ctime_ns)
                    parts.append(
                        f"{name} {path} {found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"
                    )
            self._identity = "\n".join((*parts, *self._flags())).encode("utf-8", "surrogateescape")
        return self._identity

    def newest_ns(self) -> int:
        """The latest ctime of their files: when one of them was last replaced."""
        self.identity()
        return self._newest_ns

    def portable(self) -> str:
        """The same as another machine would know it: versions, hashes of the programs, and the flags."""
        import hashlib

        parts = self._versions()
        for name, path in self.files().items():
            parts.append(f"{name} {_hash_file(path)}")
            if name == "RUSTC":
                parts += _list_libraries(path)
        parts += self._flags()
        return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogateescape")).hexdigest()

    def files(self) -> dict[str, str]:
        """Map each tool to the file that it is, links followed.

        ``CC 1`` is the second word of ``ccache clang``, ``RUSTC > rustc.real`` what a script of that name starts.
        """
        values = make_variables(self._tree, self._environ)
        found: dict[str, str] = {}
        for name in _NAMES:
            for at, word in enumerate(self._given(name, values).split()):
                path = next(filter(os.path.isfile, self._places(word)), None)
                if path is None:
                    continue
                found[f"{name} {at}" if at else name] = os.path.realpath(path)
                for program in (*self._started_by(path), *linked_compilers(path, self._environ)):
                    found[f"{name} > {os.path.basename(program)}"] = os.path.realpath(program)
        return found

    def places(self) -> list[str]:
        """List every path at which a tool was or would be looked for."""
        values = make_variables(self._tree, self._environ)
        places = [
            place
            for name in _NAMES
            for word in self._given(name, values).split()
            for place in self._places(word)
        ]
        return [*places, *self._looked_at]

    def _versions(self) -> list[str]:
        values = make_variables(self._tree, self._environ)
        return [version_text(values[name], self._environ, self._tree.make_directory) for name in _COMPILERS]

    def _flags(self) -> list[str]:
        given = {name: self._given(name, {name: ""}) for name in _READ_BY_COMPILERS}
        flags = {**find_flags(self._tree, self._environ), **given}
        return [f"{name}={value}" for name, value in flags.items() if value]

    def _given(self, name: str, values: dict[str, str]) -> str:
        return self._tree.args.variables.get(name) or self._environ.get(name) or values.get(name, name)

    def _places(self, name: str) -> list[str]:
        folders = [""] if "/" in name else self._environ.get("PATH", os.defpath).split(":")
        return [os.path.join(self._tree.make_directory, folder, name) for folder in folders]

    def _started_by(self, path: str) -> list[str]:
        """The programs that a script may start: those that it names by path, those beside it, and what it becomes by ``exec``."""
        own = os.path.realpath(path)
        scripts = [own]
        found: dict[str, None] = {}
        for script in scripts:
            if read_bytes(script, 2) != b"#!":
                continue
            text = read_text(script, _SCRIPT_BYTES)
            words = set(_WORD.findall(text))
            folder = os.path.dirname(script)
            self.listed.add(folder)
            beside = set(map(os.path.basename, words)).intersection(list_names(folder))
            named = [word for word in words if word[0] == "/"]
            named += [f"{folder}/{name}" for name in beside]
            named += [place for name in _EXEC.findall(text) for place in self._places(name)]
            for name in map(os.path.normpath, sorted(named)):
                is_there = os.path.lexists(name)
                real = os.path.realpath(name) if is_there else name
                # What is there and no file stays out: each program that runs writes to /dev/null, and a watch would see it.
                if not is_there or _is_file(real):
                    self._looked_at.add(name)
                if _is_file(real) and os.access(real, os.X_OK):
                    found[real] = None
            found.pop(own, None)
            scripts += [program for program in found if program not in scripts][
                : _MOST_SCRIPTS - len(scripts)
            ]
        return list(found)


def _is_file(real: str) -> bool:
    """Whether a path with no link in it is a file."""
    try:
        return stat.S_ISREG(os.lstat(real).st_mode)
    except OSError:
        return False


def _hash_file(path: str) -> str:
    from kdeps.system.stream import hash_all

    with open_to_read(path) as file:
        return hash_all(file.read).hex()


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
