# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Dependency lists: what compilers really write, read as make reads it."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdeps.formats.depfile import parse_depfile
from tests.support.gnu_make import MAKE, REASON

needs_make = pytest.mark.skipif(MAKE is None, reason=REASON)

NAMES = "sp ace.h|ha#sh.h|do$lar.h|do$$2.h|per%cent.h|co:lon.h|semi;.h|til~de.h|st*ar.h|eq=.h|q'x.h|amp&.h|pa(r).h|br[a].h"
"""The names of the files that the compilers below were given, besides those with backslashes and tabs."""

GCC = (
    rb"""x.o: x.c sp\ ace.h ha\#sh.h do$$lar.h do$$$$2.h per%cent.h co:lon.h \
 back\slash.h back\\\ sp.h bs\\\\\ sp.h semi;.h til~de.h \
 st*ar.h eq=.h tab\	x.h q'x.h amp&.h pa(r).h br[a].h lat"""
    + b"\xe9.h\n"
)
"""``gcc -Wp,-MMD``, gcc 12.2."""

CLANG = (
    rb"""x.o: x.c sp\ ace.h ha\#sh.h do$$lar.h do$$$$2.h per%cent.h co:lon.h \
  back/slash.h back/\ sp.h bs//\ sp.h semi;.h til~de.h st*ar.h \
  eq=.h q'x.h amp&.h pa(r).h br[a].h lat"""
    + b"\xe9.h\n"
)
"""``clang -Wp,-MMD``, clang 19.1: it takes every backslash for a separator of folders."""

RUSTC = rb"""r.rmeta: x.rs sp\ ace.h ha#sh.h do$lar.h per%cent.h co:lon.h back\slash.h semi;.h til~de.h st*ar.h eq=.h q'x.h amp&.h pa(r).h br[a].h

r2.d: x.rs sp\ ace.h ha#sh.h do$lar.h per%cent.h co:lon.h back\slash.h semi;.h til~de.h st*ar.h eq=.h q'x.h amp&.h pa(r).h br[a].h

x.rs:
sp\ ace.h:
ha#sh.h:
do$lar.h:
per%cent.h:
co:lon.h:
back\slash.h:
semi;.h:
til~de.h:
st*ar.h:
eq=.h:
q'x.h:
amp&.h:
pa(r).h:
br[a].h:

# env-dep:FOO_VAR=va#l\nue
# env-dep:NOT_SET
"""
"""``rustc --emit=dep-info=r2.d,metadata=r.rmeta``, rustc 1.85.1: only blanks are escaped."""

KERNEL = b"""rust/kernel.o: /k/rust/kernel/lib.rs /k/rust/kernel/io.rs ./rust/libcore.rmeta

rust/libkernel.rmeta: /k/rust/kernel/lib.rs /k/rust/kernel/io.rs ./rust/libcore.rmeta

rust/.kernel.o.d: /k/rust/kernel/lib.rs /k/rust/kernel/io.rs ./rust/libcore.rmeta

/k/rust/kernel/lib.rs:
/k/rust/kernel/io.rs:
./rust/libcore.rmeta:

# env-dep:CARGO_PKG_VERSION=1
# checksum:blake3=0123 file_len:12 /k/rust/kernel/lib.rs
# checksum:blake3=4567 file_len:34 /k/rust/kernel/io.rs
"""

BINDGEN = b"""rust/bindings/bindings_generated.rs: /k/rust/bindings/bindings_helper.h \\
  /k/include/linux/compiler-version.h \\
  include/generated/autoconf.h
"""

BOOTSTRAP = b"""/b/tools/objtool/fixdep.o \\
  /b/tools/objtool/fixdep.o: fixdep.c \\
  /usr/include/stdio.h /usr/include/features.h
"""


def test_gcc_escapes_as_make_wants_it() -> None:
    """Every name that gcc was given comes back, latin-1 too."""
    names = NAMES.split("|")
    backslashes = ["back\\slash.h", "back\\ sp.h", "bs\\\\ sp.h"]
    expected = ["x.c", *names[:6], *backslashes, *names[6:10], "tab\tx.h", *names[10:], "lat\udce9.h"]
    assert parse_depfile(GCC) == tuple(expected)


def test_clang_turns_backslashes_into_slashes() -> None:
    """Every name that clang was given comes back but for backslashes, which clang replaces."""
    names = NAMES.split("|")
    slashes = ["back/slash.h", "back/ sp.h", "bs// sp.h"]
    expected = ["x.c", *names[:6], *slashes, *names[6:], "lat\udce9.h"]
    assert parse_depfile(CLANG) == tuple(expected)


def test_what_rustc_does_not_escape_is_a_name_all_the_same() -> None:
    """make would take ``#``, ``$l`` and ``;`` for syntax; rustc never writes any, so they are names."""
    names = [name for name in NAMES.split("|") if name != "do$$2.h"]
    expected = ["x.rs", *names[:5], "back\\slash.h", *names[5:]]
    assert parse_depfile(RUSTC) == tuple(expected)


def test_a_crate_has_one_list_for_all_its_outputs() -> None:
    """rustc repeats the list for each output; a file is named once, comments are not names."""
    assert parse_depfile(KERNEL) == (
        "/k/rust/kernel/lib.rs",
        "/k/rust/kernel/io.rs",
        "./rust/libcore.rmeta",
    )


def test_bindgen_writes_as_clang_does() -> None:
    """One rule over several lines."""
    assert parse_depfile(BINDGEN) == (
        "/k/rust/bindings/bindings_helper.h",
        "/k/include/linux/compiler-version.h",
        "include/generated/autoconf.h",
    )


def test_a_target_may_be_named_twice() -> None:
    """tools/ passes ``-Wp,-MT`` besides ``-o``: the target stands there twice."""
    assert parse_depfile(BOOTSTRAP) == ("fixdep.c", "/usr/include/stdio.h", "/usr/include/features.h")


def test_carriage_returns_are_dropped_as_make_does() -> None:
    """A list that went through a Windows checkout reads the same."""
    assert parse_depfile(BINDGEN.replace(b"\n", b"\r\n")) == parse_depfile(BINDGEN)


@pytest.mark.parametrize(
    "data", [b"", b"\n\n", b"no rule\n", b"\x7fELF\0\1", b"# a comment\n", b":\n", b"a.o:\n", b": a.c\n"]
)
def test_what_is_no_list_names_nothing(data: bytes) -> None:
    """A rule has something on either side of its colon."""
    assert parse_depfile(data) == ()


@pytest.mark.parametrize("data", [GCC, CLANG, RUSTC, KERNEL, BINDGEN, BOOTSTRAP])
def test_a_list_cut_off_anywhere_names_what_stands_before(data: bytes) -> None:
    """A compiler that was killed leaves the beginning of its list: all names but the last are right."""
    whole = parse_depfile(data)
    for length in range(len(data)):
        found = parse_depfile(data[:length])
        assert found[:-1] == whole[: max(0, len(found) - 1)]


# -- make --------------------------------------------------------------------


def make_reads(folder: Path, data: bytes) -> tuple[str, ...] | None:
    """The prerequisites that make has of ``x.o`` after it read the list; ``None``: it stopped."""
    (folder / "x.d").write_bytes(data)
    # $(info) for the whole list, since names have blanks in them.
    (folder / "Makefile").write_bytes(
        b"MAKEFLAGS += -rR\nall: x.o\n.PHONY: all x.o\n.DEFAULT: ;\ninclude x.d\nx.o: ; $(info $^)\n"
    )
    assert MAKE is not None
    done = subprocess.run(
        [MAKE, "-s", "-C", str(folder), "--no-print-directory"],
        env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        return None
    return tuple(done.stdout.decode("utf-8", "surrogateescape").removesuffix("\n").split("|"))


@needs_make
@pytest.mark.parametrize(
    "spelled",
    [
        r"a\ b", r"a\#b", "a$$b", "a$$$$b", "a%b", r"a\:b", r"a\b", r"a\\b", r"a\\ b", r"a\\\ b", r"a\\\\ b", "a\\\tb",
        "a\tb", "~a", "a*", "a?b", "a[b", "a=b", "a'b", 'a"b', "a,b", "a&", "a@b", "a!b", "a(b", "\\a", "a\\", r"a\\",
        r"a\%b", r"a\$$b", r"a\~b", "a\udce9b", "\u00e9", "a\u00a0b", "a\u3000b", "\u2028b", "x\\\n  y", "x\\\ny", "x \\\r\n y",
    ],
)  # fmt: skip
def test_an_escape_is_undone_as_make_undoes_it(spelled: str, tmp_path: Path) -> None:
    """For everything gcc and clang write, and more, the words are those that make has."""
    data = f"x.o: before {spelled} after\n".encode("utf-8", "surrogateescape")
    assert make_reads(tmp_path, data) == (" ".join(parse_depfile(data)),)


@needs_make
@pytest.mark.parametrize(
    ("spelled", "make_has", "we_have"),
    [
        ("a#b", "before a", "before a#b after"),
        ("a$b", "before a after", "before a$b after"),
        ("a;b", "before a", "before a;b after"),
        ("a|b", "before a", "before a|b after"),
        ("a:b", None, "before a:b after"),
    ],
)
def test_syntax_that_no_compiler_writes_is_a_name(
    spelled: str, make_has: str | None, we_have: str, tmp_path: Path
) -> None:
    """Where kdeps reads on purpose what make does not: characters that rustc leaves as they are."""
    data = f"x.o: before {spelled} after\n".encode()
    found = make_reads(tmp_path, data)
    assert (found[0] if found else None) == make_has
    assert " ".join(parse_depfile(data)) == we_have


@needs_make
@settings(max_examples=60, deadline=None)
@given(st.lists(st.text("ab.\\ #$\t/é", min_size=1, max_size=6), min_size=1, max_size=4))
def test_any_name_escaped_as_gcc_does_comes_back_from_make_and_from_here(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    """gcc's escaping, make's reading and ours fit together for every name but those ending in a backslash."""
    names = [f"n{name}x" for name in names]  # make drops a `./` at the beginning
    data = f"x.o: {' '.join(map(as_gcc_escapes, names))}\n".encode()
    expected = tuple(dict.fromkeys(names))
    assert parse_depfile(data) == expected
    assert make_reads(tmp_path_factory.mktemp("make"), data) == (" ".join(expected),)


def as_gcc_escapes(name: str) -> str:
    """Escape as gcc does (``munge`` in libcpp/mkdeps.c): backslashes count only before a blank.

    Before a ``#`` gcc leaves them as they are, and make then reads another name; so double them here.
    """
    out = ""
    for at, char in enumerate(name):
        if char in " \t#":
            out += "\\" * (at - len(name[:at].rstrip("\\"))) + "\\"
        out += "$$" if char == "$" else char
    return out


FRAGMENTS = st.sampled_from([b"a.o: ", b"b.h ", b"\\\n", b"\\", b"\n", b":", b"$", b"$$", b"#", b"# env-dep:A=b", b"\r\n", b"\xff", b"\t"])  # fmt: skip


@settings(max_examples=300)
@given(st.lists(FRAGMENTS | st.binary(max_size=6), max_size=20).map(b"".join))
def test_reading_a_list_never_raises(data: bytes) -> None:
    """Whatever the bytes are there is a list, each name once, and the same when asked again."""
    found = parse_depfile(data)
    assert len(set(found)) == len(found)
    assert "" not in found
    assert parse_depfile(data) == found


@pytest.mark.parametrize(
    "unit", [b"b.h ", b"b.h \\\n", b"\\", b"\\ ", b"$", b"\\\n", b"b:\n", b"a: b\n", b"#\n", b" ", b"a"]
)
def test_time_grows_with_the_size_and_no_faster(unit: bytes) -> None:
    """Eight times the bytes take nowhere near 64 times as long, whatever they are."""

    def seconds(count: int) -> float:
        data = b"a.o: \\\n" + unit * (count // len(unit))
        best = 9e9
        for _ in range(2):
            started = time.process_time()
            parse_depfile(data)
            best = min(best, time.process_time() - started)
        return best

    assert seconds(400_000) < 24 * seconds(50_000) + 0.02
