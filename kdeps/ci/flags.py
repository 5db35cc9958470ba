# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Whether everything that is used together was compiled to go together: flags from the records, the target and the
configuration from the artifacts themselves.

* A module's Rust objects and every crate agree with the crate ``kernel`` on what makes an ABI.
* Each crate holds the target's JSON file that it was compiled for; that is ``scripts/target.json`` still.
* ``rustc_cfg`` (the ``@file`` of every rustc) and ``autoconf.h`` (of every C compiler) are one configuration, that of
  ``auto.conf``, symbol for symbol and value for value. Their mtimes say nothing: every syncconfig writes them anew. (A ledger has their contents, and tells
  when they were others than the crates were built with.)
* What Kbuild compiles for every module (``X.mod.o``) agrees with the kernel's C objects on what makes an ABI.
  A Makefile may give a single object other flags (lkdtm does), so a member that differs is a note.
* The crate ``kernel`` and the kernel's C helpers agree on the protections that both languages must have.
"""

from __future__ import annotations

import os
import re

from kdeps.causes import crate_name
from kdeps.ci.contents import Fence
from kdeps.ci.discovery import Discovery, Kind
from kdeps.ci.reading import opened, pread, read_metadata
from kdeps.formats.words import split_words
from kdeps.rules import Rule, Scope
from kdeps.stamps import mtime_of
from kdeps.survey import Survey
from kdeps.verdict import Status

_RUST = (
    "--target=", "-Cpanic=", "-Ccode-model=", "-Csymbol-mangling-version=", "-Ctarget-cpu=", "-Ctarget-feature=",
    "-Cno-redzone=", "-Zcf-protection=", "-Zbranch-protection=", "-Zfixed-x18", "-Zregparm=", "-Zreg-struct-return",
    "-Zsanitizer=kcfi",
)  # fmt: skip
"""What every crate of one program has to agree on. ``-Crelocation-model`` is not among them: on some
architectures Kbuild itself gives modules another one; nor is KASAN, which a Makefile may switch off for a file."""
_C = re.compile(
    r"-m(?:16|32|64)|-mregparm=.*|-mabi=.*|-m(?:no-)?red-zone|-mretpoline.*|-mindirect-branch.*|-mfunction-return=.*"
    r"|-fcf-protection.*|-mbranch-protection=.*|-fsanitize=kcfi|-ffixed-x18|-f(?:un)?signed-char|-fshort-(?:wchar|enums)"
    r"|-freg-struct-return|-mpreferred-stack-boundary=.*|-mstack-alignment=.*|-mstack-protector-guard.*|-mfloat-abi=.*"
    r"|-fpack-struct.*|-msoft-float|-mlong-double-.*"
)
"""What changes how functions are called or data is laid out. ``-mcmodel`` is not among them: Kbuild gives modules another one."""
_BOTH = (
    ("forward-edge CFI", re.compile(r"-Zsanitizer=kcfi"), re.compile(r"-fsanitize=kcfi")),
    ("branch targets (IBT)", re.compile(r"-Zcf-protection=branch"), re.compile(r"-fcf-protection=branch")),
)
_KERNEL_OBJECTS = ("rust/helpers/helpers.o", "kernel/bounds.s")
"""C that ``modules_prepare`` compiles as the kernel's own."""
_COMPILER = re.compile(r"(?:.*/)?(?:[\w.+-]*-)?(clang|gcc)(?:-[\d.]+)?")
_DEFINED = re.compile(r"^#define (CONFIG_\w+) (.*)$", re.MULTILINE)
_CONFIGURED = re.compile(r'^--cfg=(CONFIG_\w+)="(.*)"$', re.MULTILINE)
_MAX_GENERATED = 4 << 20
_MAX_SHOWN = 3


def judge_flags(survey: Survey, fence: Fence, symbols: dict[str, str]) -> list[Discovery]:
    """Compare what a build was compiled with.

    Args:
        survey: With its records.
        fence: What may be read.
        symbols: The synced configuration.
    """
    return [
        *_judge_rust(survey),
        *_judge_targets(survey, fence),
        *_judge_generated(survey, fence, symbols),
        *_judge_c(survey),
    ]


# -- Rust -----------------------------------------------------------------------


def _kernel_crate(survey: Survey) -> Rule | None:
    return next((rule for rule in survey.graph.rules if rule.name == "rust/kernel.o" and rule.command), None)


def _crates(survey: Survey) -> list[Rule]:
    """The Rust objects that a module build makes or uses."""
    return [
        rule
        for at, rule in enumerate(survey.graph.rules)
        if "--target=" in rule.command
        and "--emit=" in rule.command
        and (rule.scope is Scope.MODULE or (at in survey.graph.used and rule.target.endswith(".o")))
    ]


def _judge_rust(survey: Survey) -> list[Discovery]:
    """Compare Rust objects with the crate they all use, ``kernel``."""
    kernel = _kernel_crate(survey)
    if kernel is None:
        return []
    expected = _rust_flags(kernel)
    found = []
    for rule in _crates(survey):
        actual = _rust_flags(rule)
        if rule is not kernel and expected != actual:
            what = f"crate `{crate_name(rule)}`" if crate_name(rule) else rule.name
            found.append(
                _differ(rule, what, actual - expected, "crate `kernel`", expected - actual, Status.STALE)
            )
    return found


def _rust_flags(rule: Rule) -> frozenset[str]:
    words = (word for word in rule.command.split() if word.startswith(_RUST))
    # target.json is the object tree's own, however it is spelled.
    return frozenset(f"--target={os.path.basename(w)}" if w.startswith("--target=") else w for w in words)


def _judge_targets(survey: Survey, fence: Fence) -> list[Discovery]:
    """Compare the target that each crate was compiled for with the one that is compiled for now."""
    path = f"{survey.tree.objtree}/scripts/target.json"
    target = _text(path, fence)
    if not target:
        return []
    stale = {state.rule.target for state in (*survey.verdict.stale, *survey.verdict.pending)}
    others = []
    for rule in _crates(survey):
        own = next((output for output in rule.outputs if output.endswith(".rmeta")), None)
        crate = read_metadata(own, fence) if own and rule.target not in stale else None
        if crate is not None and crate.specification and crate.specification.strip() != target.strip():
            others.append(rule)
    if not others:
        return []
    message = (
        f"crate{'s' if len(others) > 1 else ''} {_listed([f'`{crate_name(rule)}`' for rule in others])} "
        f"{'were' if len(others) > 1 else 'was'} compiled for another target than scripts/target.json describes now"
    )
    return [
        Discovery(Kind.FLAGS_DIFFER, path, message, "", Status.STALE, tuple(rule.target for rule in others))
    ]


# -- the configuration ------------------------------------------------------------


def _judge_generated(survey: Survey, fence: Fence, symbols: dict[str, str]) -> list[Discovery]:
    """Compare what compilers are given with ``auto.conf``, which Kbuild goes by; both are written by one syncconfig."""
    tree = survey.tree
    if tree.prebuilt or not symbols:
        return []
    values = {name: _plain(value) for name, value in symbols.items() if value != "n"}
    found = []
    header = f"{tree.objtree}/include/generated/autoconf.h"
    text = _text(header, fence)
    if text is not None:
        switched = {"y": "1", "m": "1"}
        expected = {f"{n}_MODULE" if v == "m" else n: switched.get(v, v) for n, v in values.items()}
        found += _generated(survey, header, _differing(_DEFINED, text, expected), "C objects", ())
    listed = f"{tree.objtree}/include/generated/rustc_cfg"
    text = _text(listed, fence)
    if text is not None:
        others = _differing(_CONFIGURED, text, values)
        given = survey.snapshot.mtime_ns
        since = mtime_of(listed) or 0
        crates = tuple(
            rule.target
            for rule in _crates(survey)
            if "rustc_cfg" in rule.command and given.get(rule.target, 0) >= since
        )
        found += _generated(survey, listed, others, "crates", crates)
    return found


def _differing(line: re.Pattern[str], text: str, expected: dict[str, str]) -> list[str]:
    """The symbols that one file gives another value than the configuration has, or none."""
    given = {name: _plain(value) for name, value in line.findall(text)}
    return sorted(name for name in given.keys() | expected.keys() if given.get(name) != expected.get(name))


def _plain(value: str) -> str:
    """A value as ``auto.conf`` has it, whoever wrote it.

    Source: linux ``scripts/kconfig/confdata.c``: for C and Rust a string is quoted and escaped, and hex begins with 0x.
    """
    return re.sub(r"\\(.)", r"\1", value.strip('"')).removeprefix("0x").removeprefix("0X")


def _generated(
    survey: Survey, path: str, others: list[str], what: str, built: tuple[str, ...]
) -> list[Discovery]:
    if not others:
        return []
    name = path[len(survey.tree.objtree) + 1 :]
    message = (
        f"{name} is not the configuration of include/config/auto.conf: {_listed(others)}; "
        f"{what} are compiled with the one, and Kbuild goes by the other"
    )
    return [Discovery(Kind.FLAGS_DIFFER, path, message, "", Status.STALE, (path, *built))]


def _text(path: str, fence: Fence) -> str | None:
    """What is in a file; ``None`` where there is none, of which others tell. An empty one is another configuration."""
    with opened(path, fence) as descriptor:
        return (
            None
            if descriptor is None
            else pread(descriptor, 0, _MAX_GENERATED).decode("utf-8", "surrogateescape")
        )


# -- C ----------------------------------------------------------------------------


def _judge_c(survey: Survey) -> list[Discovery]:
    by_name = {rule.name: rule for rule in survey.graph.rules if rule.scope is Scope.KERNEL and rule.command}
    kernel = next((by_name[name] for name in _KERNEL_OBJECTS if name in by_name), None)
    if kernel is None:
        return []
    compiler, expected = _c_flags(kernel)
    found = []
    modules = [
        r for r in survey.graph.rules if r.scope is Scope.MODULE and r.target.endswith(".o") and r.source
    ]
    for rule in modules:
        if "--emit=" in rule.command:
            continue
        own, actual = _c_flags(rule)
        if own is None or own != compiler or actual == expected:
            continue  # another compiler has other words for the same, and is told of by itself
        common = rule.target.endswith((".mod.o", "/.module-common.o"))
        status = Status.STALE if common else Status.FRESH
        found.append(
            _differ(
                rule, rule.name, actual - expected, f"the kernel ({kernel.name})", expected - actual, status
            )
        )
    crate = _kernel_crate(survey)
    if crate is not None and compiler is not None:
        for what, rust, c in _BOTH:
            with_rust = any(rust.fullmatch(word) for word in crate.command.split())
            with_c = any(c.fullmatch(word) for word in kernel.command.split())
            if with_rust != with_c:
                one, other = ("crate `kernel`", kernel.name) if with_rust else (kernel.name, "crate `kernel`")
                message = f"{one} was compiled with {what}, {other} was not: they do not go together"
                found.append(
                    Discovery(
                        Kind.FLAGS_DIFFER,
                        crate.target,
                        message,
                        "",
                        Status.STALE,
                        (crate.target, kernel.target),
                    )
                )
    return found


def _c_flags(rule: Rule) -> tuple[str | None, frozenset[str]]:
    """Which family of compilers a command begins with, and the words that make an ABI."""
    words = split_words(rule.command.partition(" ; ")[0])
    family = next((found[1] for word in words[:6] if (found := _COMPILER.fullmatch(word))), None)
    return family, frozenset(word for word in words if word[:2] in ("-m", "-f") and _C.fullmatch(word))


# -- words ------------------------------------------------------------------------


def _differ(
    rule: Rule, what: str, ours: frozenset[str], other: str, theirs: frozenset[str], status: Status
) -> Discovery:
    with_ours = " ".join(sorted(ours)) or "nothing of that kind"
    with_theirs = " ".join(sorted(theirs)) or "nothing of that kind"
    message = f"{what} was compiled with {with_ours}, {other} with {with_theirs}: they do not go together"
    help_text = ""
    if status is Status.FRESH:
        help_text = "right if its Makefile says so"
    remove = (rule.target,) if status is Status.STALE else ()
    return Discovery(Kind.FLAGS_DIFFER, rule.target, message, help_text, status, remove)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_MAX_SHOWN]) + (
        f" and {len(names) - _MAX_SHOWN} more" if len(names) > _MAX_SHOWN else ""
    )
