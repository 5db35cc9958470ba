# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""How two ledgers differ, in words: which input, which flag, old and new."""

from __future__ import annotations

from collections import Counter

from kdeps.contents.hashes import GONE, FileHash
from kdeps.contents.ledger import CONFIGURATION, Ledger
from kdeps.formats.words import split_words
from kdeps.system.text import list_some


def compare_ledgers(old: Ledger, new: Ledger) -> list[str]:
    """Say how two ledgers differ, one difference a line, causes before what follows from them."""
    lines: list[str] = []
    if old.release != new.release:
        lines.append(f"kernel release: {old.release or 'none'} → {new.release or 'none'}")
    for tool in sorted(old.toolchain.keys() | new.toolchain.keys()):
        then, now = old.toolchain.get(tool, ""), new.toolchain.get(tool, "")
        if then != now:
            lines.append(f"{tool}: `{then or 'not found'}` → `{now or 'not found'}`")
    for symbol in sorted(old.config.keys() | new.config.keys()):
        then, now = old.config.get(symbol, "n"), new.config.get(symbol, "n")
        if then != now:
            lines.append(f"{symbol}: {then} → {now}")
    lines += _files(old, new)
    lines += _commands(old, new)
    lines += _rules(old, new)
    return lines


def _files(old: Ledger, new: Ledger) -> list[str]:
    """Files, sources first: what a rule made follows from what it was made from."""
    made = {output for ledger in (old, new) for rule in ledger.rules.values() for output in rule.outputs}
    differing = [
        name for name in old.files.keys() & new.files.keys() if old.files[name] != new.files[name]
    ]  # fmt: skip
    lines: list[str] = []
    for name in sorted(differing, key=lambda name: (name in made, name)):
        users = sorted(rule for rule, entry in new.rules.items() if name in entry.inputs)
        what = "artifact" if name in made else "input"
        lines.append(f"{what} {name}: {_change(old.files[name], new.files[name])}{_used(users)}")
    return lines


def _change(then: FileHash, now: FileHash) -> str:
    if then is GONE:
        return f"came ({now.size} bytes)"
    if now is GONE:
        return "went"
    if then.size == now.size:
        return f"other content, the same {now.size} bytes"
    return f"other content ({then.size} → {now.size} bytes)"


def _used(users: list[str]) -> str:
    if not users:
        return ""
    return f"; goes into {list_some(users)}"


def _commands(old: Ledger, new: Ledger) -> list[str]:
    """Commands, those that differ in the same words together."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for name in sorted(old.rules.keys() & new.rules.keys()):
        then, now = old.rules[name].command, new.rules[name].command
        if then == now:
            continue
        before, after = Counter(split_words(then)), Counter(split_words(now))
        words = (
            *(f"-`{word}`" for word in (before - after)),
            *(f"+`{word}`" for word in (after - before)),
        )
        alike.setdefault(words or ("the same words in another order",), []).append(name)
    return [f"command of {list_some(names, 1)}: {' '.join(words)}" for words, names in alike.items()]


def _rules(old: Ledger, new: Ledger) -> list[str]:
    lines: list[str] = []
    for name in sorted(old.rules.keys() | new.rules.keys()):
        if name == CONFIGURATION and (name in old.rules) != (name in new.rules):
            which = "first" if name in old.rules else "second"
            lines.append(f"the configuration is synced in the {which} ledger only")
        elif name not in new.rules:
            lines.append(
                f"{name}: in the first ledger only (not there, or stale, when the second was written)"
            )
        elif name not in old.rules:
            lines.append(
                f"{name}: in the second ledger only (not there, or stale, when the first was written)"
            )
        else:
            added = set(new.rules[name].inputs) - set(old.rules[name].inputs)
            removed = set(old.rules[name].inputs) - set(new.rules[name].inputs)
            # An optional file that was never there is no difference.
            added = {i for i in added if new.files[i] is not GONE}
            removed = {i for i in removed if old.files[i] is not GONE}
            lines += [f"{name}: reads {i} now" for i in sorted(added)]
            lines += [f"{name}: no longer reads {i}" for i in sorted(removed)]
    return lines
