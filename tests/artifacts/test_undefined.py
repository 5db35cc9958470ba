# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Why a symbol is undefined: each cause is decided from the files that show it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kdeps.artifacts.object_file import ObjectError
from kdeps.artifacts.undefined import Cause, Places, crate_of, find_undefined
from kdeps.report.explain_text import CAUSES
from tests.support.elf_objects import compile_object

RUST = "_RNvNtCsb5MLIFMWygY_6kernel5print8call_it2"
OTHER = RUST.replace("b5MLIFMWygY", "kQ1x9Zu2aaB")
GENERIC = "_RINvNtCsb5MLIFMWygY_6kernel5print8call_it2mE"


class Kernel:
    """The files of a kernel and a module, in a folder of one's own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "Module.symvers").write_text("0x0\tother_symbol\tvmlinux\tEXPORT_SYMBOL\t\n")

    def places(self, **changed: object) -> Places:
        """Where to look, with what a test changes."""
        root = self.root
        found = Places(
            dump=str(root / "Module.symvers"), named_dumps=(), other_dumps=(), crates={}, helpers=str(root / "helpers.o"),
            symbol_map=str(root / "System.map"), headers=(),
        )  # fmt: skip
        return found._replace(**changed)  # type: ignore[arg-type]

    def wanting(self, name: str) -> str:
        """A module's object that wants one symbol of this name."""
        return self.compiled("module.o", f"extern int {name}(void); int probe(void) {{ return {name}(); }}")

    def defining(self, name: str, file: str) -> str:
        """An object that defines one symbol of this name."""
        return self.compiled(file, f"int {name}(void) {{ return 1; }}")

    def compiled(self, file: str, text: str) -> str:
        """Compile some C, not to position-independent code, as the kernel does."""
        path = self.root / file
        data = compile_object(self.root, f"{text}\n")
        path.write_bytes(data)
        return str(path)


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    return Kernel(tmp_path)


def cause_of(kernel: Kernel, name: str, **changed: object) -> tuple[Cause, str]:
    """The cause of one symbol that a module wants, and the file that decided it."""
    (found,) = find_undefined([kernel.wanting(name)], kernel.places(**changed))
    assert found.name == name
    return found.cause, Path(found.evidence).name


@pytest.mark.parametrize("name", ["printk_it", RUST, "rust_helper_it"])
def test_without_any_dump_that_is_the_cause(name: str, kernel: Kernel) -> None:
    """The kernel was never built: whatever a symbol is, modpost cannot know it."""
    (kernel.root / "Module.symvers").unlink()
    crates = {"kernel": kernel.defining(RUST, "kernel.o")}
    helpers = kernel.defining("rust_helper_it", "helpers.o")
    assert cause_of(kernel, name, crates=crates, helpers=helpers) == (Cause.NO_DUMP, "Module.symvers")


@pytest.mark.parametrize("name", ["printk_it", RUST])
def test_what_any_dump_has_is_not_undefined(name: str, kernel: Kernel) -> None:
    """The kernel's, or one that is named."""
    dump = kernel.root / "extra.symvers"
    dump.write_text(f"0x0\t{name}\tmodule\tEXPORT_SYMBOL_GPL\t\n")
    assert find_undefined([kernel.wanting(name)], kernel.places(named_dumps=(str(dump),))) == ()
    shutil.copy(dump, kernel.root / "Module.symvers")
    assert find_undefined([kernel.wanting(name)], kernel.places()) == ()


@pytest.mark.parametrize(
    ("name", "files", "cause", "evidence"),
    [
        # The dump, or the crate's object, has the same item with another hash of the crate.
        (RUST, {"Module.symvers": (OTHER, "vmlinux")}, Cause.OTHER_BUILD, "Module.symvers"),
        (RUST, {"kernel.o": (OTHER, "")}, Cause.OTHER_BUILD, "kernel.o"),
        # The object has it, so building the kernel will export it.
        (RUST, {"kernel.o": (RUST, "")}, Cause.OLD_DUMP, "kernel.o"),
        ("rust_helper_it", {"helpers.o": ("rust_helper_it", "")}, Cause.OLD_DUMP, "helpers.o"),
        # The crate no longer has the item.
        (RUST, {"kernel.o": (RUST.replace("2", "3"), "")}, Cause.OLD_OBJECT, "kernel.o"),
        # Another module's dump has it, and modpost does not read that.
        ("printk_it", {"neighbour.symvers": ("printk_it", "neighbour")}, Cause.OTHER_MODULE, "neighbour.symvers"),
        (RUST, {"neighbour.symvers": (RUST, "neighbour")}, Cause.OTHER_MODULE, "neighbour.symvers"),
        # A second object tree lies beside the module: its symbols are not for this kernel (seen in the lab).
        (RUST, {"neighbour.symvers": (RUST, "vmlinux")}, Cause.OTHER_CRATE, ""),
        # Crates export no instances.
        (GENERIC, {"kernel.o": (RUST, "")}, Cause.GENERIC, ""),
        # A name in ``rust_helper_`` that no helper has.
        ("rust_helper_it", {}, Cause.NO_HELPER, ""),
        ("printk_it", {"System.map": ("ffffffff81000000 T printk_it", "")}, Cause.NOT_EXPORTED, "System.map"),
        # An item of another module's crate, whose dump is nowhere.
        (RUST.replace("6kernel", "6driver"), {}, Cause.OTHER_CRATE, ""),
    ],
)  # fmt: skip
def test_the_cause_is_found_where_the_symbol_is(
    name: str, files: dict[str, tuple[str, str]], cause: Cause, evidence: str, kernel: Kernel
) -> None:
    """Dumps, with the owner of the symbol, objects and System.map show why modpost does not know it."""
    for file, (symbol, owner) in files.items():
        if file.endswith(".o"):
            kernel.defining(symbol, file)
        else:
            text = f"0x0\t{symbol}\t{owner}\tEXPORT_SYMBOL_GPL\t\n" if owner else f"{symbol}\n"
            (kernel.root / file).write_text(text)
    crates = {"kernel": str(kernel.root / "kernel.o")} if "kernel.o" in files else {}
    dumps = tuple(str(kernel.root / file) for file in files if file == "neighbour.symvers")
    assert cause_of(kernel, name, crates=crates, other_dumps=dumps) == (cause, evidence)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("static inline void printk_it(u32 value)\n{\n}\n", Cause.NO_HELPER),
        ("static __always_inline void\nprintk_it(u32 value)\n{\n}\n", Cause.NO_HELPER),
        ("#define printk_it(value) other(value)\n", Cause.NO_HELPER),
        ("void printk_it(u32 value);\n", Cause.NOWHERE),
        ("#ifdef A\nvoid printk_it(u32);\n#else\nstatic inline void printk_it(u32 v) {}\n#endif\n", Cause.NOWHERE),
        ("/* printk_it( is mentioned */\n", Cause.NOWHERE),
    ],
)  # fmt: skip
def test_a_c_function_without_a_helper(text: str, cause: Cause, kernel: Kernel) -> None:
    """A macro or an inline function; not one that has a stub for another configuration."""
    header = kernel.root / "it.h"
    header.write_text(text)
    evidence = "it.h" if cause is Cause.NO_HELPER else ""
    assert cause_of(kernel, "printk_it", headers=(str(header),)) == (cause, evidence)


def test_what_bindgen_saw_declared_needs_no_helper(kernel: Kernel) -> None:
    """The bindings leave out what is inline in this configuration, so what they have decides before any header."""
    header, bindings = kernel.root / "it.h", kernel.root / "bindings_generated.rs"
    header.write_text("static inline void printk_it(u32 value) {}\n")
    places = {"headers": (str(header),), "bindings": str(bindings)}
    bindings.write_text('unsafe extern "C" { pub fn printk_it (value : u32_) ; }')
    assert cause_of(kernel, "printk_it", **places)[0] is Cause.NOWHERE
    bindings.write_text('unsafe extern "C" { pub fn printk_it_too (value : u32_) ; }')
    assert cause_of(kernel, "printk_it", **places)[0] is Cause.NO_HELPER


def test_a_module_exports_for_its_neighbour_of_one_build(kernel: Kernel) -> None:
    """Two modules of one folder: what the one exports, the other need not find in a dump."""
    other = kernel.compiled(
        "other.o", "extern int of_other(void); int __export_symbol_printk_it(void) { return of_other(); }"
    )
    alone = find_undefined([kernel.wanting("printk_it")], kernel.places())
    both = find_undefined([kernel.wanting("printk_it"), other], kernel.places())
    assert [u.name for u in alone] == ["printk_it"]
    assert [u.name for u in both] == ["of_other"]


def test_an_object_that_cannot_be_read_is_an_error(kernel: Kernel) -> None:
    """No list is better than a short one."""
    path = kernel.root / "module.o"
    path.write_bytes(b"\x7fELF")
    with pytest.raises(ObjectError, match="cut off"):
        find_undefined([str(path)], kernel.places())


@pytest.mark.parametrize(
    ("name", "crate"),
    [
        (RUST, ("kernel", "b5MLIFMWygY")),
        ("_RNvXs2_NtCsb5MLIFMWygY_6kernel6deviceNtB5_6DeviceNtNtNtB7_4sync4aref16AlwaysRefCounted7dec_ref", ("kernel", "b5MLIFMWygY")),
        ("_RNvC3abc3def", ("abc", "")),
        ("printk", ("", "")),
        ("_R", ("", "")),
    ],
)  # fmt: skip
def test_the_crate_of_a_name(name: str, crate: tuple[str, str]) -> None:
    """The crate in which an item stands, with its hash."""
    assert crate_of(name) == crate


def test_every_cause_has_words() -> None:
    """A new cause cannot ship without a sentence and a help."""
    assert set(CAUSES) == set(Cause)
