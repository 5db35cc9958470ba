# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Words that the Makefiles of a kernel know: the goals that they make, and the variables that they read."""

from __future__ import annotations

import glob
import re

from kdeps.system.files import read_text

VARIABLES = frozenset(
    (
        "M", "O", "MO", "KDIR", "KERNEL_SRC", "KERNELDIR", "KSRC", "KERNEL_DIR", "ARCH", "LLVM", "CROSS_COMPILE",
        "KBUILD_OUTPUT", "KBUILD_EXTMOD", "CC", "RUSTC",
    )
)  # fmt: skip
_SPELLED = (
    "ARCH", "LLVM", "CROSS_COMPILE", "KBUILD_OUTPUT", "KBUILD_EXTMOD", "RUSTC", "LLVM_IAS", "KCFLAGS", "KCPPFLAGS",
    "KRUSTFLAGS", "KAFLAGS", "KBUILD_EXTRA_SYMBOLS", "KBUILD_MODPOST_WARN", "LOCALVERSION", "HOSTCC", "HOSTRUSTC",
    "BINDGEN", "PAHOLE", "CLIPPY", "RUST_LIB_SRC", "INSTALL_MOD_PATH",
)  # fmt: skip
"""Variables of Kbuild with long names; a short name has too many other names one letter away."""
_ASSIGNMENT = re.compile(r"\s*(?:export\s+|override\s+)*([\w.-]+)\s*(?:[:?+]|::)?=(.*)")
_RULE = re.compile(r"([^\t#:=][^#:=]*)::?(?!=)")
_REFERENCE = re.compile(r"\$[({]([\w.-]+)[)}]")
_CALL = re.compile(r"\$[({][^$(){}]*[)}]")
_GOAL = re.compile(r"[\w.%+/-]*\w[\w.%+/-]*")


def read_goals(srctree: str) -> set[str]:
    """Read what the Makefiles at the top of a kernel make: targets, with ``%`` in those that are patterns."""
    values: dict[str, list[str]] = {}
    targets: list[str] = []
    for path in (f"{srctree}/Makefile", *glob.glob(f"{glob.escape(srctree)}/arch/*/Makefile")):
        for line in read_text(path).replace("\\\n", " ").splitlines():
            if assigned := _ASSIGNMENT.match(line):
                values.setdefault(assigned[1], []).append(assigned[2])
            elif (rule := _RULE.match(line)) and not rule[1].startswith(("if", "else")):
                targets.append(rule[1])
    targets += values.get("PHONY", [])
    goals: set[str] = set()
    seen: set[str] = set()
    while targets:
        text = targets.pop()
        for name in set(_REFERENCE.findall(text)) - seen:
            seen.add(name)
            targets += values.get(name, [])
        while (without := _CALL.sub(" ", text)) != text:
            text = without
        goals.update(filter(_GOAL.fullmatch, text.split()))
    return goals


def find_goal_meant(word: str, srctree: str) -> str | None:
    """Return the goal that a misspelled word resembles; None if the word is a goal, empty if no goal is like it."""
    import difflib

    goals = read_goals(srctree)
    patterns = "|".join(re.escape(goal).replace("%", ".+") for goal in goals)
    if word.endswith("config") or not goals or re.fullmatch(patterns, word):
        return None
    plain = [goal for goal in goals if re.fullmatch(r"[\w-]+", goal)]
    return next(iter(difflib.get_close_matches(word, sorted(plain), 1, 0.8)), "")


def find_variable_meant(name: str, srctree: str, module: str) -> str:
    """Find which variable was meant by one that nothing reads; empty if something does, or none is spelled nearly so.

    The Makefiles of the module may read it as well as the kernel's.
    """
    meant = next((known for known in _SPELLED if _is_slip_of(name, known)), "")
    if not meant or name in _SPELLED:
        return ""
    tree, folder = glob.escape(srctree), glob.escape(module)
    makefiles = [
        f"{srctree}/Makefile", *glob.glob(f"{tree}/arch/*/Makefile"), *glob.glob(f"{tree}/scripts/[KM]*"), f"{srctree}/rust/Makefile",
        *glob.glob(f"{folder}/*Makefile*"), *glob.glob(f"{folder}/*Kbuild*"),
    ]  # fmt: skip
    word = re.compile(rf"\b{re.escape(name)}\b")
    return "" if any(word.search(read_text(path)) for path in makefiles) else meant


def _is_slip_of(name: str, known: str) -> bool:
    """Whether one letter is wrong, missing or too many, or two neighbours changed places."""
    if name == known or abs(len(name) - len(known)) > 1:
        return False
    start = next(
        (at for at, (a, b) in enumerate(zip(name, known, strict=False)) if a != b), min(len(name), len(known))
    )
    a, b = name[start:], known[start:]
    return a[1:] == b[1:] or a[1:] == b or a == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])
