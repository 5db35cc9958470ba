# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The rules that make has read, from what ``make -p`` prints, and what its goals need of them.

Source: make 4.3 and 4.4.1 by experiment.
"""

from __future__ import annotations

import itertools
import os
import re
from typing import NamedTuple

_MAX_TARGETS = 200
_ASSIGNED = re.compile(
    r"^# (?:makefile|'override').*\n(?:define )?([A-Za-z_]\w*)(?: [:?+]?=|$)", re.MULTILINE
)
_STEM = "#  Implicit/static pattern stem: '"
_SUFFIXES = frozenset(
    (
        ".out", ".a", ".ln", ".o", ".c", ".cc", ".C", ".cpp", ".p", ".f", ".F", ".m", ".r", ".y", ".l", ".ym", ".yl",
        ".s", ".S", ".mod", ".sym", ".def", ".h", ".info", ".dvi", ".tex", ".texinfo", ".texi", ".txinfo", ".w", ".ch",
        ".web", ".sh", ".elc", ".el",
    )
)  # fmt: skip
"""The suffixes that make knows by itself; ``-r`` takes them away."""
_READ = re.compile(r"^Reading makefile '(.*?)'(?: \(|\.\.\.)", re.MULTILINE)
_ORIGINS = ("# makefile", "# 'override' directive")
"""How the comment before an assignment that holds for some targets alone begins in make's database."""


class Recipe(NamedTuple):
    """What makes a target, before make expands it."""

    target: str
    stem: str
    needed: list[str]
    text: str
    settings: tuple[str, ...] = ()
    """Assignments that hold for this target: its own, those of patterns, those of the target that needs it."""
    order_only: tuple[str, ...] = ()


class Rules:
    """The rules that make has read in a folder, as ``make -p -r --debug=v`` prints them."""

    def __init__(self, database: str, goals: tuple[str, ...], folder: str) -> None:
        self.folder = folder
        default = re.search(r"^\.DEFAULT_GOAL :?= *(\S+)", database, re.MULTILINE)
        listed = re.search(r"^MAKEFILE_LIST :?= *(.*)", database, re.MULTILINE)
        self.makefiles = listed[1].split() if listed else []
        self.wanted_makefiles: list[str] = _READ.findall(database)
        """Those that make has read, and those that it looked for."""
        self.goals = goals or ((default[1],) if default else ())
        self.prerequisites: dict[str, list[str]] = {}
        self.recipes: dict[str, list[str]] = {}
        self.stems: dict[str, str] = {}
        """Target of a static pattern rule → what its `%` stands for."""
        self.patterns: list[tuple[str, str]] = []
        """Each target with a `%`, and the name that its rule has here: several rules may have one target."""
        self.settings: dict[str, list[tuple[str, bool]]] = {}
        """Target or pattern → its assignments, and whether each is for it alone."""
        self.assigned = set(_ASSIGNED.findall(database))
        shell = re.search(r"^SHELL :?= *(.*)", database, re.MULTILINE)
        self.shell = shell[1] if shell else ""
        self._read_patterns(database)
        self._read(database)
        self._add_suffix_rules()
        self.named = {*self.prerequisites}.union(*self.prerequisites.values())
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
        prefix = ""  # of the lines of a recipe: a tab, or what .RECIPEPREFIX was
        about = ""
        for line in section.split("\n"):
            if about.startswith("#  recipe to execute"):
                prefix = line[:1]
            if prefix and line[:1] == prefix and targets:
                for target in targets:
                    self.recipes.setdefault(target, []).append(line[1:])
            elif not line:
                targets = []
                skipped, prefix = False, ""
            elif line.startswith("# Not a target"):
                skipped = True
            elif line.startswith(_STEM):
                self.stems.update(dict.fromkeys(targets, line[len(_STEM) : -1]))
            elif about.startswith(_ORIGINS):
                name, _, assignment = line.partition(": ")
                self._set(name, assignment, about)
            elif line[:1] != "#" and not skipped and not targets:
                name, colon, rest = line.partition(":")
                if colon:
                    if "%" in name:
                        self.patterns += [(target, line) for target in name.split()]
                        name = line
                    targets = [name]
                    known = self.prerequisites.setdefault(name, [])
                    known += rest.lstrip(":").split()
            elif prefix and targets and self.recipes.get(targets[0]):
                self.recipes[targets[0]][-1] += f"\n{line}"  # the rest of a line that ends in a backslash
            about = line

    def _add_suffix_rules(self) -> None:
        """Take `.c.o:` and `.all:` for the patterns that make makes of them."""
        known = {*_SUFFIXES, *self.prerequisites.get(".SUFFIXES", ())}
        for name in [name for name in self.recipes if name[:1] == "." and not self.prerequisites[name]]:
            for at in range(1, len(name) + 1):
                if name[:at] in known and (at == len(name) or name[at:] in known):
                    rule = f"%{name[at:]}: %{name[:at]}"
                    self.patterns.append((f"%{name[at:]}", rule))
                    self.prerequisites[rule] = [f"%{name[:at]}"]
                    self.recipes[rule] = self.recipes[name]

    def _set(self, target: str, assignment: str, about: str) -> None:
        """Note one assignment; ``about`` is the comment before it, which says where it comes from."""
        override = "override " if "override" in about else ""
        self.settings.setdefault(target, []).append((override + assignment, " private" in about))

    def find_late(self) -> list[Recipe]:
        """List the rules whose prerequisites make expands a second time, as recipes that make can expand."""
        late = [name for name, needed in self.prerequisites.items() if any("$" in word for word in needed)]
        return [Recipe(name, "%", [], " ".join(self.prerequisites[name])) for name in late]

    def expand(self, late: list[Recipe], expanded: list[str]) -> None:
        """Take the prerequisites that make has expanded a second time."""
        for recipe, text in zip(late, expanded, strict=True):
            self.prerequisites[recipe.target] = text.split()

    def find_recipes(self) -> list[Recipe]:
        """List the recipe of everything that the goals need, in make's order."""
        done: dict[str, None] = {}
        found: list[Recipe] = []

        def visit(target: str, inherited: tuple[str, ...]) -> None:
            if target in done or len(done) > _MAX_TARGETS:
                return
            done[target] = None
            rule, stem = self._find_rule(target)
            needed: list[str] = []
            order_only: list[str] = []
            for at in dict.fromkeys((rule, target)):
                names = [
                    name.replace("%", stem) if at == rule else name for name in self.prerequisites.get(at, ())
                ]
                first = names.index("|") if "|" in names else len(names)
                needed += names[:first]
                order_only += (name for name in names[first:] if name != "|")
            own = [
                setting for name in self.settings if _fits(name, target) for setting in self.settings[name]
            ]
            passed = (*inherited, *(text for text, private in own if not private))
            for name in (*needed, *order_only):
                visit(name, passed)
            if rule in self.recipes:
                settings = (*inherited, *(text for text, _ in own))
                found.append(
                    Recipe(target, stem, needed, "\n".join(self.recipes[rule]), settings, tuple(order_only))
                )

        for goal in self.goals:
            visit(goal, ())
        return found

    def _find_rule(self, target: str) -> tuple[str, str]:
        """Find the rule whose recipe makes a target, and what its `%` stands for."""
        if target in self.recipes:
            return target, self.stems.get(target, "")
        fitting: list[tuple[str, str]] = []
        for pattern, rule in self.patterns:
            if rule in self.recipes and _fits(pattern, target):
                if not pattern.strip("%") and target in self.prerequisites and target not in self.goals:
                    continue  # `%:` is for goals that no rule names
                before, _, behind = pattern.partition("%")
                fitting.append((rule, target[len(before) : len(target) - len(behind)]))
        fitting.sort(key=lambda found: len(found[1]))  # make prefers the shortest stem
        for rule, stem in fitting:
            needed = [name.replace("%", stem) for name in self.prerequisites[rule] if name != "|"]
            if all(name in self.named or self._find_time(name) for name in needed):
                return rule, stem
        if chained := [found for found in fitting if not found[0].startswith("%:")]:
            return chained[0]  # make may know how to make what it needs
        return (".DEFAULT", "") if ".DEFAULT" in self.recipes and target in self.goals else (target, "")

    def find_remade_makefile(self) -> str:
        """Find a Makefile that make rebuilds first, before its goals; empty if there is none."""
        for name in self.wanted_makefiles:
            rule, _ = self._find_rule(name)
            if any(line.strip("@+- \t") for line in self.recipes.get(rule, ())) and self._is_old(name, set()):
                return name
        return ""

    def _is_old(self, target: str, asked: set[str]) -> bool:
        """Whether make would rebuild a target."""
        if target in asked:
            return False
        asked.add(target)
        made = self._find_time(target)
        if not made or target in self.prerequisites.get(".PHONY", ()):
            return True
        rule, stem = self._find_rule(target)
        needed = [*self.prerequisites.get(rule, ()), *self.prerequisites.get(target, ())]
        names = [name.replace("%", stem) for name in itertools.takewhile(lambda name: name != "|", needed)]
        return any(self._find_time(name) > made or self._is_old(name, asked) for name in names)

    def _find_time(self, name: str) -> float:
        """When a file was changed; 0 if it is not there."""
        try:
            return os.path.getmtime(os.path.join(self.folder, name))
        except OSError:
            return 0.0


def _fits(pattern: str, target: str) -> bool:
    """Whether a name of a rule, perhaps with a `%`, is that of a target."""
    before, percent, behind = pattern.partition("%")
    if not percent:
        return pattern == target
    return target.startswith(before) and target.endswith(behind)
