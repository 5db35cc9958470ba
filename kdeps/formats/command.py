# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Find what a recorded command reads and writes, as far as its words show it.

A command is a list of simple commands, as the shell splits it. Each has a program,
files it reads and files it writes (``read_steps``). A file that one of them writes and
a later one reads is an intermediate: neither an input nor an output of the record.

Three facts are found by a search for their words, without taking a compiler's
command apart: the outputs of rustc besides the
target (``--emit=metadata=rust/libkernel.rmeta``), the crates it is given, and
where a compiler leaves its list of what it read.

Source: linux ``scripts/Makefile.build``, ``scripts/Makefile.host``,
``scripts/Makefile.modpost``, ``rust/Makefile``, ``tools/build/Build.include``.
"""

from __future__ import annotations

import os
import re

from kdeps import NamedTuple
from kdeps.formats.cmdfile import unescape
from kdeps.formats.programs import (
    INTERPRETERS,
    SILENT,
    find_files,
    find_usage,
    is_compiler,
    is_external,
    looks_like_path,
)
from kdeps.formats.shell import UNKNOWN, SimpleCommand, split_commands
from kdeps.formats.words import split_words


class Step(NamedTuple):
    """One simple command of a recorded command."""

    program: str
    """As written; empty where only a redirection is left of it."""
    tools: tuple[str, ...]
    """The program or the script, if it belongs to the tree. They are among the inputs too."""
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    responses: tuple[str, ...]
    """``@FILE`` arguments, without the ``@``. They are among the inputs too."""


class CommandFiles(NamedTuple):
    """The files that a command names."""

    inputs: tuple[str, ...]
    """What it reads and does not itself write before, each once, as written."""
    outputs: tuple[str, ...]
    """What it leaves besides the target and its list of what was read."""
    responses: tuple[str, ...]
    tools: tuple[str, ...]
    """Programs and scripts of the tree. They are in ``inputs`` too."""
    unlisted: tuple[str, ...]
    """The inputs of those steps that write no list of what they read."""


_PRINTED = re.compile(r'print\("([^"]*)"\$+0\)')
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=", re.ASCII)
_OPTION_FILE = re.compile(
    r" -f(?:plugin|profile-(?:sample-)?use|sanitize-ignorelist|randomize-layout-seed-file)=(\S+)"
)
_PREFIXES = frozenset(("exec", "command", "time"))
_RUST = frozenset(("rustc", "rustdoc", "clippy-driver"))


def is_compound(command: str) -> bool:
    """Whether a command may be several: it has a character that could separate them."""
    return ";" in command or "|" in command or "&" in command


def names_more(command: str) -> bool:
    """Whether a compiler's command may name inputs that its list leaves out: files of flags, plugins, profiles."""
    return "--emit=" in command or is_compound(command) or _OPTION_FILE.search(command) is not None


def find_option_files(command: str) -> list[str]:
    """Find the files that options of a compiler name and its list leaves out: plugins, profiles, what a seed is in."""
    return _OPTION_FILE.findall(unescape(command))


def find_emitted(command: str) -> list[str]:
    """Find the files that rustc is made to write (``--emit=KIND=PATH``), dep-info apart.

    What a later command reads (``; llvm-link rust/kernel.bc …``) is an intermediate, and left out.
    """
    first, _, later = command.partition(";")
    found: list[str] = []
    for part in first.split("--emit=")[1:]:
        for output in part.partition(" ")[0].split(","):
            kind, equals, path = output.partition("=")
            if equals and kind != "dep-info" and (kind == "obj" or path not in later):
                found.append(path)
    return found


def find_depfile(command: str) -> str | None:
    """Find the file the compiler writes its dependency list to; None if it writes none."""
    for opening in ("--emit=dep-info=", "-Wp,-MMD,", "-Wp,-MD,"):
        at = command.find(opening)
        if at >= 0:
            start = at + len(opening)
            end = command.find(" ", start)
            return command[start : end if end >= 0 else len(command)].split(",")[0]
    return None


def find_externs(command: str) -> list[str]:
    """Find the crates that rustc is given to link (``--extern NAME`` or ``NAME=PATH``)."""
    found: list[str] = []
    for part in command.split("--extern ")[1:]:
        word = part.split(None, 1)[:1]
        # `noprelude:core=PATH`: options, then a name, then perhaps a path
        found += [w.partition("=")[0].rpartition(":")[2] for w in word]
    return found


def find_search_folders(command: str) -> list[str]:
    """Find the folders where rustc looks for crates (``-L FOLDER``)."""
    return [part.split(None, 1)[0] for part in command.split(" -L ")[1:] if part.strip()]


def read_steps(command: str) -> list[Step]:
    """Take a recorded command, still escaped for make, apart into its steps."""
    found: list[Step] = []
    for simple in split_commands(unescape(command)):
        step = _read_step(simple) if simple.words[:1] != ["cd"] else None
        if step is not None:
            found.append(_move(step, simple.folder) if simple.folder else step)
    return found


def _move(step: Step, folder: str) -> Step:
    """Name the files of a step that runs in another folder as they are named from outside."""

    def moved(names: tuple[str, ...]) -> tuple[str, ...]:
        return _files([os.path.normpath(os.path.join(folder, name)) for name in names])

    return step._replace(
        tools=moved(step.tools),
        inputs=moved(step.inputs),
        outputs=moved(step.outputs),
        responses=moved(step.responses),
    )


def parse_command(command: str, target: str) -> CommandFiles:
    """Find the files that a command names, as recorded, still escaped for make; the target is neither input nor
    output.
    """
    inputs: dict[str, None] = {}
    unlisted: dict[str, None] = {}
    written: dict[str, None] = {}
    left: dict[str, None] = {}
    responses: dict[str, None] = {}
    tools: dict[str, None] = {}
    for step in read_steps(command):
        fresh = dict.fromkeys(name for name in step.inputs if name not in written and name != target)
        inputs.update(fresh)
        if not any(name.endswith(".d") for name in step.outputs):
            unlisted.update(fresh)
        responses.update(dict.fromkeys(name for name in step.responses if name in fresh))
        tools.update(dict.fromkeys(name for name in step.tools if name in fresh))
        for name in step.inputs:
            left.pop(name, None)
        written.update(dict.fromkeys(step.outputs))
        left.update(dict.fromkeys(name for name in step.outputs if name not in inputs))
    left.pop(target, None)
    outputs = tuple(name for name in left if not name.endswith(".d"))
    return CommandFiles(tuple(inputs), outputs, tuple(responses), tuple(tools), tuple(unlisted))


def parse_members(command: str) -> tuple[str, ...]:
    """Find the objects that a ``.mod`` file's command lists.

    ``printf '%s\\n' a.o b.o | awk '!x[$$0]++ { print("sub/"$$0) }' > sub/m.mod`` (6.1: ``echo`` for ``printf``).
    """
    listing, pipe, awk = command.partition("|")
    words = split_words(listing)
    if not pipe or words[:1] not in (["printf"], ["echo"]):
        return ()
    names = words[2:] if words[0] == "printf" else words[1:]
    printed = _PRINTED.search(awk)
    prefix = printed[1] if printed else ""
    return tuple(prefix + name for name in names if not name.startswith(("-", ">")))


def _read_step(simple: SimpleCommand) -> Step | None:
    """Say what one simple command reads and writes; None if it has to do with no file."""
    words = simple.words
    at = 0
    while at < len(words) and "=" in words[at] and _ASSIGNMENT.match(words[at]):
        at += 1
    words = words[at:]
    if words[:1] == ["xargs"]:
        words = [word for word in words[1:] if not word.startswith("-")] + _printed(simple.piped)
    words = _without_wrapper(_without_prefix(words))
    program, arguments = (words[0], words[1:]) if words else ("", [])
    name = program.rpartition("/")[2]
    if name in SILENT:
        listed = _listed(arguments) if name == "echo" and simple.piped is None and not simple.writes else []
        if not listed and not simple.reads and not simple.writes:
            return None
        return Step(program, (), _files(listed + simple.reads), _files(simple.writes), ())
    tools: list[str] = []
    if name in INTERPRETERS:
        program, arguments, tools = _find_script(program, arguments)
    elif "/" in program and not is_external(program) and UNKNOWN not in program:
        tools = [program]
    responses = [word[1:] for word in arguments if word[:1] == "@" and len(word) > 1]
    if responses:
        arguments = [word for word in arguments if word[:1] != "@"]
    reads, writes = _find_files(program, arguments)
    return Step(
        program,
        tuple(tools),
        _files([*tools, *responses, *reads, *simple.reads]),
        _files([*writes, *simple.writes]),
        _files(responses),
    )


def _find_files(program: str, arguments: list[str]) -> tuple[list[str], list[str]]:
    """Sort a program's arguments into what it reads and what it writes."""
    name = program.rpartition("/")[2]
    if name == "dd":
        return (
            [word[3:] for word in arguments if word.startswith("if=")],
            [word[3:] for word in arguments if word.startswith("of=")],
        )
    usage = find_usage(program)
    if name in _RUST:
        reads, writes = find_files(usage, arguments)
        for before, word in zip(["", *arguments], arguments, strict=False):
            if word.startswith("--emit="):
                writes += [output.partition("=")[2] for output in word[7:].split(",")]
            elif word.startswith("--target=") and "/" in word:
                reads.append(word[9:])
            elif before == "--extern":
                reads.append(word.partition("=")[2])
        return reads, writes
    if "--" in arguments and name.startswith("bindgen"):
        at = arguments.index("--")
        reads, writes = find_files(usage, arguments[:at])
        more, lists = find_files(find_usage("clang"), arguments[at + 1 :])
        return reads + more, writes + lists
    return find_files(usage, arguments)


def _find_script(interpreter: str, arguments: list[str]) -> tuple[str, list[str], list[str]]:
    """Find the script that an interpreter is given: it, its arguments, and itself as a tool."""
    code = ("-c",) if interpreter.endswith("sh") or "python" in interpreter else ("-e", "-ne", "-pe")
    at = 0
    while at < len(arguments) and arguments[at].startswith("-") and arguments[at] not in code:
        at += 1
    if at == len(arguments) or arguments[at].startswith("-"):
        return interpreter, arguments[at + 2 :], []
    script = arguments[at]
    # A script without a folder is found in the working directory: `sh ./x.sh`, `sh x.sh`.
    program = script if "/" in script else f"./{script}"
    return program, arguments[at + 1 :], [script]


def _without_prefix(words: list[str]) -> list[str]:
    """Drop a word of the shell that runs the rest in its own way: ``exec cc …``."""
    at = 0
    while at + 1 < len(words) and words[at] in _PREFIXES and not words[at + 1].startswith("-"):
        at += 1
    if words[at : at + 1] == ["for"] and "in" in words[at + 2 : at + 3]:
        return ["cat", *filter(looks_like_path, words[at + 3 :])]
    return words[at:]


def _without_wrapper(words: list[str]) -> list[str]:
    """Drop what only runs another program, with its own words: ``ccache clang …``, ``env A=1 nice -n 5 rustc …``."""
    if not words or find_usage(words[0]) is not None or not is_external(words[0]):
        return words
    if words[0].rpartition("/")[2] in INTERPRETERS:
        return words
    at = 1
    while at < len(words) and _ASSIGNMENT.match(words[at]):
        at += 1
    if at < len(words) and is_external(words[at]) and find_usage(words[at]) is not None:
        return words[at:]
    # A wrapper that has options may give each a value. Which ones, only the wrapper knows.
    compiler = next((at for at, word in enumerate(words) if is_external(word) and is_compiler(word)), 0)
    return words[compiler:]


def _printed(words: list[str] | None) -> list[str]:
    """The names that ``printf "PREFIX%s " a b`` prints."""
    if not words or words[0] != "printf" or len(words) < 2:
        return []
    prefix = words[1].partition("%s")[0]
    return [prefix + word for word in words[2:] if not word.startswith("-")]


def _listed(arguments: list[str]) -> list[str]:
    """The names that ``echo a.o`` puts into a list; up to 6.2 modules.order names the ``.ko`` made from the ``.o``."""
    return [f"{word[:-3]}.o" if word.endswith(".ko") else word for word in arguments if looks_like_path(word)]


def _files(names: list[str]) -> tuple[str, ...]:
    """Keep the words that can name a file of the tree: no device, no variable of the shell."""
    return tuple(
        [name for name in names if name and name != "-" and UNKNOWN not in name and name[:5] != "/dev/"]
    )
