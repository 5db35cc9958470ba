# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Recorded commands: what they read and write, from commands that Kbuild really recorded."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdeps.formats.cmdfile import parse_record
from kdeps.formats.command import (
    CommandFiles,
    find_depfile,
    find_emitted,
    find_externs,
    parse_command,
    parse_members,
)
from tests.conftest import CHECKOUT

RECORDS = CHECKOUT / "tests/data" / "records"

TOOLS = "/root/build-7.2/tools/objtool"
OBJTOOL = "arch/x86/objtool-in weak check special builtin-check elf klp-symid objtool orc_gen orc_dump libstring libctype str_error_r librbtree signal"


def command(name: str) -> str:
    return parse_record((RECORDS / f"{name}.cmd").read_bytes()).command


class Named(NamedTuple):
    """What a test expects of a command."""

    inputs: tuple[str, ...]
    responses: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()


def named(files: CommandFiles) -> Named:
    return Named(files.inputs, files.responses, files.tools)


def files(name: str) -> Named:
    found = parse_record((RECORDS / f"{name}.cmd").read_bytes())
    return named(parse_command(found.command, found.target))


def inputs(text: str, tools: str = "") -> Named:
    return Named(tuple(text.split()), (), tuple(tools.split()))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # a script, its table, and the target as last word
        ("7.2-syscalls_64.h", inputs("/root/linux-7.2/scripts/syscalltbl.sh /root/linux-7.2/arch/x86/entry/syscalls/syscall_64.tbl", "/root/linux-7.2/scripts/syscalltbl.sh")),
        # a program of the tree that reads from `<` and writes to `>`
        ("7.2-elfconfig.h", inputs("scripts/mod/mk_elfconfig scripts/mod/empty.o", "scripts/mod/mk_elfconfig")),
        # the link of a program, with -o, -fuse-ld and blanks at the end
        ("7.2-modpost", inputs("scripts/mod/modpost.o scripts/mod/file2alias.o scripts/mod/sumversion.o scripts/mod/symsearch.o")),
        ("6.1-modpost", inputs("scripts/mod/modpost.o scripts/mod/file2alias.o scripts/mod/sumversion.o")),
        # a pipe into awk, whose program has slashes and dots in it
        ("7.2-exports_kernel_generated.h", inputs("rust/kernel.o")),
        # modpost behind five echos, without a Module.symvers of the kernel
        ("7.2-Module.symvers", inputs("/root/build-7.2/scripts/mod/modpost modules.order", "/root/build-7.2/scripts/mod/modpost")),
        # modpost of a kernel that lies under /usr, with its Module.symvers
        (
            "7.2-Module.symvers-of-headers",
            inputs(
                "/usr/src/linux-headers-7.2.12+deb13-amd64/scripts/mod/modpost modules.order"
                " /usr/src/linux-headers-7.2.12+deb13-amd64/Module.symvers",
                "/usr/src/linux-headers-7.2.12+deb13-amd64/scripts/mod/modpost",
            ),
        ),
        # 6.1: modules.order comes through a pipe
        ("6.1-Module.symvers", inputs("/root/c61/modules.order scripts/mod/modpost", "scripts/mod/modpost")),
        # ld @file.mod, then objtool
        ("7.2-nova-core.o", Named(("nova-core.mod", f"{TOOLS}/objtool"), ("nova-core.mod",), (f"{TOOLS}/objtool",))),
        # the link of the module, with a linker script
        ("7.2-nova-core.ko", inputs("/root/build-7.2/scripts/module.lds nova-core.o nova-core.mod.o .module-common.o")),
        ("6.1-module.ko", inputs("scripts/module.lds /root/c61/kdeps_c.o /root/c61/kdeps_c.mod.o")),
        # lists of objects: names that awk prints are no files, names that echo prints are
        ("7.2-nova-core.mod", inputs("")),
        ("7.2-modules.order-nested", inputs("kdeps_mix.o sub/modules.order")),
        ("6.12-modules.order-nested", inputs("/root/lts2/kdeps_mix.o /root/lts2/sub/modules.order")),
        ("6.1-modules.order", inputs("/root/c61/kdeps_c.o")),
        # tools/: printf "DIR/%s " NAMES | xargs ld
        ("7.2-tools-objtool-in.o", inputs(" ".join(f"{TOOLS}/{name}.o" for name in OBJTOOL.split()))),
        # if … fi with $$(…) in it
        ("7.2-checked-atomic-long.h", inputs("/root/linux-7.2/include/linux/atomic/atomic-long.h")),
    ],
)  # fmt: skip
def test_a_captured_command_names_its_inputs(name: str, expected: Named) -> None:
    """Of a record without a list, the command's words give the inputs, in order, and nothing else."""
    assert files(name) == expected


@pytest.mark.parametrize(
    ("text", "target", "expected"),
    [
        # Makefile.build: cmd_ar_builtin, with members and without
        (
            'rm -f rust/built-in.a;  printf "rust/%s " core.o helpers/helpers.o | xargs llvm-ar cDPrST rust/built-in.a',
            "rust/built-in.a",
            inputs("rust/core.o rust/helpers/helpers.o"),
        ),
        ("rm -f usr/built-in.a;  llvm-ar cDPrST usr/built-in.a", "usr/built-in.a", inputs("")),
        # Makefile.modpost: KBUILD_EXTRA_SYMBOLS
        (
            "scripts/mod/modpost -M -m -E -o /m/Module.symvers -T /m/modules.order -i Module.symvers"
            " -e -i /other/Module.symvers -i ../third/Module.symvers",
            "/m/Module.symvers",
            inputs(
                "scripts/mod/modpost /m/modules.order Module.symvers /other/Module.symvers ../third/Module.symvers",
                "scripts/mod/modpost",
            ),
        ),
        # LLVM=/opt/llvm/bin/ and a compiler of one's own are no programs of the tree
        ("/opt/llvm/bin/ld.lld -r -o m.ko m.o", "m.ko", inputs("m.o")),
        ("/home/k/.cargo/bin/rustc x.rs", "x.o", inputs("x.rs")),
        ("/usr/libexec/gcc/ld -o a a.o", "a", inputs("a.o")),
        # names in another alphabet's blanks
        ("ld -r -o m.o \u4e2d\u3000\u6587.o", "m.o", inputs("") ._replace(inputs=("\u4e2d\u3000\u6587.o",))),
        # environment assignments come before the program
        ("A=1 B=2 scripts/x --c 3 d.o", "t", inputs("scripts/x d.o", "scripts/x")),
        ("A=1 B=2", "t", inputs("")),
        ("", "t", inputs("")),
    ],
)  # fmt: skip
def test_a_command_names_its_inputs(text: str, target: str, expected: Named) -> None:
    """The same for forms that Kbuild's Makefiles have and no captured record."""
    assert named(parse_command(text, target)) == expected


@pytest.mark.parametrize(
    ("name", "outputs", "depfile", "externs"),
    [
        (
            "7.2-kernel.o",
            ["rust/kernel.o", "rust/libkernel.rmeta"],
            "rust/.kernel.o.d",
            "ffi pin_init build_error macros bindings uapi zerocopy zerocopy_derive",
        ),
        (
            "7.2-libmacros.so",
            ["rust/libmacros.so"],
            "rust/.libmacros.so.d",
            "proc_macro2 quote syn proc_macro",
        ),
        ("7.2-nova_core.o", ["nova_core.o"], "./.nova_core.o.d", "pin_init kernel zerocopy zerocopy_derive"),
        ("6.12-module.o", ["/root/lts1/kdeps_rs.o"], "/root/lts1/.kdeps_rs.o.d", "kernel"),
        ("7.2-bindings_generated.rs", [], "rust/bindings/.bindings_generated.rs.d", ""),
        ("7.2-module-common.o", [], "./..module-common.o.d", ""),
        ("7.2-tools-check.o", [], f"{TOOLS}/.check.o.d", ""),
        ("7.2-nova-core.ko", [], None, ""),
    ],
)
def test_a_compile_names_its_outputs_its_depfile_and_its_crates(
    name: str, outputs: list[str], depfile: str | None, externs: str
) -> None:
    """A compiler's command says what else it writes, where it lists what it read, and which crates it is given."""
    found = command(name)
    assert (find_emitted(found), find_depfile(found), find_externs(found)) == (
        outputs,
        depfile,
        externs.split(),
    )


def test_crates_may_be_named_with_options_and_paths() -> None:
    """``--extern noprelude:core=PATH`` is the crate ``core``."""
    given_words = (
        "rustc --extern noprelude:core=/x:y/libcore.rmeta --extern alloc=./liballoc.rmeta --extern std"
    )
    assert find_externs(given_words) == ["core", "alloc", "std"]


@pytest.mark.parametrize(
    ("text", "members"),
    [
        (command("7.2-nova-core.mod"), ("./nova_core.o",)),
        (
            " printf '%s\\n'   mix_c.o mix_rs.o | awk '!x[$$0]++ { print(\"sub/\"$$0) }' > sub/m.mod",
            ("sub/mix_c.o", "sub/mix_rs.o"),
        ),
        (" { echo a.o; :; } > m.mod", ()),
        ("", ()),
    ],
)
def test_a_mod_files_command_lists_its_members(text: str, members: tuple[str, ...]) -> None:
    """The members of a module are the words of ``printf`` with what ``awk`` puts before them."""
    assert parse_members(text) == members


TEXT = r"""; | { } ( && printf xargs cat echo sh -c -o > < >a.o @m.mod @ a.o b.c '%s' "x/%s " ' scripts/x A=b --emit=
--emit=obj=a.o,metadata=b.rmeta --extern -Wp,-MMD,x.d -Wp,-MMD, $$ $(pound)"""
WORDS = st.sampled_from(TEXT.split())


@given(st.lists(WORDS | st.text(max_size=4), max_size=30).map(" ".join))
def test_reading_a_command_never_raises(text: str) -> None:
    """Whatever the words are, there is an answer, each input once, the responses among them."""
    found = parse_command(text, "a.o")
    assert len(set(found.inputs)) == len(found.inputs)
    assert "a.o" not in found.inputs
    assert {*found.responses} - {"a.o"} <= {*found.inputs}
    find_emitted(text), find_depfile(text), find_externs(text), parse_members(text)
