# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The command line: outside the lab it goes in, inside it compares."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from kdeps.formats.rust_symbol import readable_symbol
from tests.conformance.layout import read_layouts
from tests.lab.enter import run_in_lab

from . import __doc__ as usage

INSIDE = "KDEPS_SYMBOLS_INSIDE"
PARTS = ("kdeps", "tests/conformance", "tests/symbols", "tests/lab")
OBJECTS = (".o", ".so", ".ko", ".rlib")
_HASH = re.compile(r"::h[0-9a-f]{16}(?=$| )")
_MANGLED_HASH = re.compile(r"17h([0-9a-f]{16})E")


def main(arguments: list[str]) -> int:
    """Parse, enter the lab, compare, and say how it went."""
    parser = argparse.ArgumentParser(description=usage, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lab", type=Path, default=Path("/var/tmp/kdeps-lab"))
    options = parser.parse_args(arguments)
    if not os.environ.get(INSIDE):
        command = ["python3", "-m", "tests.symbols", *arguments]
        return run_in_lab(options.lab, command, parts=PARTS, environ={INSIDE: "1"}, exclusive=False)
    names = find_symbols(find_objects())
    wrong, explained = 0, 0
    started = time.perf_counter()
    said = {name: readable_symbol(name)[0] for name in names}
    elapsed = time.perf_counter() - started
    for kind, command, prefix in (
        ("v0", ["llvm-cxxfilt"], "_R"),
        ("legacy", ["c++filt", "-s", "rust"], "_ZN"),
    ):
        own = [name for name in names if name.startswith(prefix)]
        for name, expected in zip(own, ask(command, own), strict=True):
            if kind == "legacy":
                expected = _HASH.sub("", expected)
            if said[name] == expected:
                continue
            if expected == name and is_poor_hash(name):
                explained += 1
                continue
            wrong += 1
            print(f"{name}\n  kdeps: {said[name]}\n  {command[0]}: {expected}")
        print(f"{len(own)} {kind} symbols")
    print(f"{wrong} wrong, {explained} explained; {elapsed:.2f} s")
    return 1 if wrong or not names else 0


def is_poor_hash(name: str) -> bool:
    """Whether binutils takes the hash of a legacy symbol for none. Source: ``libiberty/rust-demangle.c``, ``is_legacy_prefixed_hash``."""
    found = _MANGLED_HASH.search(name)
    return found is not None and len(set(found[1])) < 5


def find_objects() -> list[str]:
    """Every object of the layouts, and of the compiler's own libraries."""
    tops = {layout.objtree for layout in read_layouts().values()}
    tops |= {module.output for layout in read_layouts().values() for module in layout.modules}
    sysroot = subprocess.run(
        ["rustc", "--print", "sysroot"], capture_output=True, text=True, check=True
    ).stdout
    tops.add(f"{sysroot.strip()}/lib")
    found: set[str] = set()
    for top in tops:
        for folder, _, files in os.walk(top):
            found.update(f"{folder}/{name}" for name in files if name.endswith(OBJECTS))
    return sorted(found)


def find_symbols(objects: list[str]) -> list[str]:
    """The Rust symbols of some objects, each once."""
    found: set[str] = set()
    for path in objects:
        for options in ([], ["-D"]):
            done = subprocess.run(
                ["llvm-nm", "--no-demangle", *options, path], capture_output=True, text=True, check=False
            )
            found.update(line.rpartition(" ")[2] for line in done.stdout.splitlines())
    return sorted(name for name in found if name.startswith(("_R", "_ZN")))


def ask(command: list[str], names: list[str]) -> list[str]:
    """What another demangler says, a line each."""
    done = subprocess.run(
        command, input="".join(f"{name}\n" for name in names), capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
