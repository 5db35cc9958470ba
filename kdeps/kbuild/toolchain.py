# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Which compiler a build would use now, by its own version line.

Kbuild records the first line of ``rustc --version`` and its like. Starting
rustc costs as much as the rest of a check, so the line is remembered for each
binary: real path, inode, size, mtime and ctime. A compiler that these do not identify
(a script, ``CC="ccache clang"``, ccache under the compiler's name) runs every time.

Without a cache, or with a broken one, kdeps runs the compilers.
"""

from __future__ import annotations

import os
import re

from kdeps.kbuild.tree import Tree
from kdeps.system.cache import Store, fingerprint
from kdeps.system.files import list_names, open_to_read, read_text
from kdeps.system.stat import find_stamp

_TIMEOUT_S = 20
_KEPT = 64
_COMPILER = re.compile(r"(?:[\w.+]+-)*(?:gcc|cc|clang|rustc|bindgen|make|gmake|pahole)(?:-?[\d.]+)?(?:-\w+)?")
"""The name of a program that is what it is called. Any other behind such a name (ccache, snap, mise) is a
switch: it finds the compiler by rules of its own, so it is asked every time. rustup's rules are known."""


def version_text(command: str, environ: dict[str, str], directory: str) -> str:
    """Ask a compiler for the first line of its ``--version``, or remember it; empty where there is none or it fails.

    The command is as make would run it: a name to find in ``PATH``, a path, or several words. The directory is where
    make would stand, because rustup chooses a toolchain by folder.
    """
    words = command.split()
    path = _find_program(words[0], environ, directory) if words else None
    if path is None:
        return ""
    key = _identity(path, environ, directory) if len(words) == 1 else None
    if key is None:
        return _ask(words, environ, directory)[0]
    store = Store("toolchain", environ, keep=_KEPT)
    name = fingerprint(os.fsencode(key))
    saved = store.load(name)
    if saved is not None:
        return saved.decode("utf-8", "surrogateescape")
    text = _ask(words, environ, directory)[0]
    if text:
        store.save(name, text.encode("utf-8", "surrogateescape"))
    return text


def shows_changes(command: str, environ: dict[str, str], directory: str) -> bool:
    """Tell whether a compiler that answers otherwise shows in a file: its answer is one to remember.

    If one fails (a library is missing), no stamp shows when it works again.
    """
    words = command.split()
    path = _find_program(words[0], environ, directory) if words else None
    return path is None or (
        len(words) == 1
        and _identity(path, environ, directory) is not None
        and version_text(command, environ, directory) != ""
    )


def describe_silence(command: str, environ: dict[str, str], directory: str) -> str:
    """Say why a compiler does not name its version: it is not there, or what it says instead."""
    words = command.split()
    if not words or _find_program(words[0], environ, directory) is None:
        return "is not found"
    complaint = _ask(words, environ, directory)[1]
    return f"fails: `{complaint}`" if complaint else "fails and does not say why"


def rustc_folders(tree: Tree) -> tuple[str, ...]:
    """Where make runs rustc, and rustup chooses by folder: for the crates, and from 6.13 on for the module."""
    if tree.module_output is None or tree.version < (6, 13):
        return (tree.objtree,)
    return tree.objtree, tree.module_output


def chooses_by_folder(command: str, environ: dict[str, str], directory: str) -> bool:
    """Whether a compiler may be another one in another folder: it is no compiler but a switch."""
    words = command.split()
    path = _find_program(words[0], environ, directory) if words else None
    return path is not None and (len(words) > 1 or _is_rustup(path) or not _is_itself(path))


def toolchain_files(home: str) -> list[str]:
    """List the files that show when one of rustup's toolchains is another one; a linked one is built again."""
    folder = os.path.join(home, "toolchains")
    return [os.path.join(folder, name, part) for name in list_names(folder) for part in ("bin/rustc", "lib")]


def linked_compilers(path: str, environ: dict[str, str]) -> list[str]:
    """The compilers behind a program of rustup that may be built again under the same version: in linked toolchains."""
    if not _is_rustup(path):
        return []
    return [
        name
        for name in toolchain_files(rustup_home(environ))
        if name.endswith("/bin/rustc") and os.path.islink(name[:-10])
    ]


def rustup_home(environ: dict[str, str]) -> str:
    """The folder of rustup's toolchains and settings; a path that does not exist if it is not known."""
    home = environ.get("RUSTUP_HOME") or os.path.join(environ.get("HOME") or "/nonexistent", ".rustup")
    return home if os.path.isabs(home) else "/nonexistent/.rustup"


def notices_deleted(srctree: str, environ: dict[str, str], directory: str) -> bool:
    """Tell whether Kbuild notices a prerequisite that was deleted.

    Kbuild must keep make from deleting intermediate files. Up to make 4.4 (and
    before Linux 6.3 with any make) it can only do so with ``.SECONDARY``, and then a
    missing file that has a rule, be it the empty one of a record, counts as up to date.

    Source: the last lines of linux ``scripts/Kbuild.include``; make 4.3 and 4.4.1 by experiment.
    """
    text = read_text(f"{srctree}/scripts/Kbuild.include")
    if not text or ".NOTINTERMEDIATE:" not in text:
        return not text
    said = re.match(r"GNU Make (\d+(?:\.\d+)*)", version_text("make", environ, directory))
    # Without an answer take the newer one: it says more, never less.
    return said is None or tuple(int(number) for number in said[1].split(".")) > (4, 4)


def pahole_version(command: str, environ: dict[str, str], directory: str) -> str:
    """The version of pahole as Kconfig writes it: 130 for v1.30, 0 for none.

    Source: linux ``scripts/pahole-version.sh``.
    """
    said = re.match(r"v(\d+)\.(\d+)", version_text(command, environ, directory))
    return said[1] + said[2] if said else "0"


def _find_program(name: str, environ: dict[str, str], directory: str) -> str | None:
    """Find a program as make does, which stands in ``directory``."""
    if "/" in name:
        path = os.path.join(directory, name)
        return path if os.access(path, os.X_OK) else None
    for folder in environ.get("PATH", os.defpath).split(":"):
        path = os.path.join(directory, folder, name)
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            return path
    return None


def _identity(path: str, environ: dict[str, str], directory: str) -> str | None:
    """Return a key that only this version of this binary has. Returns None if there is no such key."""
    real = os.path.realpath(path)
    is_rustup = _is_rustup(path)
    if not is_rustup and not _is_itself(path):
        return None
    parts = [path, real, find_stamp(real)]
    if is_rustup:
        # rustup's rustc is a switch: the toolchain behind it follows from these.
        home = rustup_home(environ)
        parts.append(environ.get("RUSTUP_TOOLCHAIN", ""))
        parts += [
            find_stamp(os.path.join(home, name)) for name in ("settings.toml", "update-hashes", "toolchains")
        ]
        parts += map(find_stamp, toolchain_files(home))
        above = directory
        while True:
            parts += [
                find_stamp(os.path.join(above, name)) for name in ("rust-toolchain", "rust-toolchain.toml")
            ]
            if above == os.path.dirname(above):
                break
            above = os.path.dirname(above)
    return "|".join(parts)


def _is_rustup(path: str) -> bool:
    """Whether a program is rustup under another name, be it a link, a hard link or a copy beside its toolchains."""
    folder = os.path.dirname(path)
    if os.path.basename(os.path.realpath(path)) == "rustup" or os.path.isdir(f"{folder}/../toolchains"):
        return True
    try:
        return os.path.samefile(path, f"{folder}/rustup")
    except OSError:
        return False


def _is_itself(path: str) -> bool:
    """Whether a program is the compiler that its name says, in a file of its own: no script and no switch."""
    real = os.path.realpath(path)
    if not _COMPILER.fullmatch(os.path.basename(real)):
        return False
    try:
        with open_to_read(real) as file:
            return file.read(2) != b"#!"
    except OSError:
        return False


def _ask(words: list[str], environ: dict[str, str], directory: str) -> tuple[str, str]:
    """Ask a compiler for its version; return the first lines of its answer and of its complaint."""
    import subprocess

    try:
        done = subprocess.run(
            [*words, "--version"],
            env={**environ, "LC_ALL": "C"},
            cwd=directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return "", str(error)
    # Kbuild takes the first line and drops `#`, which would end a line of make.
    answer, complaint = (
        text.decode("utf-8", "replace").strip().partition("\n")[0] for text in (done.stdout, done.stderr)
    )
    return answer.replace("#", "").strip(), complaint or answer
