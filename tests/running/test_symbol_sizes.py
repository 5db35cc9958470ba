# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Sizes as a running kernel prints them: real objects, laid out as the loader and kallsyms see them."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest

from kdeps.running.symbol_sizes import SymbolSizes, read_symbol_sizes
from kdeps.system.errors import Unreadable
from tests.support.elf_objects import find_compiler

SOURCE = """
    .text
    .globl f, g
    .type f, @function
    .balign 16
f:  .skip 0x11, 0x90
.Lhidden:
    .size f, .-f
    .balign 16
g:  .skip 5, 0x90
    .section .text.unlikely,"ax"
    .balign 16
f.cold: .skip 3, 0x90
    .section .init.text,"ax"
__pfx_init_module: .skip 16, 0x90
    .globl init_module
init_module: .skip 0x30, 0x90
first_alias:
second_alias: .skip 8, 0x90
    .data
    .globl value
value: .long 1
"""


def assemble(folder: Path, text: str) -> Path:
    source, target = folder / "module.s", folder / "module.ko"
    source.write_text(text)
    subprocess.run([find_compiler(), "-c", str(source), "-o", str(target)], check=True)
    return target


def link(folder: Path, module: Path, *options: str) -> Path:
    target = folder / "vmlinux"
    command = ["ld", "-o", str(target), "-Ttext=0xffffffff81000000", "-e", "f", *options, str(module)]
    subprocess.run(command, check=True)
    return target


def read(path: Path) -> SymbolSizes:
    with path.open("rb") as file:
        return read_symbol_sizes(str(path), file)


def sizes(symbols: SymbolSizes) -> dict[str, list[int | None]]:
    return {name: [place.size for place in places] for name, places in symbols.places.items()}


def test_a_module_is_measured_to_the_next_symbol_in_memory(tmp_path: Path) -> None:
    """Padding counts, local labels do not; sections follow one another, and the last function reaches to the page's end."""
    assert sizes(read(assemble(tmp_path, SOURCE))) == {
        "f": [0x20],
        "g": [0x10],
        "f.cold": [0x1000 - 0x30],
        "__pfx_init_module": [0x10],
        "init_module": [0x30],
        "first_alias": [0x1000 - 0x40],
        "second_alias": [0x1000 - 0x40],
    }


def test_a_kernel_is_measured_by_addresses(tmp_path: Path) -> None:
    """Everything in the kernel's own table counts, labels and CRCs do not."""
    extra = "\n.text\n__crc_g: .skip 2\n.Lx: .skip 2\n$x: .skip 4\nlast.llvm.123: .skip 1\n"
    symbols = read(link(tmp_path, assemble(tmp_path, SOURCE + extra)))
    found = sizes(symbols)
    assert found["f"] == [0x20]
    assert found["g"] == [0x05 + 0x08]
    assert found["last"] == found["last.llvm.123"]
    assert found["init_module"] == [0x30]
    assert symbols.is_linked
    assert symbols.find("f")[0].value - symbols.find("f.cold")[0].value == 0x10


def test_two_functions_of_one_name_are_both_there(tmp_path: Path) -> None:
    first = assemble(tmp_path, ".text\nstatic_one: .skip 8\n.globl a\na: .skip 8\n").rename(tmp_path / "1.o")
    second = assemble(tmp_path, ".text\nstatic_one: .skip 24\n.globl b\nb: .skip 8\n")
    target = tmp_path / "both.ko"
    subprocess.run(["ld", "-r", "-o", str(target), str(first), str(second)], check=True)
    assert sizes(read(target))["static_one"] == [8, 24]


def test_what_says_which_kernel_is_read(tmp_path: Path) -> None:
    banner = '\n.section .rodata,"a"\n.globl linux_banner\nlinux_banner: .asciz "Linux version 7.2.13 (a@b) (clang) #3 SMP\\n"\n'
    symbols = read(link(tmp_path, assemble(tmp_path, SOURCE + banner), "--build-id=sha1"))
    assert symbols.banner == "Linux version 7.2.13 (a@b) (clang) #3 SMP"
    assert symbols.build_id
    assert len(symbols.build_id) == 40


def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path) -> None:
    """Cut off at every place, with bytes turned over, stripped, or no ELF file at all."""
    data = assemble(tmp_path, SOURCE).read_bytes()
    pieces = [data[:at] for at in range(0, len(data), 37)]
    pieces += [data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :] for at in range(0, len(data), 11)]
    messages: list[str] = []
    for piece in [*pieces, b"", b"#!/bin/sh\n", b"\x7fELF" + b"\xff" * 100]:
        try:
            read_symbol_sizes("module.ko", io.BytesIO(piece))
        except Unreadable as error:
            messages.append(str(error))
    assert len(messages) > len(data) // 74
    assert all(text.startswith("module.ko: not an ELF file with symbols") for text in messages)
    assert not any("\n" in text for text in messages)
    subprocess.run(["strip", str(tmp_path / "module.ko")], check=True)
    with pytest.raises(Unreadable, match="no symbols"):
        read(tmp_path / "module.ko")
