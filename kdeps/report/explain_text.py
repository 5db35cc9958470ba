# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Why a build failed, in words: the lines of ``build_assert!``, the undefined symbols and their causes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from kdeps.artifacts.assertions import Assertion
from kdeps.artifacts.failure import Failure
from kdeps.artifacts.inline_chain import Frame
from kdeps.artifacts.undefined import Cause, Undefined
from kdeps.report.sentences import TextOutput
from kdeps.system.text import counted, list_some, printable, shell_quoted

MAX_NAMES = 4
"""Of one crate's symbols without ``--all``."""
MAX_FRAMES = 8
_LITERAL = re.compile(
    r"(?<![\w.])(0x[0-9a-fA-F_]+|0b[01_]+|0o[0-7_]+|[0-9][0-9_]*)(?:[iu](?:8|16|32|64|size))?(?![\w.])"
)
_BOUND = re.compile(r"\b(\w+<(\d+)>)")
_ACCESSOR = re.compile(r"(?:^|::)((?:read|write|update)(?:8|16|32|64|_reg)?)(?:<|$)")


class Causes(NamedTuple):
    """What a cause means, and what to do about it."""

    sentence: str
    help: str


CAUSES: dict[Cause, Causes] = {
    Cause.NO_DUMP: Causes(
        "{file} does not exist, so modpost knows no symbol of the kernel",
        "build the kernel once (`make` or `make vmlinux modules`, with your own O= and LLVM=), or let modpost pass with KBUILD_MODPOST_WARN=1",
    ),
    Cause.OTHER_BUILD: Causes(
        "{file} has the same items of another build of the crate: it was compiled with another rustc or other flags since",
        "build the kernel again, then the module; `kdeps check` with the same arguments shows what is stale",
    ),
    Cause.OLD_DUMP: Causes(
        "{file} has them, but Module.symvers is older than that",
        "build the kernel again (`make`), so that Module.symvers lists them",
    ),
    Cause.OLD_OBJECT: Causes(
        "{file} no longer has them: the module was compiled against an older crate",
        "refresh the crates and build the module again: `kdeps make` with the same arguments does both",
    ),
    Cause.OTHER_MODULE: Causes(
        "another module exports them, and modpost does not read its dump: {file}",
        "name it: KBUILD_EXTRA_SYMBOLS={path}",
    ),
    Cause.GENERIC: Causes(
        "they are instances of generic functions, and no crate exports those",
        "mark the generic function `#[inline]`, or call a function that is not generic",
    ),
    Cause.NO_HELPER: Causes(
        "C has them only as macro or `static inline`{where}, so there is nothing to link with",
        "add a helper in rust/helpers/ and build the kernel again",
    ),
    Cause.NOT_EXPORTED: Causes(
        "vmlinux has them, but does not export them to modules",
        "add EXPORT_SYMBOL_GPL() in C, or build the module into the kernel (=y)",
    ),
    Cause.OTHER_CRATE: Causes(
        "no Module.symvers has these crates",
        "build the module that exports them, and name its Module.symvers with KBUILD_EXTRA_SYMBOLS=",
    ),
    Cause.NOWHERE: Causes(
        "no Module.symvers, vmlinux or neighbour module has them",
        "look for the configuration symbol that builds them (`grep -rn NAME --include=Makefile`), or for a wrong name in an `extern` block",
    ),
}  # fmt: skip


def write_failure(
    pen: TextOutput, failure: Failure, names: Mapping[str, str], *, allowed: bool, every: bool
) -> None:
    """Write what the objects tell.

    ``names`` has the readable names of mangled ones. ``allowed`` is whether the configuration lets a
    ``build_assert!`` fail at run time only.
    """
    for assertion in failure.assertions:
        _write_assertion(pen, assertion, names, allowed=allowed, every=every)
    groups: dict[tuple[Cause, str], list[Undefined]] = {}
    for symbol in sorted(failure.undefined, key=lambda u: list(Cause).index(u.cause)):
        groups.setdefault((symbol.cause, symbol.evidence), []).append(symbol)
    for (cause, evidence), symbols in groups.items():
        _write_undefined(pen, cause, evidence, symbols, names, every=every)
    for problem in failure.problems:
        pen.lines += [f"{pen.mark('note', 'note')}: {printable(problem)}", ""]


def _write_assertion(
    pen: TextOutput, assertion: Assertion, names: Mapping[str, str], *, allowed: bool, every: bool
) -> None:
    label = pen.mark("note", "warning") if allowed else pen.mark("error", "error")
    text = f": {printable(assertion.text)}" if assertion.text else ""
    pen.lines.append(f"{label}: {pen.mark('bold', f'a `build_assert!` is left in the code{text}')}")
    place = assertion.driver or assertion.location
    if place is None:
        pen.lines.append(f"  --> {pen.path(assertion.path)}, at a place that cannot be read from it")
    else:
        about = "" if assertion.is_certain else "about here: "
        pen.lines.append(f"  --> {about}{pen.path(place.file)}:{place.line}:{place.column}")
        _write_source(pen, place.file, place.line, place.column)
    _write_chain(pen, assertion, every=every)
    functions = [printable(names.get(name, name)) for name in assertion.functions if name]
    shown = functions if every else functions[:MAX_NAMES]
    for at, name in enumerate(shown):
        pen.lines.append(f"   = {'in' if at == 0 else '  '} {name}")
    if len(functions) > len(shown):
        pen.lines.append(f"      and {len(functions) - len(shown)} more; --all lists them")
    if allowed:
        pen.lines.append(
            "   = note: RUST_BUILD_ASSERT_ALLOW=y, so the module is built; this call panics when it runs"
        )
    for line in find_advice(assertion, read_line(place.file, place.line) if place is not None else ""):
        pen.lines.append(f"   = {pen.mark('help', 'help')}: {line}")
    pen.lines.append("")


def _write_source(pen: TextOutput, file: str, line: int, column: int) -> None:
    text = read_line(file, line)
    if not text:
        return
    number = str(line)
    gap = " " * len(number)
    shown = printable(text.expandtabs(4))
    lead = len(text[: column - 1].expandtabs(4)) if column else 0
    pen.lines += [f" {gap} |", f" {number} | {shown}", f" {gap} | {' ' * lead}{pen.mark('error', '^')}"]


def _write_chain(pen: TextOutput, assertion: Assertion, *, every: bool) -> None:
    """Write the way from the assertion outwards: each function with the line that calls the one before."""
    frames = assertion.frames
    if not frames:
        location = assertion.location
        if location is not None and assertion.driver is not None:
            pen.lines.append(f"   = assertion: {_at(pen, location.file, location.line)}")
        return
    shown = frames if every or len(frames) <= MAX_FRAMES else frames[: MAX_FRAMES - 1]
    for at, frame in enumerate(shown):
        word = "assertion" if at == 0 else "called in"
        pen.lines.append(f"   = {word}: {_at(pen, frame.file, frame.line)} {_short(frame)}")
    if len(shown) < len(frames):
        pen.lines.append(f"     and {len(frames) - len(shown)} more; --all lists them")


def _at(pen: TextOutput, file: str, line: int) -> str:
    return f"{pen.path(file)}:{line}"


def _short(frame: Frame) -> str:
    return printable(frame.function) if frame.function else ""


def find_advice(assertion: Assertion, source: str) -> list[str]:
    """Say what to do about an assertion that is left; ``source`` is the driver's line."""
    bounds = {
        int(value): name for frame in assertion.frames for name, value in _BOUND.findall(frame.function)
    }
    literals = [(text, int(text.replace("_", ""), 0)) for text in _literals(source)]
    beyond = [
        f"{text} is not below {hex(bound)} of `{name}`"
        for bound, name in bounds.items()
        for text, value in literals
        if value >= bound > 1
    ]
    if beyond and "offset" in assertion.text:
        return [printable(beyond[0])]
    if assertion.inlining == "CLIPPY=1":
        return ["CLIPPY=1 inlines less: build without it before you look for a mistake"]
    lines = []
    if assertion.inlining:
        lines.append(f"{assertion.inlining} inlines less than the kernel's usual -Copt-level=2")
    accessor = next(
        (m[1] for f in assertion.frames if (m := _ACCESSOR.search(f.function.partition("<")[0]))), ""
    )
    instead = f", or use the fallible `try_{accessor}`" if accessor else ", or use a fallible function"
    lines.append(
        f"the condition must be constant once all is inlined: pass a constant, mark the functions between `#[inline(always)]`{instead}"
    )
    return lines


def _literals(source: str) -> list[str]:
    found = [match[1] for match in _LITERAL.finditer(source.partition("//")[0])]
    return [text for text in found if text.startswith("0x") or text == "0" or not text.startswith("0")]


def _write_undefined(
    pen: TextOutput,
    cause: Cause,
    evidence: str,
    symbols: list[Undefined],
    names: Mapping[str, str],
    *,
    every: bool,
) -> None:
    said = CAUSES[cause]
    file = pen.path(evidence) if evidence else ""
    if cause is Cause.NO_HELPER and not evidence:
        said = said._replace(sentence="rust/helpers/ has no such helper")
    count = counted(len(symbols), "undefined symbol")
    sentence = said.sentence.replace("{file}", file).replace("{where}", f" in {file}" if file else "")
    pen.lines.append(f"{pen.mark('error', 'error')}: {pen.mark('bold', f'{count}: {sentence}')}")
    crates: dict[str, list[str]] = {}
    for symbol in symbols:
        crates.setdefault(symbol.crate, []).append(printable(names.get(symbol.name, symbol.name)))
    for crate, wanted in sorted(crates.items()):
        listed = list_some(wanted, len(wanted) if every else MAX_NAMES)
        pen.lines.append(f"   = {f'crate {crate}' if crate else 'C'}: {listed}")
    pen.lines.append(
        f"   = {pen.mark('help', 'help')}: {said.help.replace('{path}', shell_quoted(evidence))}"
    )
    pen.lines.append("")


def read_line(path: str, number: int) -> str:
    """Read one line of a source; empty if it cannot be read."""
    from kdeps.system.files import open_to_read

    try:
        with open_to_read(path) as file:
            for at, line in enumerate(file, 1):
                if at == number:
                    return line.decode("utf-8", "replace").rstrip("\r\n")
    except (OSError, ValueError):
        pass
    return ""
