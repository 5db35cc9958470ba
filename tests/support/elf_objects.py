# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Real object files in a miniature, and other content behind a file's mtime."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.support.miniature import Miniature

RELEASE = "7.2.13"
SOURCE = """
__attribute__((section(".modinfo"), used)) static const char magic[] = "vermagic={magic}";
__attribute__((section(".modinfo"), used)) static const char name[] = "name=nova_core";
extern int known(void);
extern int _RNvMNtCsb5MLIFMWygY_6kernel5errorNtB2_5Error10from_errno(void);
extern int optional(void) __attribute__((weak));
int f(void) {{ return known() + _RNvMNtCsb5MLIFMWygY_6kernel5errorNtB2_5Error10from_errno() + optional(); }}
__asm__(".section .comment,\\"MS\\",@progbits,1\\n.string \\"rustc version {rustc}\\"\\n.text\\n");
"""


def find_compiler() -> str:
    found = shutil.which("gcc")
    if found is None:
        pytest.skip("needs gcc for real object files")
    return found


def compile_module(folder: Path, magic: str = f"{RELEASE} SMP mod_unload ", rustc: str = "1.0") -> bytes:
    """A real object with the marks of a module."""
    return compile_object(folder, SOURCE.format(magic=magic, rustc=rustc))


def compile_object(folder: Path, text: str) -> bytes:
    """A real object of some C, which is ``module.o`` in the folder as well."""
    data = _compile(text)
    (folder / "module.o").write_bytes(data)
    return data


@functools.cache
def _compile(text: str) -> bytes:
    """Compile each text once in a run of the tests: the object depends on nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "module.c").write_text(text)
        subprocess.run([find_compiler(), "-c", "-O2", "module.c"], check=True, cwd=folder)
        return Path(folder, "module.o").read_bytes()


def put_programs(folder: Path) -> None:
    """Replace each script by a program: kdeps asks a script for its version each time."""
    for tool in list(folder.iterdir()):
        if tool.read_bytes()[:2] == b"#!":
            tool.rename(tool.with_name(f"{tool.name}.real"))
            tool.write_bytes(_caller())
            tool.chmod(0o755)


@functools.cache
def _caller() -> bytes:
    """A program that becomes what has its own name with ``.real`` behind it."""
    source = r"""
        #include <string.h>
        #include <unistd.h>
        int main(int n, char **v) {
            char path[4096];
            ssize_t length = readlink("/proc/self/exe", path, sizeof path - 6);
            if (length < 0) return 1;
            strcpy(path + length, ".real");
            v[0] = path;
            return execv(path, v);
        }
    """
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "program")
        subprocess.run([find_compiler(), "-x", "c", "-o", program, "-"], input=source, text=True, check=True)
        return program.read_bytes()


def put(path: Path, data: bytes) -> None:
    """Replace a file's content behind its mtime."""
    times = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def configured(tree: Miniature, symbol: str) -> str:
    """The value of a symbol in the synced configuration; empty where it has none."""
    text = (tree.objtree / "include/config/auto.conf").read_text()
    return next(
        (line.partition("=")[2].strip('"') for line in text.splitlines() if line.startswith(f"{symbol}=")), ""
    )


def vermagic(tree: Miniature) -> str:
    """What a module of this tree says it was built for."""
    words = {
        "CONFIG_SMP": "SMP ",
        "CONFIG_PREEMPT_BUILD": "preempt ",
        "CONFIG_MODULE_UNLOAD": "mod_unload ",
        "CONFIG_MODVERSIONS": "modversions ",
    }
    return f"{RELEASE} " + "".join(word for symbol, word in words.items() if configured(tree, symbol))


def foreign_program(machines: tuple[int, int] = (62, 183)) -> bytes:
    """Return the bare header of a program of another machine: arm64 on x86-64, else x86-64."""
    machine = machines[os.uname().machine == "x86_64"]
    return b"\x7fELF\x02\x01\x01" + bytes(9) + b"\2\0" + machine.to_bytes(2, "little") + bytes(500)
