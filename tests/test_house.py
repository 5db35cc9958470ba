# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Which module may open, print, and import what. The lists of exceptions may only become shorter."""

from __future__ import annotations

import ast
from functools import cache
from graphlib import TopologicalSorter

import pytest

from kdeps.system.text import list_some
from tests.conftest import CHECKOUT

PACKAGE = CHECKOUT / "kdeps"

OPENERS = {
    "cli/make_child.py": "its own pipe",
    "cli/commands/decode.py": "the log that the user names, perhaps a FIFO to wait for",
    "running/script.py": "the package's own script",
    "running/unpacking.py": "memory of its own",
    "watch/status.py": "locks in a private folder",
    "watch/status_files.py": "locks and status files in a private folder",
}
"""Modules that open something by themselves."""
PATHLIB_READERS = {"cli/commands/snippet.py", "report/explain_page.py", "report/graph/html.py"}
"""Modules that read files of the package."""
STATTERS = {
    "cli/make.py": "whose the object tree is",
    "contents/": "stamps, beside the hashes that they vouch for",
    "kbuild/modules.py": "whether a folder has folders below it",
    "kbuild/normal_make.py": "why make could not stand in a folder",
    "kbuild/whole_tree.py": "when a folder was changed",
    "query/doctor.py": "how large the cache is",
    "running/": "artifacts, which no snapshot has",
    "staleness/answers.py": "whether a kept answer still holds: nothing else is imported on that way",
    "staleness/index.py": "whether a kept answer still holds",
    "staleness/snapshot.py": "all the files of a build, once",
    "watch/": "what changed, in the folders that are watched",
}
"""Modules, or packages, that look at files by themselves. The others judge what the snapshot has, or ask ``system``."""
IMPORTERS = {
    "networkx": ("report/graph/",),
    "watchdog": ("watch/inotify.py",),
    "ninja_syntax": ("refresh/ninja/manifest.py",),
    "click": ("cli/",),
    "elftools": ("artifacts/",),
}
"""Library → the modules that may import it."""


@cache
def modules() -> list[tuple[str, ast.Module]]:
    paths = sorted(PACKAGE.rglob("*.py"))
    return [(str(path.relative_to(PACKAGE)), ast.parse(path.read_text(encoding="utf-8"))) for path in paths]


@cache
def nodes(name: str) -> list[ast.AST]:
    """All that stands in a module; to walk through it takes longest."""
    return list(ast.walk(dict(modules())[name]))


@cache
def calls(name: str) -> frozenset[str]:
    """The calls in a module, as they are written: ``open``, ``os.open``, ``….read_text``."""
    found = set()
    for node in nodes(name):
        if isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Name):
                found.add(function.id)
            elif isinstance(function, ast.Attribute):
                owner = function.value
                found.add(f"{owner.id if isinstance(owner, ast.Name) else '…'}.{function.attr}")
    return frozenset(found)


def test_one_package_opens_files() -> None:
    """Elsewhere a FIFO in the place of a file would be waited for."""
    opening = {"open", "os.open", "io.open", "io.FileIO", "os.fdopen"}
    found = {
        name
        for name, _ in modules()
        if not name.startswith(("system/", "demo/")) and opening.intersection(calls(name))
    }
    assert found == set(OPENERS)


def test_few_modules_stat() -> None:
    """A file that is looked at twice may be two files: a verdict is of one moment."""
    found = {name for name, _ in modules() if {"os.stat", "os.lstat"}.intersection(calls(name))}
    found = {name for name in found if not name.startswith(("system/", "demo/"))}
    assert {name for name in found if not name.startswith(tuple(STATTERS))} == set()
    assert {name for name in STATTERS if not any(each.startswith(name) for each in found)} == set()


def test_no_file_of_a_tree_is_read_by_pathlib() -> None:
    """It waits as well."""
    methods = (".read_text", ".read_bytes", ".write_text", ".write_bytes", ".open")
    found = {
        name
        for name, _ in modules()
        if not name.startswith(("system/", "demo/"))
        and any(call.endswith(methods) and call not in ("os.open", "io.open") for call in calls(name))
    }
    assert found == PATHLIB_READERS


@pytest.mark.parametrize("library", IMPORTERS)
def test_a_library_is_imported_in_its_place_alone(library: str) -> None:
    found = set()
    for name, _ in modules():
        for node in nodes(name):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            if any(each.partition(".")[0] == library for each in names):
                found.add(name)
    assert {name for name in found if not name.startswith(IMPORTERS[library])} == set()


def test_no_modules_import_each_other() -> None:
    """Not in a circle, and not inside of functions either: one of the two can always stand below."""
    names = {f"kdeps.{name[:-3].replace('/', '.').removesuffix('.__init__')}": name for name, _ in modules()}
    imports: dict[str, set[str]] = {}
    for module, name in names.items():
        found = imports[module] = set()
        for node in nodes(name):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("kdeps."):
                found.update({node.module, *(f"{node.module}.{alias.name}" for alias in node.names)})
    graph = {name: found & names.keys() - {name} for name, found in imports.items()}
    TopologicalSorter(graph).prepare()


def test_only_cli_prints_and_exits() -> None:
    found = {
        (name, call)
        for name, _ in modules()
        for call in calls(name)
        if call in ("print", "sys.exit", "os._exit", "exit") and not name.startswith("cli/")
    }
    # `kdeps demo` prints its story; ninja starts the second module as a program; the third one ends a child process.
    assert found == {
        ("demo/story.py", "print"), ("refresh/ninja/timestamps.py", "sys.exit"), ("system/background.py", "os._exit"),
    }  # fmt: skip


def test_no_file_is_longer_than_400_lines() -> None:
    """A longer one has two purposes, or a case too many."""
    paths = [*PACKAGE.rglob("*.py"), *(CHECKOUT / "tests").rglob("*.py")]
    lengths = {str(path.relative_to(CHECKOUT)): path.read_bytes().count(b"\n") for path in paths}
    assert {name for name, lines in lengths.items() if lines > 400} == set()


def test_floors_are_no_part_of_a_docstring() -> None:
    """The contract in pyproject.toml says which package is above which."""
    assert [path for path in PACKAGE.rglob("*.py") if '"""Floor ' in path.read_text(encoding="utf-8")] == []


@pytest.mark.parametrize(
    ("items", "shown", "text"),
    [([], 3, ""), (["a"], 1, "a"), (["a", "b", "c"], 3, "a, b, c"), (["a", "b", "c"], 2, "a, b and 1 more")],
)
def test_a_long_list_is_counted(items: list[str], shown: int, text: str) -> None:
    assert list_some(items, shown) == text
    assert list_some(items, shown, str.upper) == text.upper().replace("AND", "and").replace("MORE", "more")
