# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What a build of a module really opens, against what kdeps' rules name.

The audit asks Kbuild, and Kbuild has blind spots: a tool that a recipe runs, bitcode that it links. Here the
module, or what modules_prepare makes for it, is built anew under strace, and every file of the trees that a
process read or ran must be one that a rule of kdeps', which the module uses, reads, writes or is recorded in.
"""

from __future__ import annotations

import os
import re
import subprocess
from typing import NamedTuple

from kdeps.kbuild.rule import Owner, Rule
from kdeps.staleness.check import check_build
from tests.lab.layout import Layout, Module
from tests.lab.overlay import Scratch

_OPENED = re.compile(
    r'(?:openat\((?:AT_FDCWD|\d+)<.*?>, "(?P<named>[^"]*)", (?P<flags>[A-Z_|]+).* = \d+<(?P<opened>.*)>'
    r'|execve\("(?P<run>[^"]*)", .* = 0)$'
)
_MAKE_READS = re.compile(r"Makefile.*|Kbuild.*|Build|\.kernelvariables|.*\.(?:mk|mak|include|sh)")
"""What only decides commands: its changes show with ``--exact``."""
_NEVER_COMPARED = frozenset(
    (
        "include/config/auto.conf", "include/config/auto.conf.cmd", "include/generated/autoconf.h",  # see the symbols
        "include/generated/compile.h", "include/generated/package.h", "scripts/mkcompile_h",  # no module has them
        "scripts/check-local-export",  # looks at what was made (6.1)
        "scripts/remove-stale-files", "scripts/setlocalversion",  # run by each make
        "scripts/rust_is_available_bindgen_libclang.h",  # a question to bindgen
        "tools/include/linux/livepatch_external.h",  # see _is_never_compared
    )
)  # fmt: skip


class Opened(NamedTuple):
    """What one build opened."""

    layout: str
    what: str
    """The module, or ``modules_prepare``."""
    files: int
    """How many files of the trees."""
    unknown: tuple[str, ...]
    """Those that no rule names."""
    error: str
    """Why the build failed; empty if it did not."""


def trace_build(layout: Layout, module: Module, *, prepare: bool = False) -> Opened:
    """Rebuild a module, or what it needs of the kernel, under strace. Call it in a process that ends afterwards."""
    scratch = Scratch()
    result = check_build((*layout.make, *module.make), layout.cwd, dict(os.environ))
    used = result.graph.rules if prepare else [result.graph.rules[at] for at in result.graph.used]
    own = [rule for rule in result.graph.rules if rule.owner is Owner.MODULE]
    known = {os.path.realpath(path) for rule in (*used, *own) for path in _list_files(rule)}
    owner = Owner.KERNEL if prepare else Owner.MODULE
    for rule in result.graph.rules:
        if rule.owner is owner and rule.record:
            for path in filter(os.path.exists, (*rule.outputs, rule.record)):
                os.unlink(path)
    trace = f"{scratch.private}/trace"
    done = subprocess.run(
        [
            *("strace", "-f", "-y", "-qq", "-s", "4096", "-o", trace),
            *("-e", "trace=openat,execve", "-e", "status=successful"),
            *("make", "-j2", *layout.make, *(("modules_prepare",) if prepare else module.make)),
        ],
        cwd=layout.cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    made = set(scratch.written())
    trees = (layout.srctree, layout.objtree, module.folder, module.output)
    roots = tuple(f"{os.path.realpath(tree)}/" for tree in trees)
    read = {
        path
        for path in _read_trace(trace, layout)
        if path.startswith(roots) and path not in made and os.path.isfile(path)
    }
    unknown = {
        path
        for path in read - known
        if not (_MAKE_READS.fullmatch(os.path.basename(path)) or _is_never_compared(path, layout))
    }
    error = (
        "" if done.returncode == 0 else done.stderr.strip().rpartition("\n")[2] or f"exit {done.returncode}"
    )
    what = "modules_prepare" if prepare else module.name
    return Opened(layout.name, what, len(read), tuple(sorted(unknown)), error)


def _is_never_compared(path: str, layout: Layout) -> bool:
    """Whether nothing follows from a file: objtool's sync-check.sh only looks whether tools/ has a true copy of it."""
    for tree in map(os.path.realpath, (layout.objtree, layout.srctree)):
        name = path.removeprefix(f"{tree}/")
        if name in _NEVER_COMPARED or (name != path and os.path.exists(f"{tree}/tools/{name}")):
            return True
    return False


def _list_files(rule: Rule) -> list[str]:
    symbols = (f"{rule.config_dir}/include/config/{name}" for name in rule.config)
    files = (*rule.prerequisites, *rule.optional_prerequisites, *rule.uncompared_inputs, *rule.needed)
    return [*files, *rule.outputs, *symbols, *filter(None, (rule.source, rule.record, rule.depfile))]


def _read_trace(trace: str, layout: Layout) -> set[str]:
    """List the files that were opened to be read, or run."""
    found: set[str] = set()
    with open(trace, errors="surrogateescape") as lines:
        for line in lines:
            match = _OPENED.search(line.rstrip("\n"))
            if (
                match is None
                or "O_WRONLY" in (match["flags"] or "")
                or "O_DIRECTORY" in (match["flags"] or "")
            ):
                continue
            # strace does not say where a program stands that it runs; Kbuild runs its tools from either tree.
            paths = [match["opened"]] if match["run"] is None else [
                os.path.join(tree, match["run"]) for tree in (layout.objtree, layout.srctree)
            ]  # fmt: skip
            found.update(os.path.realpath(path) for path in paths)
    return found


def opened_line(opened: Opened) -> str:
    """Tell what one build opened."""
    told = f"opened {opened.layout} {opened.what}: {opened.files} files, {len(opened.unknown)} that no rule names"
    more = "".join(f"\n  UNKNOWN {path}" for path in opened.unknown)
    return told + more + (f"\n  FAILED {opened.error}" if opened.error else "")
