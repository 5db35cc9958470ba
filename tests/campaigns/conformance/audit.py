# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Kbuild's list of prerequisites for every rule, against kdeps' list.

Mutations hit an edge by chance; this looks at all of them at once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tests.lab.kbuild_oracle import ask_prerequisites, canonical
from tests.lab.layout import Layout, Module
from tests.lab.overlay import Scratch

Edges = dict[str, set[str]]
"""Absolute target to its absolute prerequisites."""

Provider = Callable[[Layout, Sequence[str]], Edges]
"""Whatever can say which prerequisites kdeps has, for these make arguments."""


@dataclass(frozen=True, slots=True)
class Audit:
    """Where the two lists differ, for one module and the kernel rules beneath it."""

    layout: str
    module: str
    rules: int
    edges: int
    unknown: tuple[str, ...]
    """Rules that Kbuild has and kdeps has not."""
    missing: dict[str, tuple[str, ...]]
    """Prerequisites that Kbuild has and kdeps has not, by target."""
    extra: dict[str, tuple[str, ...]]
    """The other way round. An extra edge can only make kdeps too careful."""


def ask_rules_dump(layout: Layout, args: Sequence[str]) -> Edges:
    """Ask ``python3 -m tests.campaigns.conformance.rules_dump``: JSON of target to prerequisites, relative to the object tree."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.campaigns.conformance.rules_dump", *layout.make, *args],
        cwd=layout.cwd,
        capture_output=True,
        text=True,
        check=True,
    )
    rules: dict[str, list[str]] = json.loads(done.stdout)
    return {
        canonical(layout.objtree, target): {canonical(layout.objtree, name) for name in prerequisites}
        for target, prerequisites in rules.items()
    }


def audit_module(layout: Layout, module: Module, provider: Provider = ask_rules_dump) -> Audit:
    """Compare the prerequisites of all rules. Call it in a process that ends afterwards."""
    private = Scratch().private
    kbuild: Edges = {}
    if layout.prepare:
        kbuild |= ask_prerequisites(layout, ["modules_prepare"], private=private)
    for target, names in ask_prerequisites(layout, module.make, private=private).items():
        kbuild.setdefault(target, set()).update(names)
    kdeps = _real(provider(layout, module.make))
    missing, extra = {}, {}
    for target, names in sorted(_real(kbuild).items()):
        if target not in kdeps:
            continue
        # make does not know a config stamp that does not exist, kdeps may watch for it
        absent = {name for name in kdeps[target] - names if not os.path.exists(name)}
        missing[target] = tuple(sorted(names - kdeps[target]))
        extra[target] = tuple(sorted(kdeps[target] - names - absent))
    return Audit(
        layout=layout.name,
        module=module.name,
        rules=len(kbuild),
        edges=sum(map(len, kbuild.values())),
        unknown=tuple(sorted(set(_real(kbuild)) - set(kdeps))),
        missing={t: names for t, names in missing.items() if names},
        extra={t: names for t, names in extra.items() if names},
    )


def _real(edges: Edges) -> Edges:
    """Resolve links: the records and the makefiles name some folders differently."""
    found: Edges = {}
    for target, names in edges.items():
        found.setdefault(os.path.realpath(target), set()).update(map(os.path.realpath, names))
    return found


def audit_lines(audit: Audit) -> Iterator[str]:
    """Yield the audit, one line per rule that differs."""
    missing, extra = sum(map(len, audit.missing.values())), sum(map(len, audit.extra.values()))
    yield (
        f"audit {audit.layout} {audit.module}: {audit.rules} rules, {audit.edges} edges in Kbuild; "
        f"{len(audit.unknown)} rules unknown to kdeps, {missing} edges missing, {extra} extra"
    )
    for target in audit.unknown:
        yield f"  UNKNOWN {target}"
    for label, edges in (("MISSING", audit.missing), ("EXTRA", audit.extra)):
        for target, names in edges.items():
            more = f" and {len(names) - 6} more" if len(names) > 6 else ""
            yield f"  {label} {target}: {' '.join(names[:6])}{more}"
