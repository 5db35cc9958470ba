# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Ask Kbuild itself what is stale, and let it change nothing.

``make -n`` cannot be asked: the Rust rules are ``+``-prefixed and really run
rustc. But make reads the files that ``MAKEFILES`` names before any other, in
every sub-make, and a variable set with ``override`` there keeps its value. So
the macros that decide (``if_changed`` and its three sisters) are replaced by one
that prints what they would have decided on and does nothing. What comes back is
Kbuild's own answer, blind spots included, with the one thing no record can
tell: a command that differs from the recorded one.

What else is replaced, and why:

* ``filechk``, ``cmd``: they would write.
* ``QUIET_LINK``, ``QUIET_AR``, ``QUIET_GEN``, ``echo-cmd``: what the plain rules under tools/ put in
  front of their commands. ``exit 0;`` keeps the shell from reaching them.
* ``may-sync-config`` empty (and ``need-compiler``, which would follow it): make would otherwise
  really run syncconfig first when ``.config`` is newer or a variable in auto.conf.cmd differs.
  Not for M=, where Kbuild empties it itself.
* ``TMPOUT``: compiler probes make a folder in the object tree; they get one elsewhere.
* ``ln`` is a no-op in front of ``PATH``: the O= build renews its ``source`` link every time. So is
  ``mkdir``, except below that folder of the probes.

A recipe of a module that uses none of these macros would run all the same: so make may not
write into the trees (``system.landlock``).

Assignments on make's command line do nearly the same and were tried first. They
lost: make exports them to every recipe and ``$(shell)`` and expands them there, and
their letters become part of MAKEFLAGS, in which ``scripts/Makefile.modpost``
looks for an ``i``, so that every Module.symvers seemed to have another command.

Source: linux ``scripts/Kbuild.include``, ``tools/build/Build.include``, ``Makefile``; compared
with real rebuilds on 6.1, 6.12, 7.2 and 7.3 by the conformance suite.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from typing import NamedTuple

from kdeps.formats.makeflags import kernel_environment
from kdeps.kbuild.rule import Owner
from kdeps.system.errors import KbuildError
from kdeps.system.files import write_file
from kdeps.system.landlock import kept_from_writing
from kdeps.system.scratch import scratch_folder

TIMEOUT_S = 600
_MARK = "@kdeps@"
_SPACE = "_-_SPACE_-_"
"""``space_escape`` of Kbuild.include: how it makes one word of a command."""
_DECIDES = (
    # Under tools/ any-prereq of a fresh target is a single blank: hence strip.
    "$(if $(strip $(newer-prereqs)$(any-prereq)$(cmd-check)$(arg-check)),"
    f"$(info {_MARK}\t$(CURDIR)\t$@\t$(strip $(newer-prereqs) $(any-prereq))\t$(strip $(cmd-check) $(arg-check))))@:"
)
_MARK_PLAIN = "@kdeps-plain@"
"""Stands for ``_MARK`` where the recipe is a plain one, which Kbuild does not record."""
_PRINTS_PLAIN = f"$(if $(filter FORCE,$^),,$(info {_MARK_PLAIN}\t$(CURDIR)\t$@\t$?\t))"
_QUIET_STEPS = ("LINK", "AR", "GEN", "CC", "CXX", "CLANG", "FLEX", "BISON", "GENSKEL", "INSTALL")
"""Recipes under tools/ without Kbuild's macros begin with ``$(QUIET_…)`` (tools/scripts/Makefile.include)."""
_REPLACED = {
    **dict.fromkeys(("if_changed", "if_changed_dep", "if_changed_rule", "if_changed_except"), _DECIDES),
    "filechk": "@:",
    # Of the steps that leave no record, wrappers of asm-generic headers are made by time.
    "cmd": f"$(if $(filter wrap,$(1)),{_PRINTS_PLAIN})@:",
    **dict.fromkeys((f"QUIET_{step}" for step in _QUIET_STEPS), f"{_PRINTS_PLAIN}@exit 0; "),
    "echo-cmd": f"{_PRINTS_PLAIN}exit 0; ",
}
_CHANGES_THE_ANSWER = str.maketrans("", "", "Bnqt")
"""An outer make's ``-B`` would call everything stale; under ``-n`` the skipped rules count as run."""
_NO_SYNC = {"may-sync-config": "", "need-compiler": "1"}


class Answer(NamedTuple):
    """One target that Kbuild would make again."""

    target: str
    """Absolute."""
    newer: tuple[str, ...]
    """Absolute paths of what ``$?`` holds: newer, or missing."""
    command: str
    """The command it would run now, where that differs from the recorded one; else empty."""
    plain: bool = False
    """Kbuild does not record its recipe; the target may be the mere name of a step."""


class KbuildAnswer(NamedTuple):
    """Kbuild's answer to one question."""

    answers: tuple[Answer, ...]
    errors: tuple[str, ...]
    """What make stopped at, so that the answer may not be whole."""


def run_question(
    scope: Owner, arguments: list[str], directory: str, environ: dict[str, str], trees: tuple[str, ...]
) -> KbuildAnswer:
    """Run make with its deciding macros replaced, about the kernel or a module; a job server is not joined.

    It may not write into the ``trees``.

    Raises KbuildError if make could not be started, or did not come back in time.
    """
    with scratch_folder("kdeps-") as folder:
        os.symlink(shutil.which("true", path=os.defpath) or "/bin/true", os.path.join(folder, "ln"))
        _write_mkdir(folder)
        replaced = {**_REPLACED, "TMPOUT": f"{folder}/.tmp_$$$$"}
        if scope is Owner.KERNEL:
            replaced.update(_NO_SYNC)
        text = "".join(f"override {name} = {value}\n" for name, value in replaced.items())
        write_file(os.path.join(folder, "ask.mk"), os.fsencode(text))
        command = ["make", "-k", "-s", *arguments]
        with kept_from_writing(trees, folder) as restrict:
            return _parse_answer(*_run(command, directory, _environment(environ, folder, scope), restrict))


def _write_mkdir(folder: str) -> None:
    """Put a mkdir in front of PATH that makes folders below ``folder`` and nowhere else.

    Makefiles make the folders they are about to fill; compiler probes need theirs, in ``TMPOUT``.
    """
    path = os.path.join(folder, "mkdir")
    real = shutil.which("mkdir", path=os.defpath) or "/bin/mkdir"
    script = f'#!/bin/sh\nfor last; do :; done\ncase $last in {folder}/*) exec {real} "$@" ;; esac\n'
    write_file(path, os.fsencode(script))
    os.chmod(path, 0o755)


def _run(
    command: list[str], directory: str, environ: dict[str, str], restrict: Callable[[], None] | None
) -> tuple[str, str]:
    """Run make in a session of its own, so that nothing it started outlives the question."""
    try:
        process = subprocess.Popen(
            command, cwd=directory, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, start_new_session=True, preexec_fn=restrict,
        )  # fmt: skip
    except OSError as error:
        raise KbuildError(f"make: {error.strerror}; --exact needs it in PATH") from error
    try:
        output, messages = process.communicate(timeout=TIMEOUT_S)
    except BaseException as error:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise KbuildError(f"{directory}: make did not answer within {TIMEOUT_S} s") from error
        raise
    return output.decode("utf-8", "surrogateescape"), messages.decode("utf-8", "surrogateescape")


def _environment(environ: dict[str, str], folder: str, scope: Owner) -> dict[str, str]:
    changed = dict(environ) if scope is Owner.MODULE else kernel_environment(environ)
    changed["PATH"] = f"{folder}:{environ.get('PATH', os.defpath)}"
    changed["TMPDIR"] = folder
    letters, *flags = changed.get("MAKEFLAGS", "").split(" ")
    if letters.isalpha():
        letters = letters.translate(_CHANGES_THE_ANSWER)
    # With -j the lines of several makes would be torn apart; and a job server of
    # an outer make is not ours to read from.
    changed["MAKEFLAGS"] = " ".join(
        f for f in (letters, *flags) if not f.startswith(("-j", "--jobserver", "--sync", "-O"))
    )
    changed["MAKEFILES"] = f"{environ.get('MAKEFILES', '')} {folder}/ask.mk".strip()
    changed.pop("MAKELEVEL", None)
    return changed


def _parse_answer(output: str, messages: str) -> KbuildAnswer:
    answers: list[Answer] = []
    for line in output.split("\n"):
        # make may have written a message of its own before the mark.
        said = re.search(f"({_MARK}|{_MARK_PLAIN})\t(.*)", line)
        if said is None:
            continue
        fields = said[2].split("\t")
        if len(fields) != 4:
            continue
        directory, target, newer, command = fields
        answers.append(
            Answer(
                absolute(target, directory),
                tuple(dict.fromkeys(absolute(name, directory) for name in newer.split() if name != "FORCE")),
                " ".join(command.replace(_SPACE, " ").split()),
                plain=said[1] == _MARK_PLAIN,
            )
        )
    errors = [line.partition("***")[2].strip() for line in messages.split("\n") if "***" in line]
    # Empty lines frame a banner; what begins with a bracket an outer make only passes on.
    real = [line for line in errors if line and not line.startswith("[")]
    return KbuildAnswer(tuple(answers), tuple(dict.fromkeys(real)))


def absolute(name: str, directory: str) -> str:
    """Return the path that make, standing in a folder, means by a name."""
    return os.path.normpath(os.path.join(directory, name))
