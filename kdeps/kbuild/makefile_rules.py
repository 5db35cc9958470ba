# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What Kbuild keeps only in Makefiles: the one table of edges that no record has.

A record names what the *compiler* read. make also compares what the Makefile
lists as prerequisites, and those are in no record. Most can be taken from
the record's own command (``parse_command``, ``--extern``). The rest is here, each row
with the line it comes from and the versions it was compared on.

The audit of the conformance suite checks the table: make prints ``$^`` of every rule
of a real tree, and the two lists must be the same.

Names are relative to the object tree; ``$(srctree)/`` and ``$(srcarch)`` are
replaced. A row whose target this tree does not build has no effect.
"""

from __future__ import annotations

import os
import re

from kdeps import NamedTuple


class MakefilePrerequisites(NamedTuple):
    """Prerequisites that a Makefile adds to a recorded rule."""

    target: str
    prerequisites: tuple[str, ...]
    source: str
    """The Makefile line it comes from."""
    versions: str
    """Where it was compared with make's own ``$^``, or read (marked so)."""
    when: str = ""
    """Holds only where the recorded command contains this text."""
    existing: bool = False
    """Holds only for prerequisites that exist: rows for another version or configuration otherwise."""


class UnrecordedRule(NamedTuple):
    """A step that leaves no record: filechk, a plain make rule, a step of Kconfig."""

    target: str
    prerequisites: tuple[str, ...]
    filechk: bool
    """Replaces its output only when the content differs; a plain make rule always does."""
    source: str
    versions: str
    unless: str = ""
    """Does not hold where this file was ever built: there the target is made by other steps."""


class Prepared(NamedTuple):
    """A recorded target of modules_prepare that no list of a Makefile names."""

    target: str
    source: str
    """Kbuild makes it where this file of the source tree exists."""
    beside: str = ""
    """And where this file is made."""


_CB = ("rust/compiler_builtins.o",)

MAKEFILE_PREREQUISITES: tuple[MakefilePrerequisites, ...] = (
    MakefilePrerequisites("rust/core.o", ("scripts/target.json",), "rust/Makefile: $(obj)/core.o: scripts/target.json", "6.12 7.2 7.3", when="scripts/target.json"),
    MakefilePrerequisites("rust/compiler_builtins.o", ("rust/core.o",), "rust/Makefile: $(obj)/compiler_builtins.o:", "6.12 7.2 7.3"),
    MakefilePrerequisites("rust/alloc.o", _CB, "rust/Makefile: $(obj)/alloc.o:", "6.1 to 6.12 (read)"),
    MakefilePrerequisites("rust/ffi.o", _CB, "rust/Makefile: $(obj)/ffi.o:", "6.12 7.2 7.3"),
    MakefilePrerequisites("rust/build_error.o", _CB, "rust/Makefile: $(obj)/build_error.o:", "6.12 7.2 7.3"),
    MakefilePrerequisites("rust/zerocopy.o", _CB, "rust/Makefile: $(obj)/zerocopy.o:", "7.2 7.3"),
    MakefilePrerequisites("rust/pin_init.o", _CB, "rust/Makefile: $(obj)/pin_init.o:", "7.2 7.3"),
    MakefilePrerequisites("rust/bindings.o", ("rust/bindings/bindings_generated.rs", "rust/bindings/bindings_helpers_generated.rs"), "rust/Makefile: $(obj)/bindings.o:", "6.12 7.2 7.3"),
    MakefilePrerequisites("rust/uapi.o", ("rust/uapi/uapi_generated.rs",), "rust/Makefile: $(obj)/uapi.o:", "6.12 7.2 7.3"),
    MakefilePrerequisites("rust/kernel.o", ("rust/kernel/generated_arch_static_branch_asm.rs", "rust/kernel/generated_arch_warn_asm.rs", "rust/kernel/generated_arch_reachable_asm.rs"), "rust/Makefile: ifdef CONFIG_JUMP_LABEL / CONFIG_BUG: $(obj)/kernel.o:", "7.2 7.3", existing=True),
    MakefilePrerequisites("rust/kernel.o", ("rust/helpers/helpers.bc",), "rust/Makefile: ifdef CONFIG_RUST_INLINE_HELPERS: $(obj)/kernel.o:", "7.2 7.3", when="rust/helpers/helpers.bc"),
    MakefilePrerequisites("rust/bindings/bindings_generated.rs", ("$(srctree)/rust/bindgen_parameters",), "rust/Makefile: $(obj)/bindings/bindings_generated.rs:", "6.12 7.2 7.3"),
    MakefilePrerequisites("rust/uapi/uapi_generated.rs", ("$(srctree)/rust/bindgen_parameters",), "rust/Makefile: $(obj)/uapi/uapi_generated.rs:", "6.12 7.2 7.3"),
    MakefilePrerequisites("include/generated/integer-wrap.h", ("$(srctree)/scripts/integer-wrap-ignore.scl",), "scripts/basic/Makefile: $(obj)/../../include/generated/integer-wrap.h:", "7.2 (read)"),
    MakefilePrerequisites("include/generated/gcc-plugins.h", tuple(f"scripts/gcc-plugins/{name}_plugin.so" for name in ("arm_ssp_per_task", "latent_entropy", "randomize_layout", "sancov", "stackleak", "structleak")), "scripts/gcc-plugins/Makefile: $(obj)/../../include/generated/gcc-plugins.h:", "7.2 (read)", existing=True),
    MakefilePrerequisites("kernel/sched/rq-offsets.s", ("include/generated/asm-offsets.h",), "Kbuild: $(rq-offsets-file): $(offsets-file)", "7.2 7.3", existing=True),
    MakefilePrerequisites("built-in-fixup.a", ("$(srctree)/scripts/head-object-list.txt",), "scripts/Makefile.vmlinux_a: built-in-fixup.a:", "7.2"),
    MakefilePrerequisites("vmlinux.unstripped", ("vmlinux.o", ".vmlinux.export.o", "arch/$(srcarch)/kernel/vmlinux.lds"), "scripts/Makefile.vmlinux: vmlinux.unstripped:", "7.2"),
    MakefilePrerequisites("vmlinux.unstripped", (".builtin-dtbs.o", "arch/$(srcarch)/tools/vmlinux.arch.o", "scripts/sorttable", "tools/bpf/resolve_btfids/resolve_btfids"), "scripts/Makefile.vmlinux: vmlinux.unstripped:", "7.2", existing=True),
    MakefilePrerequisites("arch/x86/realmode/rm/realmode.bin", ("arch/x86/realmode/rm/realmode.relocs",), "arch/x86/realmode/rm/Makefile: $(obj)/realmode.bin:", "7.2"),
    MakefilePrerequisites("arch/x86/realmode/rmpiggy.o", ("arch/x86/realmode/rm/realmode.bin",), "arch/x86/realmode/Makefile: $(obj)/rmpiggy.o:", "7.2"),
    MakefilePrerequisites("certs/system_certificates.o", ("certs/signing_key.x509", "certs/x509_certificate_list"), "certs/Makefile: $(obj)/system_certificates.o:", "7.2", existing=True),
    MakefilePrerequisites("security/selinux/initcalls.o", ("security/selinux/flask.h",), "security/selinux/Makefile: $(addprefix $(obj)/,$(selinux-y)):", "7.2"),
    MakefilePrerequisites("security/selinux/ss/symtab.o", ("security/selinux/flask.h",), "security/selinux/Makefile: $(addprefix $(obj)/,$(selinux-y)):", "7.2"),
    MakefilePrerequisites("usr/initramfs_data.cpio", ("$(srctree)/usr/default_cpio_list", "usr/gen_init_cpio"), "usr/Makefile: $(obj)/initramfs_data.cpio:", "7.2", existing=True),
    MakefilePrerequisites("usr/initramfs_data.o", ("usr/initramfs_inc_data",), "usr/Makefile: $(obj)/initramfs_data.o:", "7.2"),
    MakefilePrerequisites(".tmp_missing-syscalls", ("$(srctree)/scripts/checksyscalls.sh",), "Kbuild: missing-syscalls: scripts/checksyscalls.sh", "7.2 7.3"),
    MakefilePrerequisites(".tmp_missing-syscalls", ("include/generated/rq-offsets.h",), "Kbuild: missing-syscalls: $(rq-offsets-file)", "7.2 7.3", existing=True),
)  # fmt: skip

MAKEFILE_CONFIG: dict[str, tuple[str, ...]] = {
    # rust/Makefile: $(obj)/core.o: $(wildcard $(objtree)/include/config/RUSTC_VERSION_TEXT)  (6.12 7.2 7.3)
    "rust/core.o": ("RUSTC_VERSION_TEXT",),
}
"""Configuration symbols that a Makefile, not a record, makes a prerequisite."""

SIDE_OUTPUTS: dict[str, str] = {
    # scripts/basic/Makefile: cmd_create_randstruct_seed  (7.2, read)
    "scripts/basic/randstruct.seed": "include/generated/randstruct_hash.h",
}
"""What a script writes beside its target."""

UNRECORDED_RULES: tuple[UnrecordedRule, ...] = (
    UnrecordedRule("scripts/target.json", ("scripts/generate_rust_target", "include/config/auto.conf"), True, "scripts/Makefile: $(obj)/target.json:", "6.1 to 7.3"),
    UnrecordedRule("include/generated/bounds.h", ("kernel/bounds.s",), True, "Kbuild: $(bounds-file):", "6.1 to 7.3"),
    UnrecordedRule("include/generated/asm-offsets.h", ("arch/$(srcarch)/kernel/asm-offsets.s",), True, "Kbuild: $(offsets-file):", "6.1 to 7.3"),
    UnrecordedRule("include/generated/rq-offsets.h", ("kernel/sched/rq-offsets.s",), True, "Kbuild: $(rq-offsets-file):", "7.2 7.3"),
    UnrecordedRule("scripts/mod/devicetable-offsets.h", ("scripts/mod/devicetable-offsets.s",), True, "scripts/mod/Makefile: $(obj)/$(devicetable-offsets-file):", "6.1 to 7.3"),
    UnrecordedRule("arch/$(srcarch)/include/generated/asm/cpufeaturemasks.h", ("$(srctree)/arch/$(srcarch)/tools/cpufeaturemasks.awk", "$(srctree)/arch/$(srcarch)/include/asm/cpufeatures.h", ".config"), True, "arch/x86/Makefile: $(cpufeaturemasks.hdr):", "7.2 7.3"),
    UnrecordedRule("include/generated/timeconst.h", ("$(srctree)/kernel/time/timeconst.bc",), True, "Kbuild: $(timeconst-file):", "6.1 to 7.3"),
    UnrecordedRule("include/generated/utsrelease.h", ("include/config/kernel.release",), True, "Makefile: include/generated/utsrelease.h:", "6.1 to 7.3"),
    UnrecordedRule("include/generated/uapi/linux/version.h", ("$(srctree)/Makefile",), True, "Makefile: $(version_h):", "6.1 to 7.3"),
    UnrecordedRule("tools/objtool/arch/x86/lib/inat-tables.c", ("$(srctree)/tools/arch/x86/tools/gen-insn-attr-x86.awk", "$(srctree)/tools/arch/x86/lib/x86-opcode-map.txt"), False, "tools/objtool/arch/x86/Build: $(OUTPUT)arch/x86/lib/inat-tables.c:", "6.12 7.2"),
    UnrecordedRule("tools/objtool/arch/x86/lib/cpu-feature-names.c", ("$(srctree)/tools/arch/x86/tools/gen-cpu-feature-names-x86.awk", "$(srctree)/tools/arch/x86/include/asm/cpufeatures.h"), False, "tools/objtool/arch/x86/Build: $(OUTPUT)arch/x86/lib/cpu-feature-names.c:", "7.2"),
    UnrecordedRule("tools/objtool/fixdep", ("tools/objtool/fixdep-in.o",), False, "tools/build/Makefile: $(OUTPUT)fixdep:", "7.2 7.3"),
    UnrecordedRule("tools/objtool/libsubcmd/fixdep", ("tools/objtool/libsubcmd/fixdep-in.o",), False, "tools/build/Makefile: $(OUTPUT)fixdep:", "7.2 7.3"),
    UnrecordedRule("tools/objtool/fixdep", ("$(srctree)/tools/build/fixdep.c",), False, "tools/build/Makefile: $(OUTPUT)fixdep:", "6.12", unless="tools/objtool/fixdep-in.o"),
    UnrecordedRule("tools/objtool/libsubcmd/fixdep", ("$(srctree)/tools/build/fixdep.c",), False, "tools/build/Makefile: $(OUTPUT)fixdep:", "6.12", unless="tools/objtool/libsubcmd/fixdep-in.o"),
    UnrecordedRule("tools/objtool/libsubcmd/libsubcmd.a", ("tools/objtool/libsubcmd/libsubcmd-in.o",), False, "tools/lib/subcmd/Makefile: $(LIBFILE):", "6.12 7.2 7.3"),
    UnrecordedRule("tools/objtool/libsubcmd.a", ("tools/objtool/libsubcmd-in.o",), False, "tools/lib/subcmd/Makefile: $(LIBFILE):", "6.1"),
    *(
        UnrecordedRule(f"tools/{tool}/libsubcmd/include/subcmd/{name}.h", (f"$(srctree)/tools/lib/subcmd/{name}.h",), False, "tools/lib/subcmd/Makefile: $(INSTALL_HDRS):", versions)
        for tool, versions in (("objtool", "6.12"), ("bpf/resolve_btfids", "6.1 to 7.3 (read)"))
        for name in ("exec-cmd", "help", "pager", "parse-options", "run-command")
    ),
    UnrecordedRule("tools/objtool/objtool", ("tools/objtool/libsubcmd/libsubcmd.a", "tools/objtool/libsubcmd.a", "tools/objtool/objtool-in.o"), False, "tools/objtool/Makefile: $(OBJTOOL):", "6.1 6.12 7.2 7.3"),
)  # fmt: skip

CRATE_EXCEPTIONS: frozenset[tuple[str, str]] = frozenset((("rust/kernel.o", "ffi"),))
"""(rule, crate): named by ``--extern``, yet no prerequisite in rust/Makefile (7.2, 7.3)."""

TOOLCHAIN_CRATES = frozenset(("proc_macro", "std", "core", "alloc", "test"))
"""Crates that ``--extern`` may name and that rustc brings along; ``core`` of the kernel is never named."""

IGNORES_COMMAND_CHANGE: dict[str, tuple[int, int]] = {"rust/helpers/helpers.o": (6, 18)}
"""Rules that never notice a changed command or a missing record, since which version.

``if_changed_rule,rust_cc_library`` where no ``cmd_rust_cc_library`` exists makes
``$(cmd-check)`` always empty (7.2, 7.3; not 6.12).
"""


FIRST_CRATES = ("kernel", "bindings", "build_error", "macros")
"""Crates that every Rust module loads: what ``kernel`` is given in rust/Makefile from 6.1 to 7.3."""

MACRO_CRATES = frozenset(("macros", "pin_init_internal", "zerocopy_derive"))
"""Crates that are libraries of macros. Source: ``cmd_rustc_procmacro`` in rust/Makefile (6.1 to 7.3)."""


def sees_command(name: str, version: tuple[int, int]) -> bool:
    """Whether Kbuild runs a rule again when its command changes."""
    blind_since = IGNORES_COMMAND_CHANGE.get(name)
    return blind_since is None or version < blind_since


EXPLICIT_SOURCES = ("rust/", "scripts/", "arch/", ".")
"""Where Makefiles name the source of a target, so that a missing one stops make.

Elsewhere (modules, tools/) a pattern rule finds the source: when it is
gone no rule matches, and the old target is used without a word.
"""

MADE_BY_PATTERN = (".s", "_asm.rs")
"""Exceptions to that: ``%.s: %.c``, ``%.rs: %.rs.S``."""

RECORDS_READ_BY: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("scripts/Makefile.modpost", re.compile(r"[\w-]+\.symvers|\.vmlinux\.objs")),
    ("scripts/Makefile.modfinal", re.compile(r".+\.mod\.o|.+\.ko|\.module-common\.o")),
    ("scripts/Makefile.vmlinux_o", re.compile(r"vmlinux\.o|\.tmp_initcalls\.lds")),
    ("scripts/Makefile.vmlinux_a", re.compile(r"vmlinux\.(?:a|thinlto-index)|built-in-fixup\.a|builtin\.order")),
    ("scripts/Makefile.vmlinux", re.compile(r"vmlinux(?:\.unstripped)?|\.vmlinux\.export\.o|\.builtin-dtbs.*|modules\.builtin.*")),
)  # fmt: skip
"""Which Makefile includes the records of the targets of one folder; scripts/Makefile.build all others.

Source: the ``targets`` of each of them, whose records it includes (7.2).
"""

WITHOUT_SOURCE = frozenset((".tmp_missing-syscalls",))
"""Steps with a dep-info but no source: what the record calls one is in no list of make's (7.2, 7.3)."""

TOOLS: tuple[tuple[str, str], ...] = (
    # record folder in the object tree → folder of the source tree its names are relative to
    ("tools/objtool/libsubcmd", "tools/lib/subcmd"),
    ("tools/objtool", "tools/objtool"),
    ("tools/bpf/resolve_btfids/libsubcmd", "tools/lib/subcmd"),
    ("tools/bpf/resolve_btfids/libbpf", "tools/lib/bpf"),
    ("tools/bpf/resolve_btfids", "tools/bpf/resolve_btfids"),
)
"""tools/ is built by sub-makes that stand in the *source* tree; its records are relative to that."""

SHARED_TOOL_SOURCES = ("tools/build", "tools/lib/subcmd")
"""Where sources lie that several tools build into their own folders: the bootstrap fixdep, libsubcmd (6.1)."""

PREPARED_FOLDERS: tuple[tuple[str, int], ...] = (
    # folder in the object tree, how many levels of subfolders belong to it
    ("rust", 1),
    ("scripts", 2),
    ("tools/objtool", 2),
    ("tools/bpf/resolve_btfids", 3),
    ("arch/$(srcarch)/tools", 0),
    ("arch/$(srcarch)/kernel/vdso", 0),  # arm64: vdso_prepare, whose offsets C includes
    ("include/generated", 0),
    ("arch/$(srcarch)/include/generated/asm", 0),
    ("arch/$(srcarch)/include/generated/uapi/asm", 0),
)
"""Where ``make modules_prepare`` keeps the records of what it builds (6.12, 7.2, 7.3)."""

PREPARED_RECORDS: tuple[str, ...] = (
    "kernel/.bounds.s.cmd",
    "kernel/sched/.rq-offsets.s.cmd",
    "arch/$(srcarch)/kernel/.asm-offsets.s.cmd",
    "..tmp_missing-syscalls.cmd",
    "..checked-atomic-arch-fallback.h.cmd",
    "..checked-atomic-instrumented.h.cmd",
    "..checked-atomic-long.h.cmd",
)
"""Single records of it, in folders that otherwise belong to the whole kernel."""

ALWAYS: dict[str, dict[str, str]] = {
    # folder of the Makefile: its lists and where what they name is made
    **{
        folder: {"always": folder, "hostprogs-always": folder}
        for folder in ("scripts/basic", "scripts", "scripts/mod", "rust")
    },
    "arch/$(srcarch)/entry/syscalls": {
        "uapisyshdr": "arch/$(srcarch)/include/generated/uapi/asm",
        "syshdr": "arch/$(srcarch)/include/generated/asm",
    },
}
"""Makefiles that modules_prepare reads in any configuration, for what they always make (6.1 to 7.3)."""

PREPARED: tuple[Prepared, ...] = (
    Prepared("kernel/bounds.s", "kernel/bounds.c"),
    Prepared("arch/$(srcarch)/kernel/asm-offsets.s", "arch/$(srcarch)/kernel/asm-offsets.c"),
    Prepared("kernel/sched/rq-offsets.s", "kernel/sched/rq-offsets.c"),
    Prepared(".tmp_missing-syscalls", "scripts/checksyscalls.sh", "kernel/sched/rq-offsets.s"),
    Prepared("scripts/mod/devicetable-offsets.s", "scripts/mod/devicetable-offsets.c"),
    Prepared("scripts/module.lds", "scripts/module.lds.S"),
    Prepared("scripts/generate_rust_target", "scripts/generate_rust_target.rs", "scripts/target.json"),
    Prepared("arch/$(srcarch)/tools/relocs", "arch/$(srcarch)/tools/relocs.c"),
    Prepared("arch/$(srcarch)/tools/vdso2c", "arch/$(srcarch)/tools/vdso2c.c"),
    Prepared("tools/objtool/objtool-in.o", "tools/objtool/Build", "tools/objtool/objtool"),
    Prepared(
        "tools/objtool/libsubcmd/libsubcmd-in.o",
        "tools/lib/subcmd/Build",
        "tools/objtool/libsubcmd/libsubcmd.a",
    ),
    Prepared("tools/objtool/libsubcmd-in.o", "tools/lib/subcmd/Build", "tools/objtool/libsubcmd.a"),
    *(
        Prepared(f".checked-atomic-{name}.h", f"include/linux/atomic/atomic-{name}.h")
        for name in ("arch-fallback", "instrumented", "long")
    ),
)
"""What Kbuild, arch/*/Makefile and tools/ make without such a list (6.1 to 7.3)."""

RECORDED_SUFFIXES = (
    ".o",
    ".so",
    ".rlib",
    "helpers.bc",
    "helpers_module.bc",
    "_generated.h",
    "_generated.rs",
    "_asm.rs",
    ".s",
    ".lds",
    ".h",
)
RECORDED_NAMES = frozenset(
    (
        "fixdep", "modpost", "mk_elfconfig", "kallsyms", "sorttable", "asn1_compiler", "generate_rust_target",
        "rustdoc_test_builder", "rustdoc_test_gen", "sign-file", "insert-sys-cert", "recordmcount",
        "tracepoint-update", "gendwarfksyms", "genksyms", "relocs", "vdso2c", "insn_decoder_test", "insn_sanity",
    )
)  # fmt: skip
"""What a file in the folders above is called that has a record, as far as a listing can tell."""

RECORDED = re.compile(
    r"rust/(?:host/)?[^/]+\.(?:o|so|rlib)"
    r"|rust/helpers/(?:helpers\.(?:o|bc)|helpers_module\.bc)"
    r"|rust/[^/]+/[^/]+_(?:generated|asm)\.rs"
    r"|rust/exports_[^/]+_generated\.h"
    r"|scripts/(?:[^/]+/){0,2}[^/]+\.o"
    r"|scripts/basic/fixdep"
    r"|scripts/mod/(?:modpost|mk_elfconfig|elfconfig\.h|devicetable-offsets\.s)"
    r"|scripts/(?:kallsyms|sorttable|asn1_compiler|generate_rust_target|rustdoc_test_builder|rustdoc_test_gen"
    r"|sign-file|insert-sys-cert|recordmcount|tracepoint-update|module\.lds|gendwarfksyms/gendwarfksyms|genksyms/genksyms)"
    r"|tools/(?:objtool|bpf/resolve_btfids)/(?:.+/)?[^/]+\.o"
    r"|arch/[^/]+/tools/(?:[^/]+\.o|relocs|vdso2c|insn_decoder_test|insn_sanity)"
    r"|arch/[^/]+/include/generated/(?:uapi/)?asm/(?:unistd|syscalls)_[^/]+\.h"
    r"|arch/[^/]+/include/generated/asm/(?:orc_hash|cpucap-defs|sysreg-defs|kernel-hwcap|mach-types|unistd-nr)\.h"
    r"|arch/[^/]+/kernel/vdso/[^/]+\.(?:o|lds|so|so\.dbg)|include/generated/(?:vdso-offsets|integer-wrap|gcc-plugins)\.h"
    r"|kernel/bounds\.s|kernel/sched/rq-offsets\.s|arch/[^/]+/kernel/asm-offsets\.s"
    r"|\.tmp_missing-syscalls|\.checked-atomic-[^/]+\.h"
)
"""Targets of modules_prepare that Kbuild always keeps a record of, relative to the object tree (6.1 to 7.3).

A target of this kind without a record is ``missing-record``; of any other it says nothing.
"""

NOT_PREPARED = re.compile(
    r"rust/(?:exports\.o|built-in\.a|modules\.order|doctests_kernel_generated.*)|scripts/(?:built-in\.a|modules\.order)"
)
"""What a build of the whole kernel puts into the same folders; ``modules_prepare`` never visits it."""

WHOLE_SUFFIXES = (".o", ".a", ".ko", ".mod", ".lds")
"""What a file anywhere in an object tree is called that has a record, as far as a listing can tell."""

WHOLE_NAMES: tuple[str, ...] = (
    "Module.symvers", "modules.builtin", "modules.builtin.modinfo", "vmlinux", "vmlinux.unstripped",
    "certs/extract-cert", "certs/signing_key.x509", "certs/x509_certificate_list",
    "drivers/scsi/scsi_devinfo_tbl.c", "drivers/tty/vt/conmakehash", "lib/crc/gen_crc32table",
    "scripts/selinux/mdp/mdp", "security/selinux/flask.h", "security/selinux/genheaders",
    "usr/gen_init_cpio", "usr/initramfs_data.cpio", "usr/initramfs_inc_data",
    *(f"arch/x86/boot/{name}" for name in (
        "bzImage", "cpustr.h", "mkcpustr", "setup.bin", "setup.elf", "vmlinux.bin", "voffset.h", "zoffset.h",
    )),
    *(f"arch/x86/boot/compressed/{name}" for name in (
        "mkpiggy", "piggy.S", "vmlinux", "vmlinux.relocs", "vmlinux.bin", "vmlinux.bin.gz", "vmlinux.bin.bz2",
        "vmlinux.bin.lzma", "vmlinux.bin.xz", "vmlinux.bin.lzo", "vmlinux.bin.lz4", "vmlinux.bin.zst",
    )),
    *(f"arch/x86/entry/vdso/vdso{abi}/vdso{abi}{end}" for abi in ("32", "64", "x32")
      for end in ("-image.c", ".so", ".so.dbg")),
    "arch/x86/kernel/cpu/capflags.c",
    *(f"arch/x86/realmode/rm/{name}" for name in ("pasyms.h", "realmode.bin", "realmode.elf", "realmode.relocs")),
)  # fmt: skip
"""Files that have a record, and no suffix tells; make comes to them wherever they are (7.2)."""

WHOLE_RECORDED = (
    r"(?!tools/)(?:.*\.(?:o|a|ko|mod|lds|bin|elf|dbg)|(?:.*/)?modules\.order)"
    rf"|{'|'.join(map(re.escape, WHOLE_NAMES))}|{RECORDED.pattern}"
)
"""Targets of plain ``make`` that Kbuild always keeps a record of, relative to the object tree (7.2).

Compiled where the whole tree is judged: that takes time, and every check reads this table.
"""

NAMED_NOT_COMPARED: frozenset[tuple[str, str]] = frozenset(
    (
        ("arch/x86/realmode/rm/realmode.relocs", "arch/x86/tools/relocs"),
        ("arch/x86/boot/compressed/vmlinux.relocs", "arch/x86/tools/relocs"),
        ("include/generated/vdso-offsets.h", "$(srctree)/arch/arm64/kernel/vdso/gen_vdso_offsets.sh"),
    )
)
"""(rule, tool): run by the command, yet no prerequisite in the Makefile (7.2)."""

SKIPPED_FOLDERS = frozenset(
    ("scripts/kconfig", "scripts/package", "scripts/dummy-tools", "rust/test", "rust/doc")
)
"""Built by goals that ``modules_prepare`` never visits: configuration, documentation, tests."""

RESOLVE_BTFIDS = "tools/bpf/resolve_btfids/resolve_btfids"
MODULE_TOOLS: dict[str, tuple[str, ...]] = {
    "scripts/basic/fixdep": (),
    "scripts/mod/modpost": (),
    "scripts/module.lds": (),
    "scripts/recordmcount": ("FTRACE_MCOUNT_USE_RECORDMCOUNT", "HAVE_C_RECORDMCOUNT"),
    RESOLVE_BTFIDS: ("DEBUG_INFO_BTF_MODULES",),
    "tools/objtool/objtool": ("OBJTOOL",),
}
"""What every module build uses besides what its records name, and the symbols that ask for it."""

MODULE_MAKEFILES: tuple[str, ...] = tuple(
    f"scripts/{name}"
    for name in ("Kbuild.include", "Makefile.build", "Makefile.lib", "Makefile.modpost", "Makefile.modfinal")
)
"""What every module build reads in the source tree, from 5.4 on."""


def are_read_together(target: str, other: str) -> bool:
    """Whether the Makefile that includes the record of one target includes that of another one near it."""
    return _including(target) == _including(other)


def _including(target: str) -> str:
    name = os.path.basename(target)
    return next((file for file, names in RECORDS_READ_BY if names.fullmatch(name)), "")


def names_source_whole(name: str, command: str) -> bool:
    """Whether a Makefile of plain ``make`` names the source of a target: of the kernel's own objects a pattern does."""
    if name.startswith(("rust/", ".", "tools/")):
        return not name.startswith("tools/") and not name.endswith(MADE_BY_PATTERN)
    if "--crate-name " in command or "--emit=" in command:
        return name.startswith("scripts/")
    return "-D__KERNEL__" not in command
