# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A recorded command made runnable again, with every output in a temporary folder.

The command is Kbuild's own, in the folder and with the variables that Kbuild gave it. Only the
names of what it writes change, and rustc may get further flags. So the trees and the records stay as
they are. Several commands in one record (rustc, then llvm-link, then clang) run one after the other.

A command is taken apart only as far as that needs: simple commands, their words, and which word
names an output. The first simple command that is no compiler or linker ends the replay, because what
follows (objtool, objcopy, ``gendwarfksyms``) works on an object that is already complete.

Source: linux ``scripts/Makefile.build`` (``cmd_rustc_o_rs``), ``rust/Makefile``
(``cmd_rustc_library``), ``Makefile`` (``RUSTC_BOOTSTRAP``, ``LC_COLLATE``).
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from typing import NamedTuple

from kdeps.formats.cmdfile import RecordState, unescape
from kdeps.kbuild.rule import Action, Rule
from kdeps.system.errors import KdepsError

_TOKEN = re.compile(r"""(?:[^\s;&|'"\\]|\\.|'[^']*'|"(?:[^"\\]|\\.)*")+|;|&&|\|\||\||&""", re.DOTALL)
_WHOLE = (RecordState.COMPLETE, RecordState.COMMAND_ONLY)
_SEPARATORS = frozenset((";", "&&", "||", "|", "&"))
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_RUSTC = re.compile(r"(?:.*/)?(?:rustc|clippy-driver)(?:-[\d.]+)?$")
_COMPILER = re.compile(
    r"(?:.*/)?(?:[\w.]+-)*(?:clang|gcc|cc|llvm-link|opt|llc|ld|ld\.lld|ld\.bfd)(?:-[\d.]+)?$"
)
_CLANG = re.compile(r"(?:.*/)?clang(?:-[\d.]+)?$")
_LAUNCHERS = frozenset(("ccache", "sccache", "distcc", "icecc"))
_DEPFILE = ("-Wp,-MMD,", "-Wp,-MD,")


class RecordedCommand(NamedTuple):
    """One recorded command, ready for a shell."""

    directory: str
    """Where Kbuild ran it."""
    command: str
    """For the shell, as Kbuild gave it."""


class ReplayError(KdepsError):
    """A recorded command cannot be run again, or it failed."""


class _Redirected(NamedTuple):
    """A command whose outputs are in another folder."""

    command: str
    outputs: dict[str, str]
    """As the command names them → where they are now."""


def recorded_command(rule: Rule) -> RecordedCommand:
    """Return the command of a rule for a shell, and the folder where Kbuild ran it."""
    return RecordedCommand(rule.config_dir, unescape(rule.command))


def why_not_recorded(rule: Rule) -> str:
    """Say why a rule's record has no command that could run again; empty if it has one."""
    if rule.action is not Action.IF_CHANGED:
        return "Kbuild keeps no record of this step"
    if rule.record is None or rule.state not in _WHOLE or not rule.command.strip():
        return "its record is missing or unusable"
    if "\n" in rule.command or "\0" in rule.command:
        return "its command cannot be written down"
    return ""


def is_rustc_command(command: str) -> bool:
    """Whether a recorded command runs rustc, or clippy in its place."""
    first = next(iter(_split_commands(command)), [])
    return _program(first) is not None and _RUSTC.match(first[_program(first) or 0]) is not None


def is_clippy_command(command: str) -> bool:
    """Whether a recorded command runs clippy in the place of rustc (``CLIPPY=1``)."""
    first = next(iter(_split_commands(command)), [])
    at = _program(first)
    return at is not None and "clippy" in first[at].rpartition("/")[2]


def replay(
    recorded: RecordedCommand,
    folder: str,
    environ: dict[str, str],
    *,
    rustc_flags: tuple[str, ...] = (),
    clang_flags: tuple[str, ...] = (),
) -> dict[str, str]:
    """Run a recorded command again in an empty folder, where it writes, and leave the trees as they are.

    Returns for each file that the command names, absolute, where it is now.

    The further flags come after the recorded ones; those for clang count where it compiles what rustc made
    (``RUST_INLINE_HELPERS``). Raises ReplayError if the command runs no compiler, or the compiler failed.
    """
    redirected = redirect(recorded.command, folder, rustc_flags, clang_flags)
    try:
        result = subprocess.run(
            ["/bin/sh", "-c", f"set -e; {redirected.command}"],
            cwd=recorded.directory,
            env=kbuild_environment(environ, folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
    except OSError as error:
        raise ReplayError(
            f"{recorded.directory}: {error.strerror}; the recorded command cannot run"
        ) from error
    if result.returncode != 0:
        messages = result.stdout.decode("utf-8", "replace")
        raise ReplayError(f"the recorded command failed when it ran again: {_first_error(messages)}")
    return {
        os.path.normpath(os.path.join(recorded.directory, name)): path
        for name, path in redirected.outputs.items()
    }


def kbuild_environment(environ: dict[str, str], folder: str) -> dict[str, str]:
    """Return the environment in which Kbuild runs a compiler; temporary files go into the folder."""
    kept = {
        name: value for name, value in environ.items() if name not in ("LC_ALL", "MAKEFLAGS", "GREP_OPTIONS")
    }
    return {**kept, "LC_COLLATE": "C", "LC_NUMERIC": "C", "RUSTC_BOOTSTRAP": "1", "TMPDIR": folder}


def redirect(
    command: str, folder: str, rustc_flags: tuple[str, ...] = (), clang_flags: tuple[str, ...] = ()
) -> _Redirected:
    """Give every output of a command another folder.

    Raises ReplayError: the command does not begin with a compiler.
    """
    outputs: dict[str, str] = {}
    kept: list[str] = []
    for words in _split_commands(command):
        at = _program(words)
        if at is None:
            break
        if _RUSTC.match(words[at]):
            words = [*_redirect_rustc(words, folder, outputs), *map(shlex.quote, rustc_flags)]
        elif _COMPILER.match(words[at]):
            words = _redirect_tool(words, folder, outputs)
            if _CLANG.match(words[at]):
                words = [*words, *map(shlex.quote, clang_flags)]
        elif words[at] == "mv" and all(word in outputs for word in words[at + 1 :] if word[0] != "-"):
            words = [outputs.get(word, word) for word in words]
        else:
            break
        kept.append(" ".join(words))
    if not kept:
        raise ReplayError(f"`{command.strip()[:40]}…` does not begin with a compiler; it cannot be run again")
    return _Redirected("; ".join(kept), outputs)


def _split_commands(command: str) -> list[list[str]]:
    """Split a shell command into simple commands of raw words. A pipe ends the list: no compiler has one."""
    commands: list[list[str]] = [[]]
    for token in _TOKEN.findall(command):
        if token in (";", "&&"):
            commands.append([])
        elif token in _SEPARATORS:
            break
        else:
            commands[-1].append(token)
    return [words for words in commands if words and words != [":"]]


def _program(words: list[str]) -> int | None:
    """Find the word that names the program; None if there are only assignments."""
    for at, word in enumerate(words):
        if not _ASSIGNMENT.match(word) and word.rpartition("/")[2] not in _LAUNCHERS:
            return at
    return None


def _redirect_rustc(words: list[str], folder: str, outputs: dict[str, str]) -> list[str]:
    found: list[str] = []
    previous = ""
    for word in words:
        if previous == "--out-dir":
            word = shlex.quote(folder)
        elif word.startswith("--out-dir="):
            word = f"--out-dir={shlex.quote(folder)}"
        elif previous == "-o":
            word = _moved(word, folder, outputs)
        elif word.startswith("--emit="):
            kinds = [part.partition("=") for part in word[len("--emit=") :].split(",")]
            word = "--emit=" + ",".join(
                f"{kind}={_moved(path, folder, outputs)}" if equals else kind for kind, equals, path in kinds
            )
        previous = word
        found.append(word)
    return found


def _redirect_tool(words: list[str], folder: str, outputs: dict[str, str]) -> list[str]:
    found: list[str] = []
    previous = ""
    for word in words:
        new = outputs.get(word, word)
        if previous == "-o":
            new = _moved(word, folder, outputs)
        elif word.startswith(_DEPFILE):
            option, _, path = word.rpartition(",")
            new = f"{option},{_moved(path, folder, outputs)}"
        previous = word
        found.append(new)
    return found


def _moved(path: str, folder: str, outputs: dict[str, str]) -> str:
    """Return where an output goes. Two of one name in different folders stay two."""
    if path not in outputs:
        name = path.rpartition("/")[2]
        taken = set(outputs.values())
        place, number = f"{folder}/{name}", 0
        while place in taken:
            number += 1
            place = f"{folder}/{number}-{name}"
        outputs[path] = place
    return outputs[path]


def _first_error(messages: str) -> str:
    lines = [line.strip() for line in messages.splitlines() if line.strip()]
    return next(
        (line for line in lines if line.startswith("error")), lines[0] if lines else "without a message"
    )
