# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Records: every dialect to exactly the right values, every damage as make takes it."""

from __future__ import annotations

import string
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdeps.formats.cmdfile import Record, RecordState, parse_record, unescape
from tests.make_reads import MAKE, REASON, Case, Reading, read_records

RECORDS = Path(__file__).with_name("data") / "records"
NAMES = sorted(path.stem for path in RECORDS.glob("*.cmd"))

needs_make = pytest.mark.skipif(MAKE is None, reason=REASON)

BUILD = "/root/build-7.2"
SOURCE = "/root/linux-7.2"


def captured(name: str) -> bytes:
    return (RECORDS / f"{name}.cmd").read_bytes()


def command_line(data: bytes) -> bytes:
    """The line with the command, found without the parser."""
    (line,) = [line for line in data.split(b"\n") if line.startswith((b"savedcmd_", b"cmd_"))]
    return line


def record(
    data: bytes,
    target: str,
    *,
    source: str | None = None,
    prerequisites: str = "",
    config: str = "",
    optional: str = "",
    state: RecordState = RecordState.COMPLETE,
) -> Record:
    """What a record should parse to; lists are written with blanks between."""
    command = command_line(data).partition(b" :=")[2].decode()
    listed = tuple(prerequisites.split())
    return Record(target, command, source, listed, tuple(config.split()), tuple(optional.split()), state, "")


# -- dialects ----------------------------------------------------------------


def test_a_crate_has_its_sources_and_the_crates_below_it() -> None:
    """The record of a crate gives its list in file order, the wildcards apart (7.2, O=)."""
    data = captured("7.2-kernel.o")
    assert parse_record(data) == record(
        data,
        "rust/kernel.o",
        source=f"{SOURCE}/rust/kernel/lib.rs",
        prerequisites=f"{BUILD}/rust/libbuild_error.rmeta {BUILD}/rust/libbindings.rmeta"
        f" {BUILD}/rust/libzerocopy.rmeta {BUILD}/rust/libzerocopy_derive.so {BUILD}/rust/libuapi.rmeta",
        config="RUSTC_HAS_FILE_WITH_NUL RUST AUXILIARY_BUS BLOCK CONFIGFS_FS",
    )


def test_objtools_line_is_optional() -> None:
    """The line appended for objtool is a prerequisite only while objtool exists (7.2, in-source)."""
    data = captured("7.2-in-source-kernel.o")
    tree = "/root/linux-7.2-in"
    assert parse_record(data) == record(
        data,
        "rust/kernel.o",
        source="rust/kernel/lib.rs",
        prerequisites=f"{tree}/rust/libbuild_error.rmeta {tree}/rust/libbindings.rmeta"
        f" {tree}/rust/libzerocopy.rmeta {tree}/rust/libzerocopy_derive.so {tree}/rust/libuapi.rmeta",
        config="RUSTC_HAS_FILE_WITH_NUL RUST AUXILIARY_BUS BLOCK CONFIGFS_FS",
        optional="./tools/objtool/objtool",
    )


def test_names_in_a_modules_record_are_relative() -> None:
    """From 6.13 on the names in a module's record are relative to the module (7.2)."""
    data = captured("7.2-nova_core.o")
    assert parse_record(data) == record(
        data,
        "nova_core.o",
        source="nova_core.rs",
        prerequisites="bitfield.rs driver.rs falcon.rs falcon/fsp.rs falcon/gsp.rs num.rs"
        f" {BUILD}/rust/libbuild_error.rmeta {BUILD}/rust/libbindings.rmeta {BUILD}/rust/libzerocopy.rmeta"
        f" {BUILD}/rust/libzerocopy_derive.so {BUILD}/rust/libuapi.rmeta",
        config="64BIT 32BIT",
    )


def test_before_6_13_a_module_is_named_absolutely() -> None:
    """In 6.12 make stands in the object tree, and objtool is named relative to it."""
    data = captured("6.12-module.o")
    crates = ("core", "compiler_builtins", "kernel", "ffi")
    assert parse_record(data) == record(
        data,
        "/root/lts1/kdeps_rs.o",
        source="/root/lts1/kdeps_rs.rs",
        prerequisites="/root/lts1/part.rs /root/lts1/greeting.txt "
        + " ".join(f"/root/build-6.12/rust/lib{crate}.rmeta" for crate in crates)
        + " /root/build-6.12/rust/libmacros.so "
        + " ".join(
            f"/root/build-6.12/rust/lib{crate}.rmeta" for crate in ("bindings", "uapi", "build_error")
        ),
        optional="./tools/objtool/objtool",
    )


def test_a_target_may_begin_with_a_dot() -> None:
    """``..module-common.o.cmd`` is the record of ``.module-common.o`` (7.2)."""
    data = captured("7.2-module-common.o")
    assert parse_record(data) == record(
        data,
        ".module-common.o",
        source=f"{SOURCE}/scripts/module-common.c",
        prerequisites=f"{SOURCE}/include/linux/compiler-version.h {SOURCE}/include/linux/kconfig.h",
        config="UNWINDER_ORC MITIGATION_RETPOLINE CC_VERSION_TEXT MCYRIXIII MVIAC3_2 MVIAC7 MGEODEGX1 MGEODE_LX",
        optional=f"{BUILD}/tools/objtool/objtool",
    )


def test_names_are_kept_as_they_are_spelled() -> None:
    """``uapi/../../drivers`` stays: making names canonical is not the parser's business (7.2)."""
    data = captured("7.2-bindings_generated.rs")
    include = f"{SOURCE}/include"
    assert parse_record(data) == record(
        data,
        "rust/bindings/bindings_generated.rs",
        source=f"{SOURCE}/rust/bindings/bindings_helper.h",
        prerequisites=f"{include}/linux/compiler-version.h {include}/trace/events/rust_sample.h"
        f" {include}/trace/define_trace.h {include}/uapi/../../drivers/base/base.h",
        config="DRM_PANIC_SCREEN_QR_CODE GPU_BUDDY ANDROID_BINDER_IPC_RUST CC_VERSION_TEXT SYS_HYPERVISOR"
        " AUXILIARY_BUS",
    )


def test_tools_have_a_dialect_of_their_own() -> None:
    """Under tools/ the prefix is ``cmd_``, the target absolute, the sources relative (7.2)."""
    data = captured("7.2-tools-check.o")
    headers = "fnmatch.h string.h x86_64-linux-gnu/bits/libc-header-start.h features.h features-time64.h"
    tools = f"{SOURCE}/tools"
    assert parse_record(data) == record(
        data,
        f"{BUILD}/tools/objtool/check.o",
        source="check.c",
        prerequisites=" ".join(f"/usr/include/{name}" for name in headers.split())
        + f" {tools}/objtool/include/objtool/util.h {tools}/include/linux/objtool_types.h"
        f" {tools}/include/linux/static_call_types.h {tools}/include/linux/stringify.h noreturns.h",
    )


def test_the_bootstrap_fixdep_has_a_raw_list() -> None:
    """Before fixdep exists tools/ copies the compiler's own list, two comments above it (7.2)."""
    data = captured("7.2-tools-bootstrap-fixdep.o")
    bits = "/usr/include/x86_64-linux-gnu"
    assert parse_record(data) == record(
        data,
        f"{BUILD}/tools/objtool/fixdep.o",
        source="fixdep.c",
        prerequisites=f"{bits}/sys/types.h /usr/include/features.h /usr/include/features-time64.h"
        f" {bits}/bits/wordsize.h {bits}/bits/pthread_stack_min-dynamic.h {bits}/bits/pthread_stack_min.h"
        f" {bits}/bits/posix2_lim.h",
    )


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("6.1-Module.symvers", "/root/c61/Module.symvers"),
        ("6.1-module.ko", "/root/c61/kdeps_c.ko"),
        ("6.1-modules.order", "/root/c61/modules.order"),
        ("6.1-modpost", "scripts/mod/modpost"),
        ("6.12-modules.order-nested", "/root/lts2/modules.order"),
        ("6.12-tools-objtool-in.o", "/root/build-6.12/tools/objtool/objtool-in.o"),
        ("7.2-Module.symvers", "Module.symvers"),
        ("7.2-Module.symvers-of-headers", "Module.symvers"),
        ("7.2-checked-atomic-long.h", ".checked-atomic-long.h"),
        ("7.2-elfconfig.h", "scripts/mod/elfconfig.h"),
        ("7.2-exports_kernel_generated.h", "rust/exports_kernel_generated.h"),
        ("7.2-modpost", "scripts/mod/modpost"),
        ("7.2-modules.order-nested", "modules.order"),
        ("7.2-nova-core.ko", "nova-core.ko"),
        ("7.2-nova-core.mod", "nova-core.mod"),
        ("7.2-syscalls_64.h", "arch/x86/include/generated/asm/syscalls_64.h"),
        ("7.2-tools-objtool-in.o", f"{BUILD}/tools/objtool/objtool-in.o"),
    ],
)
def test_if_changed_writes_the_command_alone(name: str, target: str) -> None:
    """A rule by ``if_changed`` leaves one line, and that is a whole record."""
    data = captured(name)
    assert parse_record(data) == record(data, target, state=RecordState.COMMAND_ONLY)


def test_a_link_has_objtools_line_and_no_list() -> None:
    """A multi-object module's link is a command and the line for objtool (7.2)."""
    data = captured("7.2-nova-core.o")
    assert parse_record(data) == record(
        data, "nova-core.o", optional=f"{BUILD}/tools/objtool/objtool", state=RecordState.COMMAND_ONLY
    )


def test_before_6_2_the_prefix_was_cmd() -> None:
    """Until 6.1 the prefix is ``cmd_`` everywhere; the rest is the same."""
    data = captured("6.1-module.o")
    assert data.startswith(b"cmd_/root/c61/one.o := clang ")
    assert parse_record(data) == record(
        data,
        "/root/c61/one.o",
        source="/root/c61/one.c",
        prerequisites="/root/linux-6.1/include/linux/compiler-version.h /root/linux-6.1/include/linux/kconfig.h"
        " /root/linux-6.1/include/asm-generic/module.h /root/c61/c.h",
        config="CC_VERSION_TEXT CPU_BIG_ENDIAN BOOGER HAVE_MOD_ARCH_SPECIFIC MODULES_USE_ELF_REL MODULES_USE_ELF_RELA",
        optional="./tools/objtool/objtool",
    )
    assert parse_record(b"saved" + data) == parse_record(data)


def test_symbol_versions_behind_the_list_are_comments() -> None:
    """What gendwarfksyms appends (MODVERSIONS, 7.2) changes nothing."""
    data = captured("7.2-in-source-kernel.o")
    assert parse_record(data + b"#SYMVER rust_helper_mutex_lock 0x0123abcd\n" * 1500) == parse_record(data)


def test_a_list_may_be_empty() -> None:
    """A source that includes nothing has a list without entries."""
    data = (
        b"savedcmd_a.o := cc a.c\n\nsource_a.o := a.c\n\ndeps_a.o := \\\n\na.o: $(deps_a.o)\n\n$(deps_a.o):\n"
    )
    assert parse_record(data) == record(data, "a.o", source="a.c")


def test_carriage_returns_are_dropped_as_make_does() -> None:
    """A record that went through a Windows checkout is read as make reads it."""
    data = captured("7.2-kernel.o")
    assert parse_record(data.replace(b"\n", b"\r\n")) == parse_record(data)


def test_a_name_that_is_no_utf8_survives() -> None:
    """A path is bytes: a name in latin-1 comes back as the same bytes."""
    data = captured("7.2-nova_core.o").replace(b"driver.rs", b"dr\xefver.rs")
    assert "dr\udcefver.rs" in parse_record(data).prerequisites
    assert parse_record(data).state is RecordState.COMPLETE


@pytest.mark.parametrize("blank", ["\u00a0", "\u3000", "\u2028", "\x85"])
def test_only_ascii_blanks_separate_names(blank: str) -> None:
    """A blank of another kind in a name is a character like any other."""
    data = captured("7.2-nova_core.o").replace(b"driver.rs", f"dri{blank}ver.rs".encode())
    assert f"dri{blank}ver.rs" in parse_record(data).prerequisites
    line = f"\nnova_core.o: $(wildcard /my{blank}kernel/objtool)\n".encode()
    assert parse_record(data + line).optional == (f"/my{blank}kernel/objtool",)


def test_a_recorded_command_can_be_given_to_the_shell_again() -> None:
    """make's escapes are undone: ``$$`` is a dollar, ``$(pound)`` a hash."""
    assert unescape(parse_record(captured("7.2-exports_kernel_generated.h")).command) == (
        "llvm-nm -p --defined-only rust/kernel.o | awk '$2~/(T|R|D|B)/ && $3!~/__(pfx|cfi|odr_asan)/"
        ' { printf "EXPORT_SYMBOL_RUST_GPL(%s);\\n",$3 }\' > rust/exports_kernel_generated.h'
    )
    assert "='#[cfi_encoding=\"10lru_status\"]' " in unescape(
        parse_record(captured("7.2-bindings_generated.rs")).command
    )


# -- what make makes of it ---------------------------------------------------


def as_make_has_it(found: Record) -> tuple[str, ...]:
    """The prerequisites make would show: each once, the raw form's source among them."""
    raw = found.source if found.target.endswith("tools/objtool/fixdep.o") else None
    return tuple(dict.fromkeys((*((raw,) if raw else ()), *found.prerequisites)))


def renamed(data: bytes, number: int) -> tuple[str, bytes]:
    """The same record for another target, with a name of the same length: so one make can read many."""
    target = parse_record(data).target
    name = f"{target[:-6]}{number:06d}"
    return name, data.replace(target.encode(), name.encode())


@needs_make
@pytest.mark.parametrize("name", NAMES)
def test_make_reads_the_same_from_a_whole_record(name: str, tmp_path: Path) -> None:
    """Prerequisites and command are what make has after it read the file."""
    data = captured(name)
    found = parse_record(data)
    reading = read_records(tmp_path, [Case(found.target, data, command_line(data))])[found.target]
    assert reading == Reading("", " ".join(unescape(found.command).split()), False, as_make_has_it(found))


def states_for(reading: Reading, whole: Record) -> set[RecordState]:
    """The states that fit what make did with a record that was cut off."""
    if reading.stopped:
        return {RecordState.BROKEN}
    if reading.command_differs:
        return {RecordState.EMPTY, RecordState.CUT_COMMAND}
    if any(name == "$" for name in reading.prerequisites):
        return {RecordState.BROKEN}  # "No rule to make target '$'"
    if whole.prerequisites and not reading.prerequisites:
        return {RecordState.CUT_LIST, RecordState.COMMAND_ONLY}
    return {whole.state}


def is_excused(cut: bytes, line: bytes, whole: Record) -> bool:
    """The cuts of which only who knows the whole record can tell what make makes of them.

    * behind the whole command, or in the blanks after it: make finds the command unchanged;
    * behind a ``%``: Kbuild takes the recorded command for a pattern, which still fits;
    * in objtool's line, before its ``$(``: make accepts it, and all else is there.
    """
    last = cut.rpartition(b"\n")[2]
    if last and line.startswith(last):
        return len(last) >= len(line.rstrip()) or last.endswith(b"%")
    return cut.rstrip().endswith(b"\n" + whole.target.encode() + b":")


@needs_make
@pytest.mark.parametrize("name", NAMES)
def test_a_record_cut_off_anywhere_is_what_make_takes_it_for(name: str, tmp_path: Path) -> None:
    """For every number of bytes that may be left of a record, make and the parser agree.

    Those that make accepts are read by one make, all of them. Where the parser
    says that make stops, a make is needed for each: a sample is taken.
    """
    original = captured(name)
    whole = parse_record(original)
    accepted: list[Case] = []
    stopping: dict[str, list[Case]] = {}
    for length in range(len(original)):
        target, data = renamed(original, length)
        case = Case(target, data[:length], command_line(data))
        found = parse_record(case.data)
        if found.state is RecordState.BROKEN:
            stopping.setdefault(found.where, []).append(case)
        else:
            accepted.append(case)
    readings = read_records(tmp_path, accepted)
    for case in spread(stopping.values()):
        readings.update(read_records(tmp_path, [case]))

    for case in [*accepted, *spread(stopping.values())]:
        found = parse_record(case.data)
        reading = readings[case.target]
        if is_excused(case.data, case.whole, parse_record(renamed(original, len(case.data))[1])):
            assert found.state in (RecordState.CUT_COMMAND, RecordState.CUT_LIST), case.data[-80:]
            assert not reading.stopped
            continue
        assert found.state in states_for(reading, whole), (case.data[-80:], reading)
        if found.state not in (RecordState.BROKEN, RecordState.EMPTY, RecordState.CUT_COMMAND):
            assert as_make_has_it(found) == reading.prerequisites, case.data[-80:]


def spread(groups: Iterable[list[Case]]) -> list[Case]:
    """First and last of every group, but of no more than some eight groups."""
    chosen: list[Case] = []
    known = list(groups)
    for group in known[:4] + known[4:][-4:]:
        chosen += dict.fromkeys((group[0], group[-1]))
    return chosen


@needs_make
@pytest.mark.parametrize(
    "character", ["$x", "$", "#", "%", ":", ";", "\\", "~", "'", "&", "=", ",", "*", "(", ")", "é"]
)
def test_a_special_character_in_a_name_is_what_make_takes_it_for(character: str, tmp_path: Path) -> None:
    """fixdep writes names raw, so make may read other names, or stop: the parser says which."""
    name = f"dir/a{character}b.h"
    data = captured("7.2-nova_core.o").replace(b"driver.rs", name.encode())
    found = parse_record(data)
    reading = read_records(tmp_path, [Case("nova_core.o", data, command_line(data))])["nova_core.o"]
    if found.state is RecordState.BROKEN:
        # Before 4.4 make called `%` "deprecated syntax" and went on.
        assert reading.stopped or character == "%"
    else:
        assert (found.state, found.prerequisites) == (RecordState.COMPLETE, reading.prerequisites), (
            reading.stopped
        )


@needs_make
@pytest.mark.parametrize(
    "line",
    [
        b"  a\nb \\\n", b"  a\n", b"   \\\n", b" \\\n", b"\\\n", b"  a\\\n", b"\ta \\\n", b"a \\\n", b" a \\\n", b"  a b \\\n",
        b"  a \\ \n", b"  a \\\\\n", b"    $(wildcard include/config/) \\\n", b"    $(wildcard include/config/ K) \\\n",
        b"    $(wildcard include/config/A)x \\\n", b"    $(wildcard include/config/A B) \\\n", b"    $(wildcard nothing) \\\n",
        b"    $(wildcard include/config/A \\\n", b"    $(wildcard include/config/A)) \\\n", b"  $$a \\\n", b"  ${a}b \\\n", b"# a \\\n",
    ],
)  # fmt: skip
def test_an_odd_line_in_the_list_is_what_make_takes_it_for(line: bytes, tmp_path: Path) -> None:
    """Whatever stands between two entries, the parser has the names that make has, or says that there is damage."""
    data = captured("7.2-nova_core.o").replace(b"  driver.rs", line + b"  driver.rs")
    found = parse_record(data)
    reading = read_records(tmp_path, [Case("nova_core.o", data, command_line(data))])["nova_core.o"]
    if found.state is RecordState.BROKEN:
        assert reading.stopped
    else:
        assert not reading.stopped
        assert found.prerequisites == reading.prerequisites
        assert (found.state is RecordState.COMPLETE) is bool(reading.prerequisites)


# -- damage ------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"\n", b"\n\n", b" \n", b"\0" * 4096])
def test_nothing_in_it_is_an_empty_record(data: bytes) -> None:
    """An empty file, blank lines, and the NULs a power cut leaves are no command at all."""
    assert parse_record(data) == Record("", "", None, (), (), (), RecordState.EMPTY, "the file is empty")


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (b"\x7fELF\2\1\1\0\0\0", "line 1: no savedcmd_ line"),
        (b"\0\0\0savedcmd_a.o := cc\n", "line 1: no savedcmd_ line"),
        (b"savedcmd_a.o := cc\n\0\0\0\0", "line 1: not an assignment"),
        (b"save", "line 1: cut off before the command"),
        (b"savedcmd_a.o", "line 1: cut off inside the command"),
        (b"savedcmd_a.o := awk $(pou", "line 1: cut off inside the command"),
        (b"savedcmd_a.o\n", "line 1: not an assignment"),
        (b"<html>\n", "line 1: no savedcmd_ line"),
        (b"savedcmd_ := cc\n", "line 1: not an assignment"),
        (b"# comment\na.o b.o: a.c\n\ncmd_a.o := cc\n", "not one list of what its target is made from"),
        (b"# comment\n\ncmd_a.o := cc\n", "not one list of what its target is made from"),
        (b"# comment\na.o: a$b.c\n\ncmd_a.o := cc\n", "line 2: a name in the list stops make"),
        (b"savedcmd_a.o := cc\n<<<<<<< HEAD\n", "line 2: neither an assignment nor a rule"),
        (b"savedcmd_a.o := cc\n\nsource_a.o := a.c\n\ndeps_a.o := \\\n  b.h \\\n  $(wildcard x", "line 7: cut off, make stops there"),
        (b"# cannot find fixdep\nwhatever\n", "line 2: neither a rule nor a command"),
    ],
)  # fmt: skip
def test_what_make_cannot_read_is_broken_and_says_where(data: bytes, where: str) -> None:
    """A file that is no record names the line, and never an empty list of prerequisites."""
    found = parse_record(data)
    assert (found.state, found.where, found.prerequisites) == (RecordState.BROKEN, where, ())


def test_a_list_cut_off_between_two_lines_is_never_an_empty_list() -> None:
    """The cut that make swallows without a word is told apart (kbuild-facts, fact 11)."""
    data = captured("7.2-kernel.o")
    found = parse_record(data[: data.index(b"  /root/build-7.2/rust/libuapi")])
    assert found.state is RecordState.CUT_LIST
    assert found.where == "line 15: the list of prerequisites is cut off"


# -- properties --------------------------------------------------------------

LEGAL = st.text(string.ascii_letters + string.digits + "._-+,@=~()'é/", min_size=1, max_size=12).map(
    lambda text: "d/" + text.strip("/") + "x"
)
CONFIG = st.text(string.ascii_uppercase + string.digits + "_", min_size=1, max_size=12)


def written(found: Record, prefix: str = "savedcmd_") -> bytes:
    """A record as ``printf``, fixdep and objtool's ``echo`` write it."""
    target = found.target
    lines = [f"{prefix}{target} :={found.command}\n"]
    if found.source is not None:
        lines += [f"\nsource_{target} := {found.source}\n\ndeps_{target} := \\\n"]
        lines += [f"    $(wildcard include/config/{name}) \\\n" for name in found.config]
        lines += [f"  {name} \\\n" for name in found.prerequisites]
        lines += [f"\n{target}: $(deps_{target})\n\n$(deps_{target}):\n"]
    lines += [f"\n{target}: $(wildcard {name})\n" for name in found.optional]
    return "".join(lines).encode("utf-8", "surrogateescape")


@given(
    LEGAL,
    st.text("abc -/='\"@|;", max_size=30),
    st.none() | LEGAL,
    st.lists(LEGAL, max_size=6),
    st.lists(CONFIG, max_size=4),
    st.lists(st.text("abc/.", min_size=1, max_size=8), max_size=1),
)
def test_what_kbuild_would_write_reads_back(
    target: str, command: str, source: str | None, names: list[str], config: list[str], optional: list[str]
) -> None:
    """A record in Kbuild's form, of any legal names, parses to exactly what was written."""
    listed = source is not None
    expected = Record(
        target,
        f" {command}",
        source,
        tuple(names) if listed else (),
        tuple(config) if listed else (),
        tuple(optional),
        RecordState.COMPLETE if listed else RecordState.COMMAND_ONLY,
        "",
    )
    assert parse_record(written(expected)) == expected


FRAGMENTS = st.sampled_from(
    [b"savedcmd_a.o :=", b"cmd_", b"deps_a.o := \\\n", b"source_a.o := ", b"a.o: $(deps_a.o)\n", b"$(deps_a.o):\n",
     b"    $(wildcard include/config/", b"  b.h \\\n", b"\\\n", b"\n\n", b"$(", b")", b"$$", b"#", b"\0", b"\xff", b" :",
     b"# cannot find fixdep (x)\n", b"a.o: b.h \\\n", b"\r\n", b"%", b"\\"]
)  # fmt: skip


@settings(max_examples=400)
@given(st.lists(FRAGMENTS | st.binary(max_size=8), max_size=20).map(b"".join))
def test_parsing_never_raises_and_never_invents_a_whole_record(data: bytes) -> None:
    """Whatever the bytes are there is a record, whole or with the place where it is not."""
    found = parse_record(data)
    whole = found.state in (RecordState.COMPLETE, RecordState.COMMAND_ONLY)
    assert bool(found.where) is not whole
    assert parse_record(data) == found


@needs_make
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_record_with_a_line_lost_or_doubled_is_never_better_than_make_has_it(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whole to the parser means: make has every prerequisite that the parser has, and no other."""
    lines = captured("7.2-single-object-module.o").splitlines(keepends=True)
    at = data.draw(st.integers(0, len(lines) - 1))
    change = data.draw(st.sampled_from(["lose", "double", "swap", "halve"]))
    if change == "lose":
        del lines[at]
    elif change == "double":
        lines.insert(at, lines[at])
    elif change == "swap":
        lines[at], lines[at - 1] = lines[at - 1], lines[at]
    else:
        lines[at] = lines[at][: len(lines[at]) // 2]
    damaged = b"".join(lines)
    found = parse_record(damaged)
    whole = command_line(captured("7.2-single-object-module.o"))
    reading = read_records(tmp_path_factory.mktemp("make"), [Case("kdeps_rs.o", damaged, whole)])[
        "kdeps_rs.o"
    ]
    if found.state in (RecordState.COMPLETE, RecordState.COMMAND_ONLY):
        assert not reading.stopped
        assert as_make_has_it(found) == reading.prerequisites
    if found.state is RecordState.CUT_LIST:
        assert not reading.stopped


@pytest.mark.parametrize(
    "unit",
    [
        b"  dir/file.h \\\n",
        b"    $(wildcard include/config/A) \\\n",
        b"$(",
        b"$((",
        b"(",
        b"#\n",
        b"\\\n",
        b"a.o:\n",
        b"\\",
        b" ",
        b"$$",
        b"\n",
    ],
)
def test_time_grows_with_the_size_and_no_faster(unit: bytes) -> None:
    """Eight times the bytes take nowhere near 64 times as long, whatever they are."""
    head = b"savedcmd_a.o := cc\n\nsource_a.o := a.c\n\ndeps_a.o := \\\n"

    def seconds(count: int) -> float:
        data = head + unit * (count // len(unit))
        best = 9e9
        for _ in range(3):
            started = time.process_time()
            parse_record(data)
            best = min(best, time.process_time() - started)
        return best

    assert seconds(800_000) < 24 * seconds(100_000) + 0.02
