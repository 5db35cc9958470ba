# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Records: every dialect to exactly the right values, every damage as make takes it."""

from __future__ import annotations

import pytest

from kdeps.formats.cmdfile import Record, RecordState, parse_record, unescape
from tests.support.cmdfile import captured, command_line

BUILD = "/root/build-7.2"
SOURCE = "/root/linux-7.2"


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
    """What gendwarfksyms appends (MODVERSIONS, 7.2) changes nothing, but that it was run on the object."""
    data = captured("7.2-in-source-kernel.o")
    record = parse_record(data + b"#SYMVER rust_helper_mutex_lock 0x0123abcd\n" * 1500)
    assert record == parse_record(data)._replace(versioned=True)


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
