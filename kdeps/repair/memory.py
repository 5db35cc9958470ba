# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What Kbuild itself has confirmed: that no command of the kernel's own would differ.

The record tells everything about staleness but one thing: whether Kbuild would
run the *same command* today. Kbuild tells in a second or two; a fresh build
shall not wait for that. So what a command is made from is remembered together
with the commands that were recorded when Kbuild confirmed them. While neither
has changed, the record alone is exact.

A command of ``rust/`` or ``scripts/`` is made from

* make's arguments and ``MAKEFLAGS``, without those that only say how fast or how
  loud to work (``-j``, ``-s``; a job server);
* the environment: all of it, for Makefiles, probes and ``$(shell …)`` may read any
  name, but for names that shells, terminals and desktops set and nobody else reads;
* ``auto.conf``, which every Makefile includes, with ``auto.conf.cmd``;
* the Makefiles and the scripts that ``modules_prepare`` reads: those at the top of the
  source tree, everything like one under ``scripts/``, ``rust/``, ``arch/<srcarch>/``,
  ``tools/build``, ``tools/scripts``, ``tools/objtool`` and ``tools/lib/subcmd``,
  and ``rust/bindgen_parameters``, which is read into a command. More files than it
  really reads, so that a change somewhere else among them costs one question;
* the tools, as ``PATH`` finds them: options are probed for by running them;
* where the trees lie, and where make stands.

A module's own Makefile is not among them: its commands are the module's, and
``make M=…`` compares those by itself.

When in doubt, ask: a file that changed a moment ago, one that cannot be read, a
cache that is broken all mean that nothing is remembered.
"""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from kdeps import __version__
from kdeps.findings import make_variables
from kdeps.makeenv import split_flags
from kdeps.repair.plan import kernel_words
from kdeps.rules import Action, Scope
from kdeps.survey import Survey
from kdeps.toolchain import cache_directory
from kdeps.tree import Tree

KEPT = 32
"""How many confirmations are kept; the oldest go first."""
_RACY_NS = 50_000_000
"""A file that changed this recently could change again within the same tick of its stamp."""
_NOISE = frozenset(
    (
        "_", "OLDPWD", "SHLVL", "TERM", "COLORTERM", "TERMCAP", "COLUMNS", "LINES", "WINDOWID", "DISPLAY",
        "WAYLAND_DISPLAY", "STY", "WINDOW", "LS_COLORS", "LS_OPTIONS", "PAGER", "LESS", "LESSOPEN", "LESSCLOSE",
        "MANPAGER", "EDITOR", "VISUAL", "PS1", "PS2", "PS4", "PROMPT_COMMAND", "MAIL", "INVOCATION_ID",
        "JOURNAL_STREAM", "GPG_TTY", "GPG_AGENT_INFO", "SESSION_MANAGER", "DBUS_SESSION_BUS_ADDRESS",
        "DESKTOP_SESSION", "XAUTHORITY", "NO_COLOR", "CLICOLOR", "MEMORY_PRESSURE_WATCH", "MEMORY_PRESSURE_WRITE",
        "MFLAGS", "MAKEFLAGS", "GNUMAKEFLAGS", "MAKELEVEL", "MAKE_TERMOUT", "MAKE_TERMERR", "MAKEOVERRIDES",
    )
)  # fmt: skip
"""Names whose value no command is made from. ``MAKEFLAGS`` is looked at word by word instead."""
_NOISE_PREFIXES = ("SSH_", "TMUX", "XDG_", "KDEPS_", "VTE_", "KITTY_", "ALACRITTY_", "WEZTERM_", "ITERM_", "GNOME_", "KDE_",
                   "QT_", "GTK_", "HIST", "LC_TERMINAL", "TERM_PROGRAM", "VSCODE_")  # fmt: skip
_HOW = (
    "-j",
    "--jobs",
    "--jobserver",
    "-l",
    "--load-average",
    "-O",
    "--output-sync",
    "--sync-mutex",
    "--no-print",
)
"""Options that say how to work, not what to make."""
_QUIET = frozenset(
    ("-s", "--silent", "--quiet", "-k", "--keep-going", "-w", "--print-directory", "--", "V=0", "V=1", "V=2")
)
_FOLDERS = (
    "scripts",
    "rust",
    "arch/{srcarch}",
    "tools/build",
    "tools/scripts",
    "tools/objtool",
    "tools/lib/subcmd",
)
_MAKEFILES = ("Makefile", "Kbuild", "GNUmakefile", "Build", "Platform")
_SUFFIXES = (".include", ".mk", ".sh", "bindgen_parameters")
_PROBED = (
    "READELF",
    "STRIP",
    "HOSTCC",
    "HOSTRUSTC",
    "PAHOLE",
    "make",
    "sh",
    "gcc",
    "clang",
    "ld.lld",
    "pahole",
    "cc",
)


class Confirmation(NamedTuple):
    """What commands are made from, and the commands that were recorded."""

    key: str
    """Everything that is compared as text: arguments, environment, tools, places."""
    commands: str
    """The recorded commands of the kernel's own rules."""
    files: dict[str, str]
    """Makefiles, scripts and configuration → their stamps; empty where there is none."""


def take_inputs(survey: Survey, environ: dict[str, str]) -> Confirmation:
    """Note what the commands of a build are made from at this moment.

    Args:
        survey: Of the build.
        environ: The environment for a make of the kernel (``request.kernel_environment``).
    """
    files = {path: _stamp(path) for path in _find_makefiles(survey.tree)}
    return Confirmation(_key(survey.tree, environ), _commands(survey), files)


def is_confirmed(survey: Survey, environ: dict[str, str]) -> bool:
    """Tell whether Kbuild has confirmed these very commands, made from these very inputs."""
    key = _key(survey.tree, environ)
    known = _load(_path(survey.tree, key, environ))
    if known is None or known.key != key or known.commands != _commands(survey):
        return False
    return all(_stamp(path) == stamp for path, stamp in known.files.items())


def confirm(survey: Survey, before: Confirmation, environ: dict[str, str]) -> None:
    """Remember that Kbuild would run the commands that are recorded.

    Args:
        survey: Taken after Kbuild said so.
        before: The inputs, taken before Kbuild was asked. Only the configuration
            may have changed since, for a refresh syncs it.
        environ: As for ``take_inputs``.
    """
    after = take_inputs(survey, environ)
    settled = time.time_ns() - _RACY_NS
    config = f"{survey.tree.objtree}/include/config/"
    for path, stamp in after.files.items():
        if path.startswith(config):
            continue
        if before.files.get(path) != stamp or (stamp and int(stamp.rpartition(":")[2]) > settled):
            return
    if before.key == after.key:
        _store(_path(survey.tree, after.key, environ), after)


def _key(tree: Tree, environ: dict[str, str]) -> str:
    words = [word for word in kernel_words(tree) if not word.startswith(_HOW) and word not in _QUIET]
    flags = [
        word
        for name in ("GNUMAKEFLAGS", "MAKEFLAGS")
        for word in split_flags(environ.get(name, ""))
        if not word.startswith(_HOW) and word not in _QUIET
    ]
    kept = sorted(
        f"{name}={value}"
        for name, value in environ.items()
        if name not in _NOISE and not name.startswith(_NOISE_PREFIXES)
    )
    parts = [
        "kdeps",
        __version__,
        tree.srctree,
        tree.objtree,
        tree.make_directory,
        *words,
        "",
        *flags,
        "",
        *kept,
    ]
    return "\x1e".join([*parts, *_tools(tree, environ)]).replace("\0", "")


def _tools(tree: Tree, environ: dict[str, str]) -> Iterator[str]:
    """Every program that an option may be probed with, and which file it is now."""
    values = make_variables(tree, environ)
    names: dict[str, None] = {}
    for name in ("RUSTC", "BINDGEN", "CC", "LD", "AR", "NM", "OBJCOPY", "PYTHON3", *_PROBED):
        value = tree.args.variables.get(name) or environ.get(name) or values.get(name, name)
        names.update(dict.fromkeys(value.split()))
    folders = environ.get("PATH", os.defpath).split(":")
    for name in names:
        for folder in folders if "/" not in name else ("",):
            stamp = _stamp(os.path.join(folder, name))
            if stamp:
                yield f"{os.path.join(folder, name)} {stamp}"
                break


def _commands(survey: Survey) -> str:
    return "\n".join(
        f"{rule.target} {rule.command}"
        for rule in survey.graph.rules
        if rule.scope is Scope.KERNEL and rule.action is Action.IF_CHANGED
    ).replace("\0", "")


def _find_makefiles(tree: Tree) -> list[str]:
    """List the files that commands are made from; those that would count if they appeared, too."""
    srctree = tree.srctree
    found = [f"{tree.objtree}/include/config/{name}" for name in ("auto.conf", "auto.conf.cmd")]
    found += [f"{srctree}/{name}" for name in ("Makefile", "GNUmakefile", "Kbuild")]
    waiting = [f"{srctree}/{folder.format(srcarch=tree.srcarch)}" for folder in _FOLDERS]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        if entry.name[0] != ".":
                            waiting.append(entry.path)
                    elif entry.name.startswith(_MAKEFILES) or entry.name.endswith(_SUFFIXES):
                        found.append(entry.path)
                        if entry.name == "Makefile":
                            found.append(f"{folder}/Kbuild")  # would be read instead
        except OSError:
            continue
    return sorted(set(found))


def _stamp(path: str) -> str:
    """What tells a changed file from an unchanged one, whatever its mtime was set to; empty: none."""
    try:
        found = os.stat(path)
    except OSError:
        return ""
    return f"{found.st_ino}:{found.st_size}:{found.st_mtime_ns}:{found.st_ctime_ns}"


def _path(tree: Tree, key: str, environ: dict[str, str]) -> str:
    name = f"{os.path.basename(tree.objtree)}-{zlib.crc32(os.fsencode(tree.objtree)):08x}"
    folder = os.path.join(cache_directory(environ), "confirmed")
    return os.path.join(folder, f"{name}-{zlib.crc32(key.encode('utf-8', 'surrogateescape')):08x}")


def _load(path: str) -> Confirmation | None:
    try:
        with open(path, "rb") as file:
            text = file.read().decode("utf-8", "surrogateescape")
    except OSError:
        return None
    parts = text.split("\0")
    if len(parts) != 4 or parts[3] != "end\n":
        return None
    pairs = (line.partition("\t") for line in parts[2].split("\n"))
    return Confirmation(parts[0], parts[1], {path: stamp for stamp, tab, path in pairs if tab})


def _store(path: str, confirmation: Confirmation) -> None:
    """Write in one rename; not being able to costs a question, never correctness."""
    folder = os.path.dirname(path)
    temporary = f"{path}.{os.getpid()}.new"
    if any("\n" in name for name in confirmation.files):
        return
    files = "".join(f"{stamp}\t{name}\n" for name, stamp in confirmation.files.items())
    text = f"{confirmation.key}\0{confirmation.commands}\0{files}\0end\n"
    try:
        os.makedirs(folder, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(text.encode("utf-8", "surrogateescape"))
        os.replace(temporary, path)
        _drop_old(folder)
    except OSError:
        return


def _drop_old(folder: str) -> None:
    with os.scandir(folder) as entries:
        paths = sorted((entry.stat().st_mtime_ns, entry.path) for entry in entries)
    for _, path in paths[:-KEPT]:
        os.unlink(path)
