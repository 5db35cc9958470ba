# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The kernel's make, in one form for all the ways to call it. Which trees it works on is for ``tree`` to say.

The ways, and what tells them apart:

* in a kernel's source or object tree, or with ``-C``: its ``Makefile`` says so
* ``make -f KERNEL/Makefile M=…`` in any folder: from 6.13 on the module is built into that folder, as by ``MO=``
* in a module's folder: its own ``Makefile`` calls the kernel's make, or ``KDIR=`` or its kin name the kernel
* below the kernel tree: make has no kernel Makefile there, so the tree above is meant
"""

from __future__ import annotations

import os
import re

from kdeps import NamedTuple
from kdeps.formats.makeargs import MakeArgs, parse_make_args, without_place, working_directory
from kdeps.formats.makeflags import inherited_words
from kdeps.formats.words import BLANKS, split_words
from kdeps.kbuild.kernel_makefile import KernelMakefile, read_kernel_makefile, read_text
from kdeps.kbuild.make_command import NotUnderstood, find_read_makefiles, understand_makefile
from kdeps.kbuild.module_folder import builds_objects, is_module_folder
from kdeps.kbuild.named_kernel import MODULES, find_named_folder, find_named_kernel
from kdeps.system.errors import NoTree, UsageError

_MODULE_FOLDERS = frozenset(("M", "KBUILD_EXTMOD", "MO", "KBUILD_EXTMOD_OUTPUT"))
_FOLDERS = _MODULE_FOLDERS | {"O", "KBUILD_OUTPUT"}
_CALLS_MAKE = re.compile(
    r"make|MAKE|^-?include|^\t[@+-]*\s*(?:\.\s|source\s|\w*sh\s|python|perl|\./|\S+\.(?:sh|py|pl)\b)",
    re.MULTILINE,
)
"""A Makefile with a recipe that calls make, or a script that may call it."""


class NormalMake(NamedTuple):
    """A make of a kernel, called where a kernel's own Makefile is."""

    args: MakeArgs
    directory: str
    """The folder that make stands in; relative folders in ``args`` are seen from there."""
    makefile: KernelMakefile
    """That folder's own."""
    module: str | None
    """The module's folder, as the user names it or where the user stands. None: the user names none."""
    guessed: bool = False
    """Nothing names the kernel: it is the running one's."""
    makefiles: tuple[str, ...] = ()
    """The user's own Makefiles that lead to this make."""
    steady: bool = True
    """The same arguments lead to this make as long as those Makefiles stay as they are."""


def normalise(words: tuple[str, ...], cwd: str, environ: dict[str, str]) -> NormalMake:
    """Find the make of a kernel that the user means. Raises as ``find_tree`` does."""
    args = parse_make_args((*inherited_words(words, environ), *words))
    if args.incomplete:
        raise UsageError(f"{args.incomplete}: make wants a value behind it")
    start = working_directory(args, cwd)
    try:
        os.stat(f"{start}/.")
    except OSError as error:
        raise NoTree(f"{start}: {error.strerror}; make -C would fail there") from error
    module = named_module(args, environ)
    named = _find_named_makefile(args, start)
    if named is not None:
        args = _as_called_there(args, environ, start, *named)
        return NormalMake(args, *named, named_module(args, environ))
    makefile = read_kernel_makefile(start)
    if makefile is not None:
        return NormalMake(args, start, makefile, module)
    own, makefiles, steady = _find_own_make(words, args, cwd, environ)
    if own is not None:
        make = normalise(own, cwd, environ)
        return make._replace(makefiles=makefiles, steady=steady and make.steady)
    directory, makefile, module, guessed = _find_kernel(start, args, environ, module)
    if start.startswith(directory + "/"):
        args = _as_called_in(args, start, directory, module)
    else:
        args = parse_make_args(_spelled_out(args.words, start, _MODULE_FOLDERS))
    return NormalMake(args, directory, makefile, module, guessed, makefiles, steady)


def _find_own_make(
    words: tuple[str, ...], args: MakeArgs, cwd: str, environ: dict[str, str]
) -> tuple[tuple[str, ...] | None, tuple[str, ...], bool]:
    """Find the make of a kernel that a module's own Makefile calls; None if it calls none.

    Returns the make, the Makefiles that say so, and whether they always say the same. Raises UsageError if it calls
    one for each of several modules, or if only running it tells which.
    """
    read = [path for path in find_read_makefiles(args, cwd) if os.path.isfile(path)]
    makefile = next((path for path in read if _CALLS_MAKE.search(read_text(path, missing=""))), "")
    if not makefile:
        return None, (), True
    try:
        outer = understand_makefile(words, cwd, environ)
    except NotUnderstood as error:
        folder = os.path.dirname(makefile)
        # A release is not enough: only a Makefile that is understood says what it does with one.
        if find_named_folder(args.variables, {}, folder) is not None or not builds_objects(folder):
            return None, (), False
        raise UsageError(
            f"{error}; name the kernel with KDIR=DIR, or the module with -C KERNEL M=DIR"
        ) from error
    makes = [make for make in outer.kernel_makes if named_module(parse_make_args(make), environ)]
    if len(makes) > 1:
        modules = ", ".join(f"M={named_module(parse_make_args(make), environ)}" for make in makes)
        raise UsageError(f"{makefile}: builds several modules, {modules}; name one, with -C KERNEL M=DIR")
    if makes:
        inner = parse_make_args(makes[0])
        kernel = working_directory(inner, cwd)
        if not inner.files and os.path.isdir(kernel) and read_kernel_makefile(kernel) is None:
            raise NoTree(
                f"{kernel}: not a kernel tree, and {makefile} builds M= there; name one with KDIR=DIR"
            )
    return makes[0] if makes else None, outer.makefiles, outer.steady


def _find_named_makefile(args: MakeArgs, start: str) -> tuple[str, KernelMakefile] | None:
    """Find the kernel whose Makefile ``-f`` names, where that is not the one that make would read anyway."""
    for name in reversed(args.files):
        kernel = os.path.normpath(os.path.join(start, os.path.dirname(name)))
        found = read_kernel_makefile(kernel)
        if found is not None and os.path.realpath(kernel) != os.path.realpath(start):
            return kernel, found
    return None


def _as_called_there(
    args: MakeArgs, environ: dict[str, str], start: str, kernel: str, found: KernelMakefile
) -> MakeArgs:
    """Rewrite ``make -f KERNEL/Makefile`` as the ``make -C KERNEL`` that does the same.

    What the top Makefile does not find named it takes to be the folder where make stands: the
    module's output, or, before 6.13 and without a module, the object tree.
    """
    words = ["-C", kernel, *_spelled_out(without_place(args.words), start, _FOLDERS)]
    variables = args.variables
    output = named_output(variables) or found.settings.get("KBUILD_OUTPUT", "")
    if not output and environ.get("KBUILD_OUTPUT"):
        output = os.path.join(start, environ["KBUILD_OUTPUT"])
        words.append(f"O={output}")
    module = named_module(args, environ)
    if module is None or found.version < (6, 13):
        return parse_make_args((*words, *(() if output else (f"O={start}",))))
    objtree = os.path.join(start, output) if output else found.srctree
    stands_there = os.path.realpath(start) in (os.path.realpath(objtree), os.path.realpath(found.srctree))
    stands_there = stands_there or os.path.realpath(start) == os.path.realpath(os.path.join(start, module))
    if not stands_there and not named_module_output(variables, environ):
        words.append(f"MO={start}")
    return parse_make_args(tuple(words))


def _find_kernel(
    start: str, args: MakeArgs, environ: dict[str, str], module: str | None
) -> tuple[str, KernelMakefile, str | None, bool]:
    """Find the kernel for a user who does not stand in it, and whether that is but a guess."""
    named = find_named_kernel(args.variables, environ, start)
    is_module = builds_objects(start)
    if module is None and is_module:
        module = start
    elif module is not None:
        module = os.path.join(start, module)
    if named and (found := read_kernel_makefile(named)) is not None:
        return named, found, module, False
    above = start
    while above != os.path.dirname(above):
        above = os.path.dirname(above)
        found = read_kernel_makefile(above)
        if found is not None and os.path.isdir(os.path.join(above, "scripts")):
            module = None if module == start and not is_module_folder(start) else module
            return above, found, module, False
    if is_module:
        output = named_output(args.variables) or environ.get("KBUILD_OUTPUT")
        stand = os.path.join(start, output) if output else f"{MODULES}/{os.uname().release}/build"
        found = read_kernel_makefile(stand)
        if found is not None:
            return os.path.realpath(stand), found, module, not output
        raise NoTree(f"{stand}: no kernel there to build {start} against; name one with KDIR=DIR or -C DIR")
    raise NoTree(f"{start}: not a kernel tree and not a module folder; go to one, or name it with -C DIR")


def _as_called_in(args: MakeArgs, start: str, stand: str, module: str | None) -> MakeArgs:
    """Rewrite the arguments of a user who stands below the kernel tree as make would need them.

    Nobody can call make there, so they mean what they say seen from where the user stands.
    """
    words = ["-C", stand, *_spelled_out(without_place(args.words), start, _FOLDERS)]
    if module is not None and not {"M", "KBUILD_EXTMOD"} & args.variables.keys():
        words.append(f"M={os.path.relpath(module, stand)}")
    return parse_make_args(tuple(words))


def _spelled_out(words: tuple[str, ...], start: str, names: frozenset[str]) -> tuple[str, ...]:
    """make's words with some folders absolute, so that they mean the same wherever make stands."""
    parts = (word.partition("=") for word in words)
    return tuple(
        f"{name}={os.path.normpath(os.path.join(start, value))}"
        if name in names and value
        else f"{name}{equals}{value}"
        for name, equals, value in parts
    )


def named_output(variables: dict[str, str]) -> str:
    """The object tree as the command line names it; the Makefile's ``KBUILD_OUTPUT := $(O)`` loses against it."""
    return variables.get("KBUILD_OUTPUT") or variables.get("O") or ""


def named_module_output(variables: dict[str, str], environ: dict[str, str]) -> str:
    """The module's output folder as the user names it."""
    return (
        variables.get("KBUILD_EXTMOD_OUTPUT")
        or variables.get("MO")
        or environ.get("KBUILD_EXTMOD_OUTPUT")
        or ""
    )


def named_module(args: MakeArgs, environ: dict[str, str]) -> str | None:
    """The module as the user names it: ``M=`` on the command line, else ``KBUILD_EXTMOD``."""
    module = args.variables.get("M", args.variables.get("KBUILD_EXTMOD", environ.get("KBUILD_EXTMOD", "")))
    module = module.strip(BLANKS)
    if len(split_words(module)) > 1:
        raise UsageError(f"M={module}: make builds one external module folder at a time")
    if refused := next((character for character in ":%" if character in module), ""):
        raise UsageError(f"M={module}: Kbuild builds in no folder whose path has a `{refused}`; rename it")
    if len({os.path.normpath(folder.strip(BLANKS)) for folder in args.modules}) > 1:
        raise UsageError(
            f"{' '.join(f'M={folder}' for folder in args.modules)}: make takes the last one only; name one, or use `kdeps ci`"
        )
    return module.rstrip("/") or ("/" if module else None)
