# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What a program does with its words: which of them are files that it reads, and which it writes.

One table row for each program, keyed by the name of its file. A program without a row
is judged by its words: what could be a path is read. The caller knows the target of the
command and takes it for an output in any case, so most programs of the kernel need no row.

Source: the manuals of the tools; linux ``scripts/``, ``tools/objtool``, ``usr/``.
"""

from __future__ import annotations

import re
from enum import Enum

from kdeps import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


class Operands(Enum):
    """What the words that are no options are."""

    READ = "read"
    GUESSED = "read, if they look like paths"
    NONE = "no files"
    WRITTEN = "written"
    IN_PLACE = "read and written"
    LAST_WRITTEN = "read, the last one written"
    COPY = "one read, the second written; one alone is changed in place"
    FIRST = "one read"
    ARCHIVE = "a key, perhaps a position, an archive, its members"


class Usage(NamedTuple):
    """How to read the words of one program."""

    operands: Operands = Operands.READ
    script: frozenset[str] = frozenset()
    """Options whose value replaces the first operand, which is otherwise a program text and no file."""
    takes: frozenset[str] = frozenset()
    """Options followed by a word that is no file."""
    reads: frozenset[str] = frozenset()
    """Options followed by, or joined by ``=`` with, a file that is read."""
    writes: frozenset[str] = frozenset(("-o",))
    """The same for a file that is written."""
    implied: tuple[str, ...] = ()
    """Files that it reads and no word names."""


def _usage(
    operands: Operands = Operands.READ, *, script: str = "", takes: str = "", reads: str = "",
    writes: str = "-o", implied: str = "",
) -> Usage:  # fmt: skip
    return Usage(
        operands,
        frozenset(script.split()),
        frozenset(takes.split()),
        frozenset(reads.split()),
        frozenset(writes.split()),
        tuple(implied.split()),
    )


_READ = _usage(writes="")
_NONE = _usage(Operands.NONE, writes="")
_WRITTEN = _usage(Operands.WRITTEN, takes="-s -d -t -r -m", writes="")
_COMPILER = _usage(
    takes="-I -L -D -U -x -isystem -idirafter -iquote -iprefix -iwithprefix -isysroot -arch -target -Xclang -Xlinker"
    " -Xassembler -Xpreprocessor -mllvm --param -z -u -MT -MQ -e -aux-info -B -l -G -A",
    reads="-include -imacros -T -fplugin -fprofile-sample-use -fprofile-use -fsanitize-ignorelist"
    " -frandomize-layout-seed-file",
    writes="-o -MF",
)
_LINKER = _usage(
    takes="-m -z -soname -h -e -u -y -L -l -rpath -rpath-link -dynamic-linker --defsym -A -I -b --format -plugin-opt"
    " -mllvm",
    reads="-T --script -R --just-symbols --version-script --dynamic-list",
    writes="-o -Map",
)
_RUSTC = _usage(
    takes="--crate-type --crate-name --edition --cfg --check-cfg --extern -L -C -Z -A -W -D -F -l --cap-lints --explain"
    " --out-dir --print --error-format --color --codegen --allow --warn --deny --forbid",
    reads="--test-builder",
)
_BINDGEN = _usage(Operands.FIRST, takes="--rust-target --ctypes-prefix")
_SED = _usage(script="-e -f --expression --file", takes="-e --expression -l", reads="-f --file", writes="")
_AWK = _usage(script="-f --file", takes="-v -F", reads="-f --file", writes="")
_GREP = _usage(script="-e -f --regexp --file", takes="-e --regexp -m -A -B -C", reads="-f --file", writes="")
_COPY = _usage(
    Operands.COPY,
    takes="-O -I -B -F -j -R -K -N -G -L -W --redefine-sym --set-section-flags --rename-section --remove-section"
    " --strip-symbol --add-symbol --prefix-symbols",
    writes="--dump-section",
)
_LAST_WRITTEN = _usage(Operands.LAST_WRITTEN, takes="-t -m -o -g", writes="")

_TOOLCHAIN = {
    **dict.fromkeys(("gcc", "g++", "cc", "c++", "cpp", "clang", "clang++", "clang-cpp", "as"), _COMPILER),
    **dict.fromkeys(("ld", "ld.bfd", "ld.gold", "ld.lld", "lld", "mold"), _LINKER),
    "ar": _usage(Operands.ARCHIVE, writes=""),
    "ranlib": _usage(Operands.IN_PLACE, writes=""),
    "objcopy": _COPY,
    "strip": _usage(Operands.IN_PLACE, takes="-K -N -R", writes="-o"),
    **dict.fromkeys(("nm", "readelf", "objdump", "size"), _usage(takes="-j -m -M -p", writes="")),
}
"""Programs whose file may also be called ``llvm-ar`` or ``aarch64-linux-gnu-ld.bfd``."""

SILENT = frozenset(
        ("rm", "rmdir", "mkdir", "echo", "printf", "true", "false", ":", "test", "[", "exit", "exec", "cd", "set",
         "unset", "export", "command", "type", "which", "chmod", "date", "stat", "basename", "dirname", "read", "wait",
         "shift", "return", "expr", "tr", "for", "case", "esac", "in", "trap", "umask", "sleep", "uname", "id")
)  # fmt: skip
"""Programs and words of the shell whose words name no file that is read or written."""

_SYSTEM = {
    **_TOOLCHAIN,
    **dict.fromkeys(("rustc", "rustdoc", "clippy-driver"), _RUSTC),
    "bindgen": _BINDGEN,
    "llvm-link": _usage(takes="--only-needed"),
    **dict.fromkeys(("sed", "gsed"), _SED),
    **dict.fromkeys(("awk", "gawk", "mawk", "nawk"), _AWK),
    **dict.fromkeys(("grep", "egrep", "fgrep"), _GREP),
    **dict.fromkeys(("cp", "mv", "ln", "install"), _LAST_WRITTEN),
    **dict.fromkeys(("touch", "truncate", "tee"), _WRITTEN),
    **dict.fromkeys(
        ("cat", "gzip", "bzip2", "xz", "lzma", "lzop", "lz4", "zstd", "sha1sum", "sha256sum", "md5sum", "cmp", "diff",
         "wc", "bc", "gunzip", "zcat", "base64", "uniq"),
        _READ,
    ),
    "hexdump": _usage(takes="-e -f -n -s", writes=""),
    **dict.fromkeys(("head", "tail", "sort", "od", "xxd", "cut"), _usage(takes="-n -c -k -t -s -l -d -f -A -N -j", writes="-o")),
    **dict.fromkeys(SILENT, _NONE),
    "flex": _usage(takes="-P", writes="-o"),
    "bison": _usage(takes="-p", writes="-o --defines"),
    "openssl": _usage(Operands.NONE, reads="-config -in -inkey -CA -CAkey", writes="-out -keyout"),
    "make": _usage(Operands.NONE, reads="-f", takes="-C", writes=""),
    "cpio": _usage(Operands.NONE, reads="-I", writes="-O"),
    "pahole": _usage(Operands.IN_PLACE, takes="--lang_exclude --btf_features", reads="--btf_base"),
    ".": _READ,
    "source": _READ,
}  # fmt: skip

_TREE = {
    "dtc": _usage(takes="-b -I -O -i -W -E -S -p -a -V -H", writes="-o -d"),
    "modpost": _usage(takes="-d", reads="-i -T", writes="-o"),
    "objtool": _usage(Operands.IN_PLACE, writes="-o"),
    "genksyms": _usage(Operands.NONE, reads="-r", writes="-T"),
    "gendwarfksyms": _usage(writes="--symtypes"),
    "gen_initramfs.sh": _usage(takes="-u -g -d", writes="-o -l"),
    "genheaders": _usage(Operands.WRITTEN, writes=""),
    "gen_header.py": _usage(Operands.NONE, takes="--rnn", reads="--xml", writes=""),
    # From vmlinux.a on (6.1) the script links it and no word says so.
    "link-vmlinux.sh": _usage(Operands.NONE, writes="", implied="vmlinux.a"),
    # It is given a whole compiler command, which it runs on a list of its own.
    "checksyscalls.sh": _usage(Operands.NONE, writes=""),
}
"""Programs and scripts of the kernel that do something else with a word than it looks."""

INTERPRETERS = frozenset(("sh", "bash", "dash", "ksh", "python", "python3", "perl", "ruby"))
"""Programs that are given a script; what the script does with its words is another question."""

_GUESSED = _usage(Operands.GUESSED, writes="-o")
_VERSION = re.compile(r"-\d+(?:\.\d+)*$")
_PATH = re.compile(r".*/|[^.]*[^.]\.[A-Za-z_]", re.DOTALL)


def is_external(program: str) -> bool:
    """Whether a program comes from outside the tree: found in PATH, or in a folder for programs.

    Its folder decides and not what the path begins with: a kernel tree may be in ``/usr/src``.
    """
    folder, slash, _ = program.rpartition("/")
    return not slash or folder.endswith("bin") or "/libexec/" in program


def find_usage(program: str) -> Usage | None:
    """Find how to read the words of a program; None if no row describes it."""
    name = program.rpartition("/")[2]
    if not is_external(program) and name in _TREE:
        return _TREE[name]
    known = _SYSTEM.get(name)
    if known is None and is_external(program):
        name = _VERSION.sub("", name)
        known = _SYSTEM.get(name) or _TOOLCHAIN.get(name.rpartition("-")[2])
    return known


def is_compiler(program: str) -> bool:
    """Whether a program is a compiler or a linker, whatever its version and its target."""
    return any(find_usage(program) is usage for usage in (_COMPILER, _LINKER, _RUSTC, _BINDGEN))


def find_files(usage: Usage | None, arguments: list[str]) -> tuple[list[str], list[str]]:
    """Sort a program's arguments into files it reads and files it writes; ``@FILE`` arguments left out."""
    usage = usage or _GUESSED
    reads: list[str] = list(usage.implied)
    writes: list[str] = []
    operands: list[str] = []
    scripted = not usage.script
    options = True
    words = iter(arguments)
    for word in words:
        if not options or word[:1] != "-" or word == "-":
            operands.append(word)
        elif word == "--":
            options = False
        else:
            scripted = scripted or word in usage.script or _ends_in_script(word, usage)
            _read_option(word, usage, words, reads, writes)
    if not scripted and operands:
        del operands[0]
    _sort_operands(usage.operands, operands, reads, writes)
    if usage is _SED and any(re.match(r"-[A-Za-z]*i", word) for word in arguments):
        writes += reads
    return reads, writes


def _read_option(
    word: str, usage: Usage, following: Iterator[str], reads: list[str], writes: list[str]
) -> None:
    """Read one option, with the word behind it if that is its value."""
    if word in usage.reads:
        reads.append(next(following, ""))
    elif word in usage.writes:
        writes.append(next(following, ""))
    elif word in usage.takes or _ends_in_script(word, usage):
        next(following, "")
    elif "=" in word:
        name, _, value = word.partition("=")
        if name in usage.reads:
            reads.append(value)
        elif name in usage.writes:
            writes.append(value)
    elif word.startswith(("-Wp,-MMD,", "-Wp,-MD,")) or (word[:2] == "-o" and "-o" in usage.writes):
        writes.append(word.rpartition(",")[2] if word[1] == "W" else word[2:])


def _ends_in_script(word: str, usage: Usage) -> bool:
    """Whether a bundle of letters ends in the one whose value is a program text: ``sed -ne 's…'``."""
    return (
        len(word) > 2
        and word[1] != "-"
        and word[1:].isalpha()
        and f"-{word[-1]}" in usage.script & usage.takes
    )


def _sort_operands(kind: Operands, operands: list[str], reads: list[str], writes: list[str]) -> None:
    if kind is Operands.READ:
        reads += operands
    elif kind is Operands.GUESSED:
        reads += [word for word in operands if looks_like_path(word)]
    elif kind is Operands.WRITTEN:
        writes += operands
    elif kind is Operands.IN_PLACE or (kind is Operands.COPY and len(operands) == 1):
        if writes:  # `strip -o OUT IN`
            reads += operands
        else:
            reads += operands
            writes += operands
    elif kind in (Operands.LAST_WRITTEN, Operands.COPY):
        reads += operands[:-1]
        writes += operands[-1:]
    elif kind is Operands.FIRST:
        reads += operands[:1]
    elif kind is Operands.ARCHIVE and operands:
        key, rest = operands[0], operands[1:]
        if not set("abi").isdisjoint(key) and not key.startswith("t"):
            del rest[:1]
        reads += rest[:1] if key[:1] in "tpx" else rest[1:]
        writes += [] if key[:1] in "tpx" else rest[:1]


def looks_like_path(word: str) -> bool:
    """Whether a word could name a file: it has a slash, or an ending that begins with a letter."""
    return _PATH.match(word) is not None and " " not in word and "\n" not in word and not word[:1].isdigit()
