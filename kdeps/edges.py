# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What Kbuild keeps only in Makefiles: the one table of edges that no record has.

A record names what the *compiler* read. make also compares what the Makefile
lists as prerequisites, and those are nowhere on disk. Most can be taken from
the record's own command (``parse_command``, ``--extern``); the rest stands here,
each row with the line it comes from and the versions it was compared on.

The table is kept honest by the audit of the conformance suite: make is asked
for ``$^`` of every rule of a real tree, and the two lists must be the same.

Names are relative to the object tree; ``$(srctree)/`` and ``$(srcarch)`` are
replaced. A row whose target this tree does not build has no effect.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Edge(NamedTuple):
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


class Unrecorded(NamedTuple):
    """A step that leaves no record: filechk, a plain make rule, a step of Kconfig."""

    target: str
    prerequisites: tuple[str, ...]
    filechk: bool
    """Replaces its output only when the content differs; a plain make rule always does."""
    source: str
    versions: str
    unless: str = ""
    """Does not hold where this file was ever built: there the target is made by other steps."""


_CB = ("rust/compiler_builtins.o",)

EDGES: tuple[Edge, ...] = (
    Edge("rust/core.o", ("scripts/target.json",), "rust/Makefile: $(obj)/core.o: scripts/target.json", "6.12 7.2 7.3", when="scripts/target.json"),
    Edge("rust/compiler_builtins.o", ("rust/core.o",), "rust/Makefile: $(obj)/compiler_builtins.o:", "6.12 7.2 7.3"),
    Edge("rust/alloc.o", _CB, "rust/Makefile: $(obj)/alloc.o:", "6.1 to 6.12 (read)"),
    Edge("rust/ffi.o", _CB, "rust/Makefile: $(obj)/ffi.o:", "6.12 7.2 7.3"),
    Edge("rust/build_error.o", _CB, "rust/Makefile: $(obj)/build_error.o:", "6.12 7.2 7.3"),
    Edge("rust/zerocopy.o", _CB, "rust/Makefile: $(obj)/zerocopy.o:", "7.2 7.3"),
    Edge("rust/pin_init.o", _CB, "rust/Makefile: $(obj)/pin_init.o:", "7.2 7.3"),
    Edge("rust/bindings.o", ("rust/bindings/bindings_generated.rs", "rust/bindings/bindings_helpers_generated.rs"), "rust/Makefile: $(obj)/bindings.o:", "6.12 7.2 7.3"),
    Edge("rust/uapi.o", ("rust/uapi/uapi_generated.rs",), "rust/Makefile: $(obj)/uapi.o:", "6.12 7.2 7.3"),
    Edge("rust/kernel.o", ("rust/kernel/generated_arch_static_branch_asm.rs", "rust/kernel/generated_arch_warn_asm.rs", "rust/kernel/generated_arch_reachable_asm.rs"), "rust/Makefile: ifdef CONFIG_JUMP_LABEL / CONFIG_BUG: $(obj)/kernel.o:", "7.2 7.3", existing=True),
    Edge("rust/bindings/bindings_generated.rs", ("$(srctree)/rust/bindgen_parameters",), "rust/Makefile: $(obj)/bindings/bindings_generated.rs:", "6.12 7.2 7.3"),
    Edge("rust/uapi/uapi_generated.rs", ("$(srctree)/rust/bindgen_parameters",), "rust/Makefile: $(obj)/uapi/uapi_generated.rs:", "6.12 7.2 7.3"),
    Edge("kernel/sched/rq-offsets.s", ("include/generated/asm-offsets.h",), "Kbuild: $(rq-offsets-file): $(offsets-file)", "7.2 7.3", existing=True),
    Edge("built-in-fixup.a", ("$(srctree)/scripts/head-object-list.txt",), "scripts/Makefile.vmlinux_a: built-in-fixup.a:", "7.2"),
    Edge("vmlinux.unstripped", ("vmlinux.o", ".vmlinux.export.o", "arch/$(srcarch)/kernel/vmlinux.lds"), "scripts/Makefile.vmlinux: vmlinux.unstripped:", "7.2"),
    Edge("vmlinux.unstripped", (".builtin-dtbs.o", "arch/$(srcarch)/tools/vmlinux.arch.o", "scripts/sorttable", "tools/bpf/resolve_btfids/resolve_btfids"), "scripts/Makefile.vmlinux: vmlinux.unstripped:", "7.2", existing=True),
    Edge("arch/x86/realmode/rm/realmode.bin", ("arch/x86/realmode/rm/realmode.relocs",), "arch/x86/realmode/rm/Makefile: $(obj)/realmode.bin:", "7.2"),
    Edge("arch/x86/realmode/rmpiggy.o", ("arch/x86/realmode/rm/realmode.bin",), "arch/x86/realmode/Makefile: $(obj)/rmpiggy.o:", "7.2"),
    Edge("certs/system_certificates.o", ("certs/signing_key.x509", "certs/x509_certificate_list"), "certs/Makefile: $(obj)/system_certificates.o:", "7.2", existing=True),
    Edge("security/selinux/initcalls.o", ("security/selinux/flask.h",), "security/selinux/Makefile: $(addprefix $(obj)/,$(selinux-y)):", "7.2"),
    Edge("security/selinux/ss/symtab.o", ("security/selinux/flask.h",), "security/selinux/Makefile: $(addprefix $(obj)/,$(selinux-y)):", "7.2"),
    Edge("usr/initramfs_data.cpio", ("$(srctree)/usr/default_cpio_list", "usr/gen_init_cpio"), "usr/Makefile: $(obj)/initramfs_data.cpio:", "7.2", existing=True),
    Edge("usr/initramfs_data.o", ("usr/initramfs_inc_data",), "usr/Makefile: $(obj)/initramfs_data.o:", "7.2"),
    Edge(".tmp_missing-syscalls", ("$(srctree)/scripts/checksyscalls.sh",), "Kbuild: missing-syscalls: scripts/checksyscalls.sh", "7.2 7.3"),
    Edge(".tmp_missing-syscalls", ("include/generated/rq-offsets.h",), "Kbuild: missing-syscalls: $(rq-offsets-file)", "7.2 7.3", existing=True),
)  # fmt: skip

CONFIG_EDGES: dict[str, tuple[str, ...]] = {
    # rust/Makefile: $(obj)/core.o: $(wildcard $(objtree)/include/config/RUSTC_VERSION_TEXT)  (6.12 7.2 7.3)
    "rust/core.o": ("RUSTC_VERSION_TEXT",),
}
"""Configuration symbols that a Makefile, not a record, makes a prerequisite."""

UNRECORDED: tuple[Unrecorded, ...] = (
    Unrecorded("scripts/target.json", ("scripts/generate_rust_target", "include/config/auto.conf"), True, "scripts/Makefile: $(obj)/target.json:", "6.1 to 7.3"),
    Unrecorded("include/generated/bounds.h", ("kernel/bounds.s",), True, "Kbuild: $(bounds-file):", "6.1 to 7.3"),
    Unrecorded("include/generated/asm-offsets.h", ("arch/$(srcarch)/kernel/asm-offsets.s",), True, "Kbuild: $(offsets-file):", "6.1 to 7.3"),
    Unrecorded("include/generated/rq-offsets.h", ("kernel/sched/rq-offsets.s",), True, "Kbuild: $(rq-offsets-file):", "7.2 7.3"),
    Unrecorded("scripts/mod/devicetable-offsets.h", ("scripts/mod/devicetable-offsets.s",), True, "scripts/mod/Makefile: $(obj)/$(devicetable-offsets-file):", "6.1 to 7.3"),
    Unrecorded("arch/$(srcarch)/include/generated/asm/cpufeaturemasks.h", ("$(srctree)/arch/$(srcarch)/tools/cpufeaturemasks.awk", "$(srctree)/arch/$(srcarch)/include/asm/cpufeatures.h", ".config"), True, "arch/x86/Makefile: $(cpufeaturemasks.hdr):", "7.2 7.3"),
    Unrecorded("include/generated/timeconst.h", ("$(srctree)/kernel/time/timeconst.bc",), True, "Kbuild: $(timeconst-file):", "6.1 to 7.3"),
    Unrecorded("include/generated/utsrelease.h", ("include/config/kernel.release",), True, "Makefile: include/generated/utsrelease.h:", "6.1 to 7.3"),
    Unrecorded("include/generated/uapi/linux/version.h", ("$(srctree)/Makefile",), True, "Makefile: $(version_h):", "6.1 to 7.3"),
    Unrecorded("tools/objtool/arch/x86/lib/inat-tables.c", ("$(srctree)/tools/arch/x86/tools/gen-insn-attr-x86.awk", "$(srctree)/tools/arch/x86/lib/x86-opcode-map.txt"), False, "tools/objtool/arch/x86/Build: $(OUTPUT)arch/x86/lib/inat-tables.c:", "6.12 7.2"),
    Unrecorded("tools/objtool/arch/x86/lib/cpu-feature-names.c", ("$(srctree)/tools/arch/x86/tools/gen-cpu-feature-names-x86.awk", "$(srctree)/tools/arch/x86/include/asm/cpufeatures.h"), False, "tools/objtool/arch/x86/Build: $(OUTPUT)arch/x86/lib/cpu-feature-names.c:", "7.2"),
    Unrecorded("tools/objtool/fixdep", ("tools/objtool/fixdep-in.o",), False, "tools/build/Makefile: $(OUTPUT)fixdep:", "7.2 7.3"),
    Unrecorded("tools/objtool/libsubcmd/fixdep", ("tools/objtool/libsubcmd/fixdep-in.o",), False, "tools/build/Makefile: $(OUTPUT)fixdep:", "7.2 7.3"),
    Unrecorded("tools/objtool/fixdep", ("$(srctree)/tools/build/fixdep.c",), False, "tools/build/Makefile: $(OUTPUT)fixdep:", "6.12", unless="tools/objtool/fixdep-in.o"),
    Unrecorded("tools/objtool/libsubcmd/fixdep", ("$(srctree)/tools/build/fixdep.c",), False, "tools/build/Makefile: $(OUTPUT)fixdep:", "6.12", unless="tools/objtool/libsubcmd/fixdep-in.o"),
    Unrecorded("tools/objtool/libsubcmd/libsubcmd.a", ("tools/objtool/libsubcmd/libsubcmd-in.o",), False, "tools/lib/subcmd/Makefile: $(LIBFILE):", "6.12 7.2 7.3"),
    Unrecorded("tools/objtool/libsubcmd.a", ("tools/objtool/libsubcmd-in.o",), False, "tools/lib/subcmd/Makefile: $(LIBFILE):", "6.1"),
    *(
        Unrecorded(f"tools/{tool}/libsubcmd/include/subcmd/{name}.h", (f"$(srctree)/tools/lib/subcmd/{name}.h",), False, "tools/lib/subcmd/Makefile: $(INSTALL_HDRS):", versions)
        for tool, versions in (("objtool", "6.12"), ("bpf/resolve_btfids", "6.1 to 7.3 (read)"))
        for name in ("exec-cmd", "help", "pager", "parse-options", "run-command")
    ),
    Unrecorded("tools/objtool/objtool", ("tools/objtool/libsubcmd/libsubcmd.a", "tools/objtool/libsubcmd.a", "tools/objtool/objtool-in.o"), False, "tools/objtool/Makefile: $(OBJTOOL):", "6.1 6.12 7.2 7.3"),
)  # fmt: skip

CRATE_EXCEPTIONS: frozenset[tuple[str, str]] = frozenset((("rust/kernel.o", "ffi"),))
"""(rule, crate): named by ``--extern``, yet no prerequisite in rust/Makefile (7.2, 7.3)."""

TOOLCHAIN_CRATES = frozenset(("proc_macro", "std", "core", "alloc", "test"))
"""Crates that ``--extern`` may name and that rustc brings along; ``core`` of the kernel is never named."""

COMMAND_BLIND: dict[str, tuple[int, int]] = {"rust/helpers/helpers.o": (6, 18)}
"""Rules that never notice a changed command or a missing record, since which version.

``if_changed_rule,rust_cc_library`` where no ``cmd_rust_cc_library`` exists makes
``$(cmd-check)`` empty for ever (7.2, 7.3; not 6.12).
"""

EXPLICIT_SOURCES = ("rust/", "scripts/", "arch/", ".")
"""Where Makefiles name the source of a target, so that a missing one stops make.

Elsewhere (modules, tools/) a pattern rule finds the source: when it is
gone no rule matches, and the old target is used without a word.
"""

MADE_BY_PATTERN = (".s", "_asm.rs")
"""Exceptions to that: ``%.s: %.c``, ``%.rs: %.rs.S``."""

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
    ("scripts", 1),
    ("tools/objtool", 2),
    ("tools/bpf/resolve_btfids", 3),
    ("arch/$(srcarch)/tools", 0),
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

RECORDED_SUFFIXES = (".o", ".so", ".rlib", "_generated.h", "_generated.rs", "_asm.rs", ".s", ".lds", ".h")
RECORDED_NAMES = frozenset(
    (
        "fixdep", "modpost", "mk_elfconfig", "kallsyms", "sorttable", "asn1_compiler", "generate_rust_target",
        "rustdoc_test_builder", "rustdoc_test_gen", "sign-file", "insert-sys-cert", "recordmcount",
        "tracepoint-update", "gendwarfksyms", "relocs", "vdso2c", "insn_decoder_test", "insn_sanity",
    )
)  # fmt: skip
"""What a file in the folders above is called that has a record, as far as a listing can tell."""

RECORDED = re.compile(
    r"rust/(?:host/)?[^/]+\.(?:o|so|rlib)"
    r"|rust/helpers/helpers\.o"
    r"|rust/[^/]+/[^/]+_(?:generated|asm)\.rs"
    r"|rust/exports_[^/]+_generated\.h"
    r"|scripts/(?:[^/]+/)?[^/]+\.o"
    r"|scripts/basic/fixdep"
    r"|scripts/mod/(?:modpost|mk_elfconfig|elfconfig\.h|devicetable-offsets\.s)"
    r"|scripts/(?:kallsyms|sorttable|asn1_compiler|generate_rust_target|rustdoc_test_builder|rustdoc_test_gen"
    r"|sign-file|insert-sys-cert|recordmcount|tracepoint-update|module\.lds|gendwarfksyms/gendwarfksyms)"
    r"|tools/(?:objtool|bpf/resolve_btfids)/(?:.+/)?[^/]+\.o"
    r"|arch/[^/]+/tools/(?:[^/]+\.o|relocs|vdso2c|insn_decoder_test|insn_sanity)"
    r"|arch/[^/]+/include/generated/(?:uapi/)?asm/(?:unistd|syscalls)_[^/]+\.h"
    r"|arch/[^/]+/include/generated/asm/(?:orc_hash|cpucap-defs|sysreg-defs|kernel-hwcap|mach-types|unistd-nr)\.h"
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

NAMED_ONLY: frozenset[tuple[str, str]] = frozenset(
    (
        ("arch/x86/realmode/rm/realmode.relocs", "arch/x86/tools/relocs"),
        ("arch/x86/boot/compressed/vmlinux.relocs", "arch/x86/tools/relocs"),
    )
)
"""(rule, target): named by the command, yet no prerequisite in the Makefile (7.2)."""

ALSO_WRITTEN: dict[str, tuple[str, ...]] = {
    "security/selinux/flask.h": (
        "security/selinux/av_permissions.h",
    ),  # $(addprefix $(obj)/,flask.h av_permissions.h)
}
"""Outputs that only a command names, behind its inputs (7.2)."""

SKIPPED_FOLDERS = frozenset(
    ("scripts/kconfig", "scripts/package", "scripts/dummy-tools", "rust/test", "rust/doc")
)
"""Built by goals that ``modules_prepare`` never visits: configuration, documentation, tests."""

MODULE_TOOLS: tuple[str, ...] = (
    "scripts/basic/fixdep",
    "scripts/mod/modpost",
    "scripts/module.lds",
    "tools/objtool/objtool",
)
"""What every module build uses besides what its records name."""
