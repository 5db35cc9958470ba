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
from itertools import groupby
from typing import NamedTuple

from kdeps.formats.makeargs import MAKEFILES, MakeArgs, parse_make_args, without_place, working_directory
from kdeps.formats.recipe import Command, read_commands
from kdeps.kbuild.kernel_makefile import read_kernel_makefile
from kdeps.system.files import read_text
from kdeps.system.process import end_process

_TIMEOUT_S = 10.0
_MAX_DEPTH = 4
_MAX_TARGETS = 200
_MAX_OUTPUT = 1 << 24
_MAX_BYTES = 1 << 18
_MARK = "kdeps-recipe "
_KERNEL_VARIABLES = (
    "ARCH", "CROSS_COMPILE", "LLVM", "LLVM_IAS", "CC", "LD", "RUSTC", "BINDGEN", "O", "KBUILD_OUTPUT", "KBUILD_EXTMOD",
    "KBUILD_EXTRA_SYMBOLS", "KCFLAGS", "KRUSTFLAGS", "MO",
)  # fmt: skip
"""What a Makefile may export, and the kernel's make reads from its environment."""
_ORIGINS = ("# makefile", "# 'override' directive")
"""How the comment before an assignment that holds for some targets alone begins in make's database."""
_EXPORT = re.compile(
    r"^(?:[ \t]*|[^\t\n#:=]*:[ \t]*)(?:(?:override|private)[ \t]+)*export\b([^\n#]*)", re.MULTILINE
)
_SHELLS = frozenset(("sh", "bash", "dash", "python", "python3", "perl", "cmake", "ninja", "meson", "dkms"))
_STEADY_SHELL = re.compile(
    r"\$\(shell\s+(?:uname -[a-z]+|pwd|nproc|id -u|whoami)\s*\)|\$\(shell\s+echo [^$`;|&()]*\)"
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
    return _Asker(environ, time.monotonic() + _TIMEOUT_S).ask(words, cwd, 0)


class _NotClear(Exception):
    """Why a Makefile is not understood."""


class _Asker:
    """One question, and all that follow from it, within one time limit."""

    def __init__(self, environ: dict[str, str], deadline: float) -> None:
        self.environ = {**environ, "LC_ALL": "C"}
        self.deadline = deadline

    def ask(self, words: tuple[str, ...], cwd: str, depth: int) -> OuterMake:
        """Ask about one make; of those that it calls in turn, too."""
        args = parse_make_args(words)
        folder = working_directory(args, cwd)
        names = args.files or tuple(n for n in MAKEFILES if os.path.exists(os.path.join(folder, n)))[:1]
        if not names:
            return OuterMake()
        place = tuple(f"-f{name}" for name in names) if not args.files else ()
        try:
            database = self._run(words, place, cwd, "$(error kdeps)\n", "-p", "-r")
            rules = _Rules(database, args.goals)
            makefiles = tuple(os.path.join(folder, name) for name in rules.makefiles)
            texts = [read_text(path, _MAX_BYTES) for path in makefiles]
            if late := rules.find_late():
                rules.expand(late, self._run(words, place, cwd, _write_probe(late, texts)))
            answer = OuterMake()
            for settings, recipes in groupby(rules.find_recipes(), key=lambda recipe: recipe.settings):
                expanded = self._run(words, place, cwd, _write_probe(list(recipes), texts, settings))
                found = self._read_recipes(expanded, args, folder, depth, one_shell=rules.one_shell)
                answer = _join(answer, found)
        except _NotClear as error:
            return OuterMake(
                unclear=str(error), makefiles=tuple(os.path.join(folder, name) for name in names)
            )
        steady = answer.steady and all(map(_is_steady, texts))
        return answer._replace(makefiles=(*makefiles, *answer.makefiles), steady=steady)

    def _run(
        self, words: tuple[str, ...], place: tuple[str, ...], cwd: str, probe: str, *options: str
    ) -> str:
        """Let make read its Makefiles and then the probe; return what it printed."""
        left = self.deadline - time.monotonic()
        with tempfile.NamedTemporaryFile(
            "w", suffix=".mk", encoding="utf-8", errors="surrogateescape"
        ) as file:
            file.write(probe)
            file.flush()
            command = ["make", *options, *words, *place, "-f", file.name]
            output, errors, status = self._communicate(command, cwd, max(left, 0.1))
        text = output[:_MAX_OUTPUT].decode("utf-8", "surrogateescape")
        if status != 2 or f"{file.name}:" not in errors.decode("utf-8", "surrogateescape"):
            lines = errors.decode("utf-8", "replace").strip().splitlines()
            raise _NotClear(f"make stops while it reads the Makefile: {lines[-1] if lines else 'no message'}")
        return text.replace(f" {file.name}", "")

    def _communicate(self, command: list[str], cwd: str, timeout_s: float) -> tuple[bytes, bytes, int]:
        """Run a command that only prints; return its output, its errors and its status."""
        try:
            with subprocess.Popen(
                command,
                cwd=cwd,
                env=self.environ,
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
        self, expanded: str, args: MakeArgs, folder: str, depth: int, *, one_shell: bool
    ) -> OuterMake:
        """Find the makes that the recipes call, down to those of a kernel."""
        variables, texts = _split_answer(expanded)
        inherited = tuple(f"{name}={value}" for name, value in args.variables.items())
        environ = {**self.environ, **variables, "PWD": folder}
        exported = tuple(f"{n}={v}" for n, v in variables.items() if n not in args.variables)
        found = OuterMake()
        scripts: list[str] = []
        for text in texts:
            for command in read_commands(text, folder, environ, one_shell=one_shell):
                if command.is_make:
                    found = _join(found, self._follow(command, (*exported, *inherited), depth))
                elif command.loads_module:
                    found = found._replace(loads=True)
                elif command.words[0].startswith("./") or os.path.basename(command.words[0]) in _SHELLS:
                    scripts.append(command.words[0])
        if not found.kernel_makes and not found.unclear and scripts and _concerns_kernel(texts, folder):
            return found._replace(unclear=f"it runs {scripts[0]}, which may call make itself")
        return found

    def _follow(self, command: Command, inherited: tuple[str, ...], depth: int) -> OuterMake:
        """Find out what one make in a recipe is for."""
        if command.unclear:
            return OuterMake(unclear=command.unclear)
        own = tuple(f"{n}={v}" for n, v in command.assignments if n in _KERNEL_VARIABLES)
        words = command.words[1:]
        args = parse_make_args(words)
        folder = working_directory(args, command.folder)
        given = parse_make_args((*inherited, *own, *words)).variables
        makefile = os.path.dirname(os.path.join(folder, args.files[-1])) if args.files else folder
        is_missing = not any(os.path.exists(os.path.join(makefile, name)) for name in MAKEFILES)
        names_module = bool({"M", "KBUILD_EXTMOD", "SUBDIRS"} & args.variables.keys())
        if read_kernel_makefile(makefile) is not None or (names_module and is_missing):
            if "SUBDIRS" in args.variables and not {"M", "KBUILD_EXTMOD"} & given.keys():
                return OuterMake(
                    unclear="it gives the kernel SUBDIRS=, which Kbuild ignores since 5.3, and no M="
                )
            place = ("-C", command.folder if args.files else folder)
            # A word of its own wins over one that it inherits.
            inherited = tuple(word for word in inherited if word.partition("=")[0] not in args.variables)
            return OuterMake(((*place, *inherited, *own, *(words if args.files else without_place(words))),))
        if depth == _MAX_DEPTH:
            return OuterMake(unclear=f"its makes call each other more than {_MAX_DEPTH} deep")
        return self.ask((*inherited, *own, *words), command.folder, depth + 1)


class _Recipe(NamedTuple):
    """What makes a target, before make expands it."""

    target: str
    stem: str
    needed: list[str]
    text: str
    settings: tuple[str, ...] = ()
    """Assignments that hold for this target: its own, those of patterns, those of the target that needs it."""


class _Rules:
    """The rules that make has read, as ``make -p`` prints them."""

    def __init__(self, database: str, goals: tuple[str, ...]) -> None:
        default = re.search(r"^\.DEFAULT_GOAL :?= *(\S+)", database, re.MULTILINE)
        listed = re.search(r"^MAKEFILE_LIST :?= *(.*)", database, re.MULTILINE)
        self.makefiles = listed[1].split() if listed else []
        self.goals = goals or ((default[1],) if default else ())
        self.prerequisites: dict[str, list[str]] = {}
        self.recipes: dict[str, list[str]] = {}
        self.settings: dict[str, list[tuple[str, bool]]] = {}
        """Target or pattern → its assignments, and whether each is for it alone."""
        self._read_patterns(database)
        self._read(database)
        self.one_shell = ".ONESHELL" in self.prerequisites

    def _read_patterns(self, database: str) -> None:
        """Read the paragraphs behind "# Pattern-specific Variable Values"."""
        section = database.partition("\n# Pattern-specific Variable Values")[2].partition("\n# Directories")[
            0
        ]
        pattern = about = ""
        for line in section.split("\n"):
            if line[:1] not in "#":
                pattern = line.partition(" :")[0]
            elif about.startswith(_ORIGINS) and pattern:
                self._set(pattern, line[2:], about)
            about = line

    def _read(self, database: str) -> None:
        """Read the paragraphs behind "# Implicit Rules": a rule, what make knows of it, its recipe."""
        section = database.partition("\n# Implicit Rules")[2] or database.partition("\n# Files")[2]
        targets: list[str] = []
        skipped = False
        about = ""
        for line in section.split("\n"):
            if line[:1] == "\t" and targets:
                for target in targets:
                    self.recipes.setdefault(target, []).append(line[1:])
            elif not line:
                targets = []
                skipped = False
            elif line.startswith("# Not a target"):
                skipped = True
            elif about.startswith(_ORIGINS):
                name, _, assignment = line.partition(": ")
                self._set(name, assignment, about)
            elif line[:1] != "#" and not skipped and not targets:
                name, colon, rest = line.partition(":")
                if colon:
                    targets = [name]
                    known = self.prerequisites.setdefault(name, [])
                    known += rest.lstrip(":").split()
            elif line[:1] not in "#\t" and targets and self.recipes.get(targets[0]):
                self.recipes[targets[0]][-1] += f"\n{line}"  # the rest of a line that ends in a backslash
            about = line

    def _set(self, target: str, assignment: str, about: str) -> None:
        """Note one assignment; ``about`` is the comment before it, which says where it comes from."""
        override = "override " if "override" in about else ""
        self.settings.setdefault(target, []).append((override + assignment, " private" in about))

    def find_late(self) -> list[_Recipe]:
        """List the rules whose prerequisites make expands a second time, as recipes that make can expand."""
        late = [name for name, needed in self.prerequisites.items() if any("$" in word for word in needed)]
        return [_Recipe(name, "%", [], " ".join(self.prerequisites[name])) for name in late]

    def expand(self, late: list[_Recipe], expanded: str) -> None:
        """Take the prerequisites that make has expanded a second time."""
        for recipe, text in zip(late, _split_answer(expanded)[1], strict=True):
            self.prerequisites[recipe.target] = text.split()

    def find_recipes(self) -> list[_Recipe]:
        """List the recipe of everything that the goals need, in make's order."""
        done: dict[str, None] = {}
        found: list[_Recipe] = []

        def visit(target: str, inherited: tuple[str, ...]) -> None:
            if target in done or len(done) > _MAX_TARGETS:
                return
            done[target] = None
            rule, stem = self._find_rule(target)
            needed = [name.replace("%", stem) for name in self.prerequisites.get(rule, ())]
            needed += [name for name in self.prerequisites.get(target, ()) if rule != target]
            needed = [name for name in needed if name != "|"]
            own = [
                setting for name in self.settings if _fits(name, target) for setting in self.settings[name]
            ]
            passed = (*inherited, *(text for text, private in own if not private))
            for name in needed:
                visit(name, passed)
            if rule in self.recipes:
                settings = (*inherited, *(text for text, _ in own))
                found.append(_Recipe(target, stem, needed, "\n".join(self.recipes[rule]), settings))

        for goal in self.goals:
            visit(goal, ())
        return found

    def _find_rule(self, target: str) -> tuple[str, str]:
        """Find the rule whose recipe makes a target, and what its `%` stands for."""
        if target in self.recipes:
            return target, ""
        for pattern in self.recipes:
            if "%" in pattern and _fits(pattern, target):
                if not pattern.strip("%") and target in self.prerequisites and target not in self.goals:
                    continue  # `%:` is for goals that no rule names
                before, _, behind = pattern.partition("%")
                return pattern, target[len(before) : len(target) - len(behind)]
        return (".DEFAULT", "") if ".DEFAULT" in self.recipes and target in self.goals else (target, "")


def _fits(pattern: str, target: str) -> bool:
    """Whether a name of a rule, perhaps with a `%`, is that of a target."""
    before, percent, behind = pattern.partition("%")
    if not percent:
        return pattern == target
    return target.startswith(before) and target.endswith(behind)


def _write_probe(recipes: list[_Recipe], makefiles: list[str], settings: tuple[str, ...] = ()) -> str:
    """Write a Makefile that prints each recipe as make expands it where some settings hold, and stops."""
    exported = _find_exported(makefiles)
    lines = ["override MAKEFILE_LIST := $(filter-out $(lastword $(MAKEFILE_LIST)),$(MAKEFILE_LIST))"]
    lines += settings
    for name in _KERNEL_VARIABLES:
        if exported is None or name in exported:
            lines.append(f"ifneq ($(filter file override,$(origin {name})),)")
            lines.append(f"$(info {_MARK}{name}=$({name}))\nendif")
    for recipe in recipes:
        names = (recipe.target, recipe.stem, *recipe.needed[:1], "")
        target, stem, first, *_ = (name.replace("$", "$$").replace("#", "\\#") for name in names)
        lines += [f"override @ := {target}", f"override * := {stem}"]
        lines += [f"override < := {first}", "override ^ := $<"]
        lines += ["define kdeps-recipe", recipe.text, "endef", f"$(info {_MARK})", "$(info $(kdeps-recipe))"]
    return "\n".join([*lines, "$(error kdeps)", ""])


def _find_exported(makefiles: list[str]) -> set[str] | None:
    """Find the variables that Makefiles export; None if they export all."""
    found: set[str] = set()
    for text in makefiles:
        for line in _EXPORT.findall(text):
            names = re.split(r"[:?+!]*=", line, maxsplit=1)[0].split()
            if not names:
                return None
            found.update(names)
        if re.search(r"^\.EXPORT_ALL_VARIABLES", text, re.MULTILINE):
            return None
    return found


def _split_answer(text: str) -> tuple[dict[str, str], list[str]]:
    """Part what the probe printed into the variables that are exported and the recipes."""
    first, *recipes = re.split(rf"^{_MARK}$", text, flags=re.MULTILINE)
    variables = dict(re.findall(rf"^{_MARK}(\w+)=(.*)$", first, re.MULTILINE))
    return variables, recipes


def _join(a: OuterMake, b: OuterMake) -> OuterMake:
    return OuterMake(
        tuple(dict.fromkeys((*a.kernel_makes, *b.kernel_makes))), a.unclear or b.unclear,
        (*a.makefiles, *b.makefiles), a.steady and b.steady, a.loads or b.loads,
    )  # fmt: skip


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
