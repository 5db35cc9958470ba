# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Find Rust objects whose flags do not fit those of the crate ``kernel``.

The flags come from the records. Every crate of one program must agree on what makes an ABI.
"""

from __future__ import annotations

import os

from kdeps.formats.command import is_compound
from kdeps.formats.shell import split_commands
from kdeps.kbuild.rule import Owner, Rule
from kdeps.staleness.check import CheckResult
from kdeps.staleness.reasons import Finding, ReasonKind, Status

_RUST = (
    "--target=", "-Cpanic=", "-Ccode-model=", "-Csymbol-mangling-version=", "-Ctarget-cpu=", "-Ctarget-feature=",
    "-Cno-redzone=", "-Zcf-protection=", "-Zbranch-protection=", "-Zfixed-x18", "-Zregparm=", "-Zreg-struct-return",
    "-Zsanitizer=kcfi",
)  # fmt: skip
"""What every crate of one program has to agree on. ``-Crelocation-model`` is not among them: on some
architectures Kbuild itself gives modules another one; nor is KASAN, which a Makefile may switch off for a file."""


def _kernel_crate(result: CheckResult) -> Rule | None:
    return next((rule for rule in result.graph.rules if rule.name == "rust/kernel.o" and rule.command), None)


def _crates(result: CheckResult) -> list[Rule]:
    """The Rust objects that a module build makes or uses."""
    return [
        rule
        for at, rule in enumerate(result.graph.rules)
        if "--target=" in rule.command
        and "--emit=" in rule.command
        and (rule.owner is Owner.MODULE or (at in result.graph.used and rule.target.endswith(".o")))
    ]


def check_flags(result: CheckResult) -> list[Finding]:
    """Compare Rust objects with the crate they all use, ``kernel``."""
    kernel = _kernel_crate(result)
    if kernel is None:
        return []
    expected = _rust_flags(kernel)
    findings = []
    for rule in _crates(result):
        actual = _rust_flags(rule)
        if rule is not kernel and expected != actual:
            what = f"crate `{rule.crate}`" if rule.crate else rule.name
            findings.append(_differ(rule, what, actual - expected, expected - actual))
    return findings


def _rust_flags(rule: Rule) -> frozenset[str]:
    # With inlined helpers rustc is followed by llvm-link and clang, which has a --target= of its own.
    steps = split_commands(rule.command) if is_compound(rule.command) else []
    rustc = [step.words for step in steps if any(word.startswith("--emit=") for word in step.words)]
    words = (word for word in (rustc[0] if rustc else rule.command.split()) if word.startswith(_RUST))
    # target.json is the object tree's own, however it is spelled.
    return frozenset(f"--target={os.path.basename(w)}" if w.startswith("--target=") else w for w in words)


def _differ(rule: Rule, what: str, ours: frozenset[str], theirs: frozenset[str]) -> Finding:
    with_ours = " ".join(sorted(ours)) or "none of these flags"
    with_theirs = " ".join(sorted(theirs)) or "none of these flags"
    message = (
        f"{what} was compiled with {with_ours}, crate `kernel` with {with_theirs}: they do not fit together"
    )
    return Finding(ReasonKind.FLAGS_DIFFER, rule.target, message, "", Status.STALE, (rule.target,))
