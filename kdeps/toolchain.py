# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Which compiler a build would use now, as it names itself.

Kbuild records the first line of ``rustc --version`` and its like. Starting
rustc to ask costs as much as the rest of a check, so the answer is remembered
per binary: real path, inode, size, mtime and ctime. What cannot be told apart
that way (a script, ``CC="ccache clang"``, ccache under the compiler's name) is asked every time.

The cache is one small file under the user's cache directory; without it, or
with a broken one, the compilers are asked.
"""

from __future__ import annotations

import os
import re

from kdeps.cache import cache_directory, store

_TIMEOUT_S = 20
_MASQUERADES = frozenset(("ccache", "sccache", "distcc", "icecc"))
"""Programs that stand in for a compiler under its name, and find it in ``PATH`` themselves."""


def version_text(command: str, environ: dict[str, str], directory: str) -> str:
    """Ask a compiler for the first line of its ``--version``, or remember it.

    Args:
        command: As make would run it: a name to find in ``PATH``, a path, or several words.
        environ: The environment make would get.
        directory: Where make would stand (rustup chooses a toolchain by folder).

    Returns:
        The line; empty where there is no such compiler or it fails, as Kbuild has it then.
    """
    words = command.split()
    path = _find_program(words[0], environ) if words else None
    if path is None:
        return ""
    key = _identity(path, environ, directory) if len(words) == 1 else None
    known = _load_cache(environ) if key else {}
    if key in known:
        return known[key]
    text = _ask(words, environ, directory)
    if key and text:
        known[key] = text
        _store_cache(known, environ)
    return text


def shows_changes(command: str, environ: dict[str, str], directory: str) -> bool:
    """Tell whether a compiler that answers otherwise shows in a file: its answer is one to remember.

    Args:
        command: As for ``version_text``; so are the others.
        environ: The environment make would get.
        directory: Where make would stand.
    """
    words = command.split()
    path = _find_program(words[0], environ) if words else None
    return path is None or (len(words) == 1 and _identity(path, environ, directory) is not None)


def notices_deleted(srctree: str, environ: dict[str, str], directory: str) -> bool:
    """Tell whether Kbuild notices a prerequisite that was deleted.

    Kbuild must keep make from deleting intermediate files. Up to make 4.4 (and
    before Linux 6.3 with any make) it can only do so with ``.SECONDARY``, and then a
    missing file that has a rule, be it the empty one of a record, counts as up to date.

    Source: the last lines of linux ``scripts/Kbuild.include``; make 4.3 and 4.4.1 by experiment.
    """
    try:
        with open(f"{srctree}/scripts/Kbuild.include", encoding="utf-8", errors="replace") as file:
            if ".NOTINTERMEDIATE:" not in file.read():
                return False
    except OSError:
        return True
    said = re.match(r"GNU Make (\d+(?:\.\d+)*)", version_text("make", environ, directory))
    # Without an answer take the newer one: it says more, never less.
    return said is None or tuple(int(number) for number in said[1].split(".")) > (4, 4)


def _find_program(name: str, environ: dict[str, str]) -> str | None:
    if "/" in name:
        return name if os.access(name, os.X_OK) else None
    for folder in environ.get("PATH", os.defpath).split(":"):
        path = os.path.join(folder or ".", name)
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            return path
    return None


def _identity(path: str, environ: dict[str, str], directory: str) -> str | None:
    """Name one binary so that another one, or another version of it, has another name; ``None``: cannot."""
    real = os.path.realpath(path)
    if os.path.basename(real) in _MASQUERADES:
        return None
    try:
        with open(real, "rb") as file:
            if file.read(2) == b"#!":
                return None
            found = os.fstat(file.fileno())
    except OSError:
        return None
    parts = [path, real, *map(str, (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns))]
    if os.path.basename(real) == "rustup" or os.path.isdir(
        os.path.join(os.path.dirname(path), "../toolchains")
    ):
        # rustup's rustc is a switch: the toolchain behind it follows from these.
        home = environ.get("RUSTUP_HOME") or os.path.join(environ.get("HOME", ""), ".rustup")
        parts.append(environ.get("RUSTUP_TOOLCHAIN", ""))
        parts += [
            _stamp(os.path.join(home, name)) for name in ("settings.toml", "update-hashes", "toolchains")
        ]
        above = directory
        while True:
            parts += [_stamp(os.path.join(above, name)) for name in ("rust-toolchain", "rust-toolchain.toml")]
            if above == os.path.dirname(above):
                break
            above = os.path.dirname(above)
    return "|".join(parts)


def _stamp(path: str) -> str:
    try:
        found = os.stat(path)
    except OSError:
        return "-"
    return f"{found.st_ino}:{found.st_mtime_ns}"


def _ask(words: list[str], environ: dict[str, str], directory: str) -> str:
    import subprocess

    try:
        done = subprocess.run(
            [*words, "--version"],
            env={**environ, "LC_ALL": "C"},
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    # Kbuild takes the first line and drops `#`, which would end a line of make.
    return done.stdout.decode("utf-8", "replace").partition("\n")[0].replace("#", "").strip()


def _load_cache(environ: dict[str, str]) -> dict[str, str]:
    try:
        with open(os.path.join(cache_directory(environ), "toolchain.tsv"), encoding="utf-8") as file:
            pairs = [line.rstrip("\n").split("\t") for line in file]
    except (OSError, UnicodeDecodeError):
        return {}
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def _store_cache(known: dict[str, str], environ: dict[str, str]) -> None:
    recent = list(known.items())[-64:]
    lines = "".join(f"{key}\t{text}\n" for key, text in recent if "\t" not in key + text)
    try:
        data = lines.encode()
    except UnicodeEncodeError:
        return
    store(os.path.join(cache_directory(environ), "toolchain.tsv"), data)
