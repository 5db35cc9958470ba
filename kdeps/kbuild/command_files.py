# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The files that the commands of ``rust/`` and ``scripts/`` are made from: Makefiles and scripts.

Those at the top of the source tree, everything like one under the folders that
``modules_prepare`` works in, and ``rust/bindgen_parameters``, which is read into a command.
Also what the main Makefiles include, read or look for elsewhere, as those of vendors do.
More files than it really reads: a change of one of the others costs one question to Kbuild.
"""

from __future__ import annotations

import os
import re

from kdeps import TYPE_CHECKING
from kdeps.kbuild.kernel_makefile import read_text
from kdeps.system.files import list_names

if TYPE_CHECKING:
    from kdeps.kbuild.tree import Tree

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
_MAIN = ("Makefile", "rust/Makefile", "arch/{srcarch}/Makefile")
_READING = ("include ", "include\t", "$(wildcard ", "$(shell cat ", "$(file <")
_PLACED = re.compile(r"\$\((srctree|objtree)\)/([\w./+-]+)(?![\w./+*$-])")
_SUFFIXES = (".include", ".mk", "bindgen_parameters")


def find_command_files(tree: Tree, environ: dict[str, str]) -> list[str]:
    """List the files that commands are made from; those that would count if they appeared, too.

    Args:
        tree: Of the kernel.
        environ: The environment make would get.
    """
    srctree = tree.srctree
    found = [f"{tree.objtree}/include/config/{name}" for name in ("auto.conf", "auto.conf.cmd")]
    found += [f"{srctree}/{name}" for name in ("Makefile", "GNUmakefile", "Kbuild")]
    # make reads these before any other, in every folder that it works in.
    found += [os.path.join(tree.make_directory, name) for name in environ.get("MAKEFILES", "").split()]
    found += _list_named(tree)
    return sorted(
        {*found, *_list_below([f"{srctree}/{folder.format(srcarch=tree.srcarch)}" for folder in _FOLDERS])}
    )


def find_main_makefiles(tree: Tree) -> tuple[list[str], list[str]]:
    """Find the Makefiles that every command of ``rust/`` goes through, and list the folders that were read for that.

    ``find_command_files`` finds these and those of the tools. This is for each check: it descends into no folder.
    """
    folders = [f"{tree.srctree}/{folder.format(srcarch=tree.srcarch)}" for folder in _FOLDERS[:3]]
    names = (f"{folder}/{name}" for folder in folders for name in list_names(folder) if _is_makefile(name))
    found = {f"{tree.srctree}/Makefile", *names, *_list_named(tree)}
    generated = f"{tree.objtree}/include/"
    return [path for path in found if not path.startswith(generated) and not path.endswith(".h")], folders


def _list_named(tree: Tree) -> list[str]:
    """List the files that the main Makefiles include, read or look for, there or not."""
    found: list[str] = []
    for name in _MAIN:
        text = read_text(f"{tree.srctree}/{name.format(srcarch=tree.srcarch)}", missing="")
        text = text.replace("$(SRCARCH)", tree.srcarch)
        for word in _READING:
            for part in text.split(word)[1:]:
                named = _PLACED.findall(part.partition("\n")[0])
                found += [f"{getattr(tree, place)}/{path}" for place, path in named]
    # What of .config goes into a command comes through auto.conf.
    return [path for path in found if path != f"{tree.objtree}/.config" and not os.path.isdir(path)]


def find_module_files(folder: str) -> list[str]:
    """List the files of a module's folder that its commands are made from."""
    return sorted({f"{folder}/Kbuild", f"{folder}/Makefile", *_list_below([folder])})


def _list_below(folders: list[str]) -> list[str]:
    """List the Makefiles and scripts below some folders."""
    found: list[str] = []
    waiting = list(folders)
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        if entry.name[0] != ".":
                            waiting.append(entry.path)
                    elif _is_makefile(entry.name) or entry.name.endswith(".sh"):
                        found.append(entry.path)
                        if entry.name == "Makefile":
                            found.append(f"{folder}/Kbuild")  # would be read instead
        except OSError:
            continue
    return found


def _is_makefile(name: str) -> bool:
    return name.startswith(_MAKEFILES) or name.endswith(_SUFFIXES)
