# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Read one record: a ``.<target>.cmd`` file, in every dialect Kbuild writes.

The accepted shapes, all of them from real trees::

    savedcmd_T := COMMAND            6.2 and later; "cmd_T" before, and under tools/

    source_T := FILE                 only where fixdep ran

    deps_T := \\
        $(wildcard include/config/NAME) \\
      FILE \\

    T: $(deps_T)

    $(deps_T):

    T: $(wildcard PATH/objtool)      appended where objtool runs on T
    #SYMVER name 0x0123abcd          appended by gendwarfksyms

and, where tools/ had no fixdep yet, ``# cannot find fixdep (…)`` followed by
gcc's own ``A A: src \\`` list and the command.

A record can also be cut off: by a full disk, by ``kill -9``, by a failing
fixdep. What make does then depends on *where*, so the place is part of the
value (``RecordState``) and never an exception, least of all an empty list: "no
prerequisites" would read as "up to date".

Source: linux ``scripts/Kbuild.include``, ``scripts/basic/fixdep.c``,
``tools/build/Build.include``; the cut-off cases by experiment with make 4.4.1.
"""

from __future__ import annotations

import re
from enum import Enum

from kdeps import NamedTuple
from kdeps.formats.makelines import Words, expand, find_closing, is_open, logical_lines, without_comment
from kdeps.formats.words import BLANKS, split_words


class RecordState(Enum):
    """How much of a record is there, and what make makes of it."""

    COMPLETE = "complete"
    """The command, and the whole list of prerequisites."""
    COMMAND_ONLY = "command only"
    """Just the command: what ``if_changed`` (without ``_dep``) writes."""
    EMPTY = "empty"
    """No byte in it. make knows no command, so it runs the rule again."""
    CUT_COMMAND = "cut off in the command"
    """The line of the command has no end. make sees a changed command."""
    CUT_LIST = "cut off in the list of prerequisites"
    """make accepts it and silently forgets what is not there.

    Of a list that is cut off it forgets *every* prerequisite; only where the cut
    comes behind the list, in objtool's line, are there prerequisites left.
    """
    BROKEN = "not a record that make can read"
    """make stops with an error (``missing separator``, ``unterminated call``) or reads nonsense."""


class Record(NamedTuple):
    """The content of one ``.cmd`` file."""

    target: str
    """As make named it: relative or absolute, never made canonical here."""
    command: str
    """The recorded command, still escaped for make (see ``unescape``)."""
    source: str | None
    """The first file of the dep-info. fixdep does not repeat it in the list."""
    prerequisites: tuple[str, ...]
    """``deps_``, without the configuration wildcards, in file order."""
    config: tuple[str, ...]
    """Names from ``$(wildcard include/config/NAME)``, duplicates kept."""
    optional: tuple[str, ...]
    """Files in any other ``$(wildcard …)``: a prerequisite only while they exist."""
    state: RecordState
    record_problem: str
    """For a record that is not whole: the line and what is wrong with it; else empty."""
    versioned: bool = False
    """Symbol versions were computed from its object: ``#SYMVER`` lines follow."""


_PREFIXES = ("savedcmd_", "cmd_")
_WILDCARD = "  $(wildcard include/config/"
"""How an entry for a configuration symbol begins, two blanks of its line taken off."""
_ODD = re.compile(r"[#%:;|$ \t\n]|\\$")
"""What make does not take for a part of a name."""
_RAW = "# cannot find fixdep"
_STOPS = re.compile(r"[%;:|\x00-\x1f]|\\$")
"""Names on which make stops, or which it takes for something else than a name."""
_CUT = "the list of prerequisites is cut off"


class Entries(dict[str, "str | tuple[str] | None"]):
    """What an entry of a list means, looked at once: a file, a configuration symbol (in a tuple), or
    nothing that fixdep writes (``None``).

    The records of a tree have millions of entries, a few thousand of them different.
    """

    def __missing__(self, entry: str) -> str | tuple[str] | None:
        value: str | tuple[str] | None = None
        if entry.startswith(_WILDCARD):
            name = entry[28:-1]
            if entry[-1] == ")" and name and f"_{name}".isidentifier():
                value = (name,)
        elif entry and not _ODD.search(entry):
            value = entry
        self[entry] = value
        return value


def parse_record(data: bytes, entries: Entries | None = None) -> Record:
    """Parse the contents of one ``.cmd`` file. Never raises: ``state`` of the record says whether it is whole.

    Decoded with ``surrogateescape``, because a path is bytes. ``entries`` is what is known from the records before;
    grows.
    """
    text = data.decode("utf-8", "surrogateescape")
    if not text.strip("\n\0 \t"):
        # A file of nothing but NULs is what some file systems leave after a
        # power cut; make reads it as one empty line.
        return _broken("", "", RecordState.EMPTY, "the file is empty")
    if "\r" in text:
        text = text.replace("\r\n", "\n")  # make drops a CR before a newline
    if text[0] == "#":
        return _parse_raw(text)
    head, newline, rest = text.partition("\n")
    for prefix in _PREFIXES:
        if head.startswith(prefix):
            break
    else:
        if not newline and any(p.startswith(head) for p in _PREFIXES):
            return _broken("", "", RecordState.BROKEN, "line 1: cut off before the command")
        return _broken("", "", RecordState.BROKEN, "line 1: no savedcmd_ line")
    target, assignment, command = head[len(prefix) :].partition(" :=")
    if not newline:
        # A cut that leaves no colon is "missing separator" to make, one inside
        # `$(pound)` is "unterminated variable reference".
        readable = not is_open(command) and (assignment or target.endswith(" :"))
        state = RecordState.CUT_COMMAND if readable else RecordState.BROKEN
        return _broken(target.removesuffix(" :"), command, state, "line 1: cut off inside the command")
    if not assignment or not target or "\0" in text or is_open(command):
        return _broken(target, command, RecordState.BROKEN, "line 1: not an assignment")
    if not rest or not rest.strip(BLANKS):
        return Record(target, command, None, (), (), (), RecordState.COMMAND_ONLY, "")
    known = Entries() if entries is None else entries
    return _parse_list(target, command, rest, known) or _parse_odd(target, command, rest)


def _parse_list(target: str, command: str, rest: str, entries: Entries) -> Record | None:
    """Parse what follows the command's line as fixdep writes it. Returns None if it differs from that.

    This is the way of nearly every record, and most of the time of a check goes
    into it: whole strings are looked at, not characters.
    """
    opening = f"\ndeps_{target} := \\\n"
    start = rest.find(opening)
    if start < 0:
        return None
    source = None
    above = rest[:start].strip("\n")
    if above:
        name, _, value = above.partition(" := ")
        if name != f"source_{target}" or "\n" in value or "$" in value or "#" in value:
            return None
        source = value
    start += len(opening)
    end = rest.find("\n\n", start - 1)
    use = f"{target}: $(deps_{target})\n"
    if end < 0 or not rest.startswith(use, end + 2):
        return None
    prerequisites: list[str] = []
    config: list[str] = []
    body = rest[start:end]
    if body:
        if not body.startswith("  ") or not body.endswith(" \\"):
            return None
        values = list(map(entries.__getitem__, body[2:-2].split(" \\\n  ")))
        if None in values:
            return None
        prerequisites = [value for value in values if value.__class__ is str]
        config = [value[0] for value in values if value.__class__ is tuple]
    tail = rest[end + 2 + len(use) :]
    silencer = f"\n$(deps_{target}):\n"
    if not tail.startswith(silencer):
        return None
    tail = tail[len(silencer) :]
    optional: list[str] = []
    if tail and not _read_tail(target, tail, optional):
        return None
    return Record(
        target,
        command,
        source,
        tuple(prerequisites),
        tuple(config),
        tuple(optional),
        RecordState.COMPLETE,
        "",
        "#SYMVER " in tail,
    )


def _read_tail(target: str, tail: str, optional: list[str]) -> bool:
    """Read the lines that objtool and gendwarfksyms append; False for any other."""
    opening = f"{target}: $(wildcard "
    for line in tail.split("\n"):
        if not line or line[0] == "#":
            continue
        names = line[len(opening) : -1]
        if (
            not line.startswith(opening)
            or line[-1] != ")"
            or not names.isprintable()
            or "$" in names
            or ")" in names
        ):
            return False
        optional.extend(split_words(names))
    return True


def _parse_odd(target: str, command: str, rest: str) -> Record:
    """Read a record that is cut off or has unusual names in it, line by line, as make does.

    make joins lines that end in a backslash, drops comments, takes what has
    ``:=`` for an assignment and what else has a colon, once expanded, for a rule.
    A reference without its closing parenthesis stops it, and so does a line that
    is neither. Any other damage it accepts without a word.
    """
    source: str | None = None
    deps: Words | None = None
    used: Words | None = None
    dangling = ""
    found: list[str] = []
    optional: list[str] = []
    number = 1
    for line, length in logical_lines(rest):
        number += length
        at = f"line {number}: "
        line = without_comment(line)
        if not line.strip(BLANKS):
            continue
        if is_open(line):
            return _broken(target, command, RecordState.BROKEN, f"{at}cut off, make stops there")
        name, assignment, value = line.partition(" :=")
        if assignment and name == f"source_{target}":
            source = value.strip(BLANKS) or None
        elif assignment and name == f"deps_{target}":
            deps = expand(value)
        elif line.rstrip(BLANKS) in (f"source_{target} :", f"deps_{target} :"):
            dangling = at  # cut off between `:` and `=`: to make a rule without a recipe
        elif line.startswith(f"{target}:"):
            use = line[len(target) + 1 :].strip(BLANKS)
            if use == f"$(deps_{target})":
                if deps is None or deps is used:
                    continue  # make takes a name that is listed again for the same prerequisite
                if _has_stopper(deps):
                    return _broken(target, command, RecordState.BROKEN, f"{at}a name in the list stops make")
                used = deps
                found += deps.names
            elif use.startswith("$(wildcard ") and find_closing(use, 2) == len(use) and "$" not in use[2:]:
                optional += split_words(use[11:-1])
            elif use:
                return _broken(target, command, RecordState.BROKEN, f"{at}names a file that no rule makes")
            else:
                dangling = at
        elif line.rstrip(BLANKS) == f"$(deps_{target}):":
            if deps is not None and deps is not used and _has_stopper(deps):
                return _broken(target, command, RecordState.BROKEN, f"{at}a name in the list stops make")
        elif line.rstrip(BLANKS) != f"$(deps_{target})" or deps is None or deps.names:
            return _broken(target, command, RecordState.BROKEN, f"{at}neither an assignment nor a rule")
    config = deps.config if deps and used else []
    if deps and used:
        optional = deps.optional + optional
    state, where = RecordState.COMPLETE, ""
    if source is None and deps is None and not dangling:
        state = RecordState.COMMAND_ONLY
    elif not used or dangling:
        state, where = RecordState.CUT_LIST, f"{dangling or f'line {number}: '}{_CUT}"
    return Record(target, command, source, tuple(found), tuple(config), tuple(optional), state, where)


def _has_stopper(words: Words) -> bool:
    return any(_STOPS.search(name) for name in words.names)


def unescape(command: str) -> str:
    """Turn a recorded command back into what the shell was given."""
    return command.replace("$(pound)", "#").replace("$$", "$").strip(BLANKS)


def _broken(target: str, command: str, state: RecordState, where: str) -> Record:
    return Record(target, command, None, (), (), (), state, where)


def _parse_raw(text: str) -> Record:
    """Parse the bootstrap form of tools/, written before fixdep exists.

    ``A A: src hdr \\`` (A is the target, twice: ``-Wp,-MT`` and gcc's own), then
    ``cmd_A := …``.
    """
    target, command = "", ""
    rules: list[tuple[list[str], list[str]]] = []
    number = 0
    for line, length in logical_lines(text):
        number += length
        at = f"line {number}: "
        line = without_comment(line)
        if is_open(line) or "\0" in line:
            return _broken(target, "", RecordState.BROKEN, f"{at}cut off, make stops there")
        if line.startswith(_PREFIXES):
            name, assignment, command = line.partition(" :=")
            target = name.partition("_")[2].removesuffix(" :")
            if not target or (not assignment and not name.endswith(" :")):
                return _broken(target, "", RecordState.BROKEN, f"{at}cut off before the command")
        elif ":" in line:
            names, _, listed = line.partition(":")
            rules.append((split_words(names), split_words(listed)))
            if any(char in listed for char in "$%;:|"):
                return _broken("", "", RecordState.BROKEN, f"{at}a name in the list stops make")
        elif line.strip(BLANKS):
            return _broken("", "", RecordState.BROKEN, f"{at}neither a rule nor a command")
    if not command or not text.endswith("\n"):
        return _broken(
            target, command, RecordState.CUT_COMMAND, f"line {number}: cut off before the command's end"
        )
    if len(rules) != 1 or set(rules[0][0]) != {target} or not rules[0][1]:
        return _broken(target, command, RecordState.BROKEN, "not one list of what its target is made from")
    source, *prerequisites = rules[0][1]
    return Record(target, command, source, tuple(prerequisites), (), (), RecordState.COMPLETE, "")
