# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A Makefile that lets make print its recipes, and the environment that they get, and stops."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

from kdeps.formats.makelines import find_closing
from kdeps.kbuild.make_rules import Recipe

_MARK = "kdeps-recipe "
_CONTINUED = re.compile(r"(?<!\\)((?:\\\\)*)\\\n")
_EXPORT = re.compile(
    r"^(?:[ \t]*|[^\t\n#:=]*:[ \t]*)(?:(?:override|private)[ \t]+)*(un)?export\b([^\n#]*)", re.MULTILINE
)
_NAME = re.compile(r"[A-Za-z_]\w*|\$[({]\w+[)}]", re.ASCII)
"""A variable of the shell, or a reference to a list of them: ``export $(LIST)``."""
_OWN = frozenset(("SHELL", "MAKE", "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKE_RESTARTS", "PWD", "LC_ALL"))
"""Variables that make, the shell or kdeps itself sets for a recipe."""


class Answer(NamedTuple):
    """What the probe lets make print."""

    variables: dict[str, str]
    """What a recipe gets and the environment of make itself does not have, or has with another value.

    MAKEFLAGS is among them if a Makefile adds to it.
    """
    missing: frozenset[str]
    """What make takes out of its environment."""
    recipes: list[str]
    """Each as make expands it."""


def write_probe(
    recipes: list[Recipe],
    makefiles: list[str],
    settings: tuple[str, ...],
    environ: Collection[str],
    given: Collection[str],
    assigned: set[str],
) -> str:
    """Write a Makefile that prints each recipe as make expands it where some settings hold, and stops.

    ``given`` are the variables that make's arguments assign, ``assigned`` those that a Makefile assigns. One
    that the environment has, too, stays exported; one that a Makefile overrides does not.
    """
    exported, hidden = _find_exported(makefiles)
    names = {*environ, *(assigned if exported is None else exported)} - hidden - _OWN
    overridden = " ".join(sorted(filter(_NAME.fullmatch, {*given} - names)))
    listed = " ".join(sorted(filter(_NAME.fullmatch, names)))
    value, origin = "$($(kdeps-name))", "$(origin $(kdeps-name))"
    lines = ["override MAKEFILE_LIST := $(filter-out $(lastword $(MAKEFILE_LIST)),$(MAKEFILE_LIST))"]
    lines += ["define kdeps-newline", "", "", "endef", "kdeps-continued = \\$(kdeps-newline)"]
    lines += settings
    lines.append(
        f"$(foreach kdeps-name,{listed},"
        f"$(if $(filter file override,{origin}),$(info {_MARK}$(kdeps-name)={value}))"
        f"$(if $(filter undefined,{origin}),$(info {_MARK}!$(kdeps-name))))"
    )
    lines.append(
        f"$(foreach kdeps-name,{overridden},$(if $(filter override,{origin}),$(info {_MARK}!$(kdeps-name))))"
    )
    lines += [f"$(info {_MARK}!{name})" for name in sorted(hidden)]
    lines += [f"$(info {_MARK}MAKEFLAGS=$(MAKEFLAGS))"] if "MAKEFLAGS" in assigned else []
    for recipe in recipes:
        values = {
            "@": recipe.target,
            "*": recipe.stem,
            "<": recipe.needed[0] if recipe.needed else "",
            "^": " ".join(dict.fromkeys(recipe.needed)),
            "+": " ".join(recipe.needed),
            "?": " ".join(dict.fromkeys(recipe.needed)),
            "|": " ".join(recipe.order_only),
        }
        lines += [
            f"override {name} := {value.replace('$', '$$').replace('#', chr(92) + '#')}"
            for name, value in values.items()
        ]
        lines += [
            "define kdeps-recipe",
            _keep_continued(recipe.text),
            "",
            "endef",
            f"$(info {_MARK})",
            "$(info $(kdeps-recipe))",
        ]
    return "\n".join([*lines, "$(error kdeps)", ""])


def _keep_continued(recipe: str) -> str:
    """Keep what only the shell decides from make's definitions, which join lines: what a backslash at the end of a line is.

    It may end a comment or a word. Inside of a reference make itself joins the lines.
    """
    kept: list[str] = []
    at = 0
    while (dollar := recipe.find("$", at)) >= 0:
        end = dollar + 2
        if recipe[dollar + 1 : end] in ("(", "{"):
            end = find_closing(recipe, end)
        if end < 0:
            break
        kept += (_CONTINUED.sub(r"\1$(kdeps-continued)", recipe[at:dollar]), recipe[dollar:end])
        at = end
    return "".join((*kept, _CONTINUED.sub(r"\1$(kdeps-continued)", recipe[at:])))


def read_answer(text: str) -> Answer:
    """Part what the probe printed."""
    first, *recipes = re.split(rf"^{_MARK}$", text, flags=re.MULTILINE)
    variables = dict(re.findall(rf"^{_MARK}(\w+)=(.*)$", first, re.MULTILINE))
    missing = frozenset(re.findall(rf"^{_MARK}!(\w+)$", first, re.MULTILINE))
    return Answer(variables, missing, recipes)


def _find_exported(makefiles: list[str]) -> tuple[set[str] | None, set[str]]:
    """Find the variables that Makefiles export, None if they export all, and those that they do not."""
    found: set[str] = set()
    hidden: set[str] = set()
    all_of_them = False
    for text in makefiles:
        for un, line in _EXPORT.findall(text):
            names = re.split(r"[:?+!]*=", line, maxsplit=1)[0].split()
            # The last word counts.
            (hidden if un else found).update(names)
            (found if un else hidden).difference_update(names)
            all_of_them = all_of_them or not (un or names)
        if re.search(r"^\.EXPORT_ALL_VARIABLES", text, re.MULTILINE):
            all_of_them = True
    return None if all_of_them else found, hidden
