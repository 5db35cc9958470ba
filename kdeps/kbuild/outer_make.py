# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What the Makefile in a module's folder would give the kernel's make.

Nearly every module has a Makefile of its own, and each finds its kernel in its own way. Only make can
evaluate it. So make is called, in two steps, and each ends before make runs any recipe:

* ``make -p -f Makefile -f PROBE``, where PROBE is ``$(error)``: make reads everything, prints its rules and stops.
* the same with a PROBE that lets make expand the recipes of the goal, as text, and stops.

So nothing is executed but ``$(shell)``, which every make in that folder runs. ``-n`` would not do:
it executes lines that contain ``$(MAKE)``, and it makes the files that a Makefile includes.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from functools import partial
from itertools import groupby
from typing import NamedTuple

from kdeps.formats.makeargs import MAKEFILES, MakeArgs, parse_make_args, without_place, working_directory
from kdeps.formats.makeflags import inherited_words
from kdeps.formats.recipe import read_commands
from kdeps.formats.recipe_command import Command
from kdeps.formats.recipe_state import UNKNOWN
from kdeps.kbuild.kernel_makefile import read_kernel_makefile
from kdeps.kbuild.make_probe import Answer, read_answer, write_probe
from kdeps.kbuild.make_rules import Recipe, Rules
from kdeps.system.files import read_text
from kdeps.system.process import end_process

_TIMEOUT_S = 10.0
_MAX_DEPTH = 4
_MAX_OUTPUT = 1 << 24
_MAX_BYTES = 1 << 18
_KERNEL_VARIABLES = (
    "ARCH", "CROSS_COMPILE", "LLVM", "LLVM_IAS", "KBUILD_OUTPUT", "KBUILD_EXTMOD", "KBUILD_EXTMOD_OUTPUT",
    "KBUILD_EXTRA_SYMBOLS", "KBUILD_MODPOST_WARN", "KCFLAGS", "KCPPFLAGS", "KAFLAGS", "KRUSTFLAGS", "RUST_LIB_SRC",
)  # fmt: skip
"""What a Makefile may export, and the kernel's make reads from its environment. Its Makefile assigns CC, LD and
RUSTC itself, and wants O and MO among its arguments."""
_CHOOSE_TOOLS = ("PATH", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN")
"""With another value of these, the kernel's make finds other compilers than a user's make does."""
_RUNNERS = frozenset(("python", "python3", "perl", "cmake", "ninja", "meson", "dkms", ".", "source", "eval"))
"""Programs that run what a file says."""
_SH = re.compile(r"(?:ba|da|k|z|a|mk|pdk|ya)?sh|busybox")
_SCRIPT = re.compile(r".*\.(?:sh|bash|py|pl)|(?!/(?:usr/|usr/local/)?s?bin/).*/.*")
"""The name of a program that is a script, or that is outside the folders of installed programs."""
_STEADY_SHELL = re.compile(
    r"\$\(shell\s+(?:uname -[a-z]+|pwd|nproc|id -u|whoami)\s*\)|\$\(shell\s+echo [^$`;|&()]*\)"
)


_STREAM = re.compile(r"-$|/(?:dev|proc)/")
"""A Makefile that is no file: what comes from a pipe can be read once."""
_BUILDS_WHILE_READ = re.compile(
    r"^[^#\n]*(?:\$[({]shell\s|!=)(?:[^\n]|\\\n)*(?:\bmake|\$[({]MAKE[)}])\s(?:[^\n]|\\\n)*\b(?:M|KBUILD_EXTMOD)=",
    re.MULTILINE,
)


class OuterMake(NamedTuple):
    """What a make would do that reads a Makefile of the user's own first."""

    kernel_makes: tuple[tuple[str, ...], ...] = ()
    """The arguments of each make of a kernel, ``-C`` first, with the assignments that it inherits."""
    unclear: str = ""
    """Why what it does is not known; empty if it is known."""
    makefiles: tuple[str, ...] = ()
    """Every Makefile that was read for it."""
    steady: bool = True
    """The answer changes only with these Makefiles, the arguments and the environment."""
    loads: bool = False
    """A recipe puts a module into the running kernel."""


def ask_make(words: tuple[str, ...], cwd: str, environ: dict[str, str]) -> OuterMake:
    """Ask make what the Makefile where it would stand makes of its goals."""
    return _Asker(time.monotonic() + _TIMEOUT_S, environ).ask(words, cwd, {**environ, "LC_ALL": "C"}, 0)


class _NotClear(Exception):
    """Why a Makefile is not understood."""


class _Asker:
    """One question, and all that follow from it, within one time limit."""

    def __init__(self, deadline: float, environ: dict[str, str]) -> None:
        self.deadline = deadline
        self.given = environ

    def ask(self, words: tuple[str, ...], cwd: str, environ: dict[str, str], depth: int) -> OuterMake:
        """Ask about one make; of those that it calls in turn, too."""
        args = parse_make_args(words)
        folder = working_directory(args, cwd)
        names = args.files or tuple(n for n in MAKEFILES if os.path.exists(os.path.join(folder, n)))[:1]
        if not names:
            return OuterMake()
        if stream := next(filter(_STREAM.match, names), ""):
            return OuterMake(unclear=f"`make -f {stream}` reads what only the shell knows")
        place = tuple(f"-f{name}" for name in names) if not args.files else ()
        run = partial(self._run, words, place, cwd, environ)
        try:
            rules = Rules(run("$(error kdeps)\n", "-p", "-r", "--debug=v"), args.goals, folder)
            makefiles = tuple(os.path.join(folder, name) for name in rules.makefiles)
            texts = [read_text(path, _MAX_BYTES) for path in makefiles]

            def expand(recipes: list[Recipe], settings: tuple[str, ...] = ()) -> Answer:
                return read_answer(
                    run(write_probe(recipes, texts, settings, environ, args.variables, rules.assigned))
                )

            if late := rules.find_late():
                rules.expand(late, expand(late).recipes)
            answer = OuterMake()
            for settings, recipes in groupby(rules.find_recipes(), key=lambda recipe: recipe.settings):
                found = self._read_recipes(
                    expand(list(recipes), settings), args, folder, environ, depth, rules
                )
                answer = _join(answer, found)
            if answer.kernel_makes or _concerns_kernel([], folder):
                if any(map(_BUILDS_WHILE_READ.search, texts)):
                    raise _NotClear("it calls make by `$(shell …)`, while it is read")
                if name := rules.find_remade_makefile():
                    raise _NotClear(f"make makes {name} anew before it reads it")
        except _NotClear as error:
            return OuterMake(
                unclear=str(error), makefiles=tuple(os.path.join(folder, name) for name in names)
            )
        steady = answer.steady and all(map(_is_steady, texts))
        return answer._replace(makefiles=(*makefiles, *answer.makefiles), steady=steady)

    def _run(
        self,
        words: tuple[str, ...],
        place: tuple[str, ...],
        cwd: str,
        environ: dict[str, str],
        probe: str,
        *options: str,
    ) -> str:
        """Let make read its Makefiles and then the probe; return what it printed."""
        left = self.deadline - time.monotonic()
        with tempfile.NamedTemporaryFile(
            "w", suffix=".mk", encoding="utf-8", errors="surrogateescape"
        ) as file:
            file.write(probe)
            file.flush()
            command = ["make", *options, *words, *place, "-f", file.name]
            output, errors, status = self._communicate(command, cwd, environ, max(left, 0.1))
        text = output[:_MAX_OUTPUT].decode("utf-8", "surrogateescape")
        if status != 2 or not re.search(rf"{re.escape(file.name)}:\d+: \*\*\* kdeps\.".encode(), errors):
            last = errors.decode("utf-8", "replace").strip().rpartition("\n")[2] or "no message"
            last = re.sub(rf"{re.escape(file.name)}:\d+: ", "", last)
            raise _NotClear(f"make stops while it reads the Makefile: {last}")
        return text.replace(f" {file.name}", "").replace(f"'{file.name}'", "''")

    def _communicate(
        self, command: list[str], cwd: str, environ: dict[str, str], timeout_s: float
    ) -> tuple[bytes, bytes, int]:
        """Run a command that only prints; return its output, its errors and its status."""
        try:
            with subprocess.Popen(
                command,
                cwd=cwd,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            ) as process:
                try:
                    output, errors = process.communicate(timeout=timeout_s)
                except subprocess.TimeoutExpired:
                    end_process(process, 0.2)
                    raise _NotClear(f"make took more than {_TIMEOUT_S:.0f} s to read the Makefile") from None
                return output, errors, process.returncode
        except OSError as error:
            raise _NotClear(f"make: {error.strerror}") from error

    def _read_recipes(
        self, answer: Answer, args: MakeArgs, folder: str, environ: dict[str, str], depth: int, rules: Rules
    ) -> OuterMake:
        """Find the makes that the recipes call, down to those of a kernel."""
        inherited = inherited_words((), answer.variables)
        inherited += tuple(f"{name}={value}" for name, value in args.variables.items())
        environ = {**environ, **args.variables, **answer.variables, "PWD": folder}
        environ = {name: value for name, value in environ.items() if name not in answer.missing}
        exported = tuple(
            f"{n}={v}"
            for n, v in answer.variables.items()
            if n in _KERNEL_VARIABLES and n not in args.variables
        )
        found = OuterMake()
        scripts: list[str] = []
        if rules.shell and not _SH.fullmatch(os.path.basename(rules.shell)):
            scripts.append(f"its recipes by {rules.shell}, which may call make itself")
            answer = answer._replace(recipes=[])
        for text in answer.recipes:
            for command in read_commands(text, folder, environ, one_shell=rules.one_shell):
                if command.loads_module:
                    found = found._replace(loads=True)
                elif script := _find_script(command):
                    scripts.append(script)
                elif command.is_make:
                    found = _join(found, self._follow(command, (*exported, *inherited), environ, depth))
        if (
            not found.kernel_makes
            and not found.unclear
            and scripts
            and _concerns_kernel(answer.recipes, folder)
        ):
            return found._replace(unclear=f"it runs {scripts[0]}")
        return found

    def _follow(
        self, command: Command, inherited: tuple[str, ...], environ: dict[str, str], depth: int
    ) -> OuterMake:
        """Find out what one make in a recipe is for, whichever of several the shell makes of it."""
        found = self._follow_one(command, inherited, environ, depth)
        if any(UNKNOWN in word for make in found.kernel_makes for word in make):
            return OuterMake(unclear="only the shell knows a value that it gives to another Makefile")
        for other in command.alternatives:
            if self._follow_one(other, inherited, environ, depth).kernel_makes != found.kernel_makes:
                a, b = (f"`{' '.join(('make', *each.words[1:]))}`" for each in (command, other))
                if a == b:
                    a, b = f"{a} in {command.folder}", f"in {other.folder}"
                return OuterMake(unclear=f"only the shell knows whether it runs {a} or {b}")
        return found

    def _follow_one(
        self, command: Command, inherited: tuple[str, ...], environ: dict[str, str], depth: int
    ) -> OuterMake:
        """Find out what one make in a recipe is for."""
        if command.unclear:
            return OuterMake(unclear=command.unclear)
        own = tuple(f"{n}={v}" for n, v in command.assignments if n in _KERNEL_VARIABLES and UNKNOWN not in v)
        words = command.words[1:]
        args = parse_make_args(words)
        folder = working_directory(args, command.folder)
        given = parse_make_args((*inherited, *own, *words)).variables
        makefile = os.path.dirname(os.path.join(folder, args.files[-1])) if args.files else folder
        is_missing = not any(os.path.exists(os.path.join(makefile, name)) for name in MAKEFILES)
        names_module = bool({"M", "KBUILD_EXTMOD", "SUBDIRS"} & args.variables.keys())
        if read_kernel_makefile(makefile) is not None or (names_module and is_missing):
            if names_module and not (given.get("M") or given.get("KBUILD_EXTMOD")):
                return OuterMake(unclear="it names no module in M= (Kbuild ignores SUBDIRS= since 5.3)")
            if tool := self._find_other_tools({**environ, **dict(command.assignments)}):
                return OuterMake(unclear=f"it gives the kernel's make another {tool}, so other compilers")
            place = ("-C", command.folder if args.files else folder)
            # A word of its own wins over one that it inherits.
            inherited = tuple(word for word in inherited if word.partition("=")[0] not in args.variables)
            return OuterMake(((*place, *inherited, *own, *(words if args.files else without_place(words))),))
        if depth == _MAX_DEPTH:
            return OuterMake(unclear=f"its makes call each other more than {_MAX_DEPTH} deep")
        level = environ.get("MAKELEVEL", "")
        inner = {**environ, **dict(command.assignments), "PWD": command.folder}
        inner["MAKELEVEL"] = str(int(level) + 1) if level.isdigit() else "1"
        return self.ask((*inherited, *own, *words), command.folder, inner, depth + 1)

    def _find_other_tools(self, environ: dict[str, str]) -> str:
        """Return the variable that makes make find tools other than the user's; empty if no variable does.

        What stands behind the user's own folders in PATH matters only for tools that the user does not have.
        """
        for name in _CHOOSE_TOOLS:
            own, other = self.given.get(name), environ.get(name)
            if own != other and not (name == "PATH" and own and f"{other}:".startswith(f"{own}:")):
                return name
        return ""


def _join(a: OuterMake, b: OuterMake) -> OuterMake:
    return OuterMake(
        tuple(dict.fromkeys((*a.kernel_makes, *b.kernel_makes))), a.unclear or b.unclear,
        (*a.makefiles, *b.makefiles), a.steady and b.steady, a.loads or b.loads,
    )  # fmt: skip


def _find_script(command: Command) -> str:
    """Say what a command runs if it may be, or may read, a script that calls make, or a Makefile that is not there yet."""
    name = command.words[0]
    if command.is_make:
        args = parse_make_args(command.words[1:])
        place = working_directory(args, command.folder)
        is_there = (
            command.unclear
            or any(os.path.exists(os.path.join(place, name)) for name in args.files or MAKEFILES)
            or any(map(_STREAM.match, args.files))
            or {"M", "KBUILD_EXTMOD", "SUBDIRS"} & args.variables.keys()
        )
        lacks = "where no Makefile is yet" if os.path.isdir(place) else "which is not there"
        return "" if is_there else f"make in {place}, {lacks}"
    is_runner = os.path.basename(name) in _RUNNERS or _SH.fullmatch(os.path.basename(name))
    script = next(filter(_SCRIPT.fullmatch, command.words), "") if name[:1].isdigit() else ""
    if is_runner or _SCRIPT.fullmatch(name):
        script = name if name not in (".", "source") else " ".join(command.words[:2])
    return f"{script}, which may call make itself" if script else ""


def _concerns_kernel(recipes: list[str], folder: str) -> bool:
    """Whether a Makefile whose recipes call no make that is understood has to do with a kernel."""
    text = "".join(recipes) + "".join(
        read_text(os.path.join(folder, name), _MAX_BYTES) for name in ("Kbuild", *MAKEFILES)
    )
    return re.search(r"\bobj-m\b|/lib/modules/|KERNELRELEASE", text) is not None


def _is_steady(text: str) -> bool:
    """Whether the result of a Makefile depends only on its text, the arguments and the environment."""
    text = _STEADY_SHELL.sub("", text)
    return not re.search(r"\$[({](?:shell|wildcard|file|realpath)\b|!=|`|\$\$\(", text)
