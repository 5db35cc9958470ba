# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What can be done to one file of a tree."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

HOUR_NS = 3_600_000_000_000


@dataclass(frozen=True, slots=True)
class Step:
    """One change of one file."""

    kind: str
    """Kind of file, a key of the catalogue."""
    operation: str
    """A key of :data:`OPERATIONS`."""
    path: str
    relative: str = ""
    """The file whose mtime ``equal``, ``plus1`` and ``minus1`` refer to."""
    draw: float = 0.0
    """A number in [0, 1) for the operation's own choices."""

    def __str__(self) -> str:
        """Return the step as a report shows it."""
        to = f" ({self.relative})" if self.relative else ""
        return f"{self.operation} {self.path}{to} [{self.kind}]"


# Operations. Each takes the step; files that a former step of the same case
# removed are skipped, for the case is about what is left.


def _touch(step: Step) -> None:
    os.utime(step.path)


def _edit(step: Step) -> None:
    end = "// kdeps\n" if step.path.endswith((".rs", ".c", ".h")) else "# kdeps\n"
    if step.path.endswith((".o", ".so", ".rmeta", ".rlib", ".ko")):
        end = "\0"
    with open(step.path, "ab") as f:
        f.write(end.encode())


def _edit_unseen(step: Step) -> None:
    """Change the content, not the mtime: nothing that compares times can notice."""
    before = os.stat(step.path).st_mtime_ns
    _edit(step)
    _set_mtime(step.path, before)


def _age(step: Step) -> None:
    _set_mtime(step.path, os.stat(step.path).st_mtime_ns - 400 * 24 * HOUR_NS)


def _equal(step: Step) -> None:
    _set_mtime(step.path, os.stat(step.relative).st_mtime_ns)


def _plus1(step: Step) -> None:
    _set_mtime(step.path, os.stat(step.relative).st_mtime_ns + 1)


def _minus1(step: Step) -> None:
    _set_mtime(step.path, os.stat(step.relative).st_mtime_ns - 1)


def _future(step: Step) -> None:
    _set_mtime(step.path, time.time_ns() + HOUR_NS)


def _delete(step: Step) -> None:
    os.unlink(step.path)


def _empty(step: Step) -> None:
    with open(step.path, "wb"):
        pass


def _replace(step: Step) -> None:
    """Do what an editor does: write a new file and rename it over the old one."""
    temporary = step.path + ".kdeps~"
    with open(step.path, "rb") as old, open(temporary, "wb") as new:
        new.write(old.read())
    os.chmod(temporary, os.stat(step.path).st_mode & 0o7777)
    os.rename(temporary, step.path)


def _link(step: Step) -> None:
    """Move the file aside and link to it; now and then the file behind the link is newer."""
    aside = step.path + ".kdeps~"
    os.rename(step.path, aside)
    os.symlink(os.path.basename(aside), step.path)
    if step.draw < 0.5:
        os.utime(aside)


def _dangle(step: Step) -> None:
    os.unlink(step.path)
    os.symlink("kdeps-is-not-here", step.path)


def _vanish(step: Step) -> None:
    """Delete a record together with its target: what is left of both is in Makefiles."""
    folder, name = os.path.split(step.path)
    os.unlink(step.path)
    target = f"{folder}/{name[1:-4]}"
    if os.path.lexists(target):
        os.unlink(target)


def _neighbours(step: Step) -> list[str]:
    """The other records beside one whose targets are there."""
    folder, own = os.path.split(step.path)
    names = sorted(name for name in os.listdir(folder) if name.endswith(".cmd") and name != own)
    return [f"{folder}/{name}" for name in names if os.path.exists(f"{folder}/{name[1:-4]}")]


def _overwrite(step: Step) -> None:
    """Put another target's record in the place of this one."""
    others = _neighbours(step)
    if others:
        shutil.copy(others[int(len(others) * step.draw)], step.path)


def _swap(step: Step) -> None:
    """Let two records change their places."""
    others = _neighbours(step)
    if others:
        other, aside = others[int(len(others) * step.draw)], f"{step.path}.kdeps~"
        os.rename(step.path, aside)
        os.rename(other, step.path)
        os.rename(aside, other)


def _before_epoch(step: Step) -> None:
    """Set an mtime that only archives from elsewhere have: before 1970."""
    _set_mtime(step.path, -86_400_000_000_000)


def _whole_second(step: Step) -> None:
    """Cut the fraction of the mtime off, as file systems and archives from elsewhere do."""
    _set_mtime(step.path, os.stat(step.path).st_mtime_ns // 1_000_000_000 * 1_000_000_000)


def _shadow(step: Step) -> None:
    """Let PATH find the same program in another folder first."""
    os.symlink(f"/usr/bin/{os.path.basename(step.path)}", step.path)


def _epoch(step: Step) -> None:
    """Set the mtime that unpacked archives and reproducible builds like: zero."""
    _set_mtime(step.path, 0)


def _create(step: Step) -> None:
    os.makedirs(os.path.dirname(step.path), exist_ok=True)
    with open(step.path, "ab"):
        os.utime(step.path)


def _create_old(step: Step) -> None:
    _create(step)
    _age(step)


def _cut(find: Callable[[bytes, float], int]) -> Callable[[Step], None]:
    """Make an operation that cuts a record off at the byte that ``find`` tells."""

    def operation(step: Step) -> None:
        with open(step.path, "r+b") as f:
            f.truncate(find(f.read(), step.draw))

    return operation


def _in_command(text: bytes, draw: float) -> int:
    return int(len(text.partition(b"\n")[0]) * draw)


def _after_command(text: bytes, _draw: float) -> int:
    return text.find(b"\n") + 1


def _between_lines(text: bytes, draw: float) -> int:
    ends = [m.end() for m in re.finditer(rb"^ +\S.* \\\n", text, re.MULTILINE)]
    return ends[int(len(ends) * draw)] if ends else _after_command(text, draw)


def _in_wildcard(text: bytes, draw: float) -> int:
    starts = [m.start() for m in re.finditer(rb"\$\(wildcard include/config/\w", text)]
    return starts[int(len(starts) * draw)] + 20 if starts else _in_command(text, draw)


def _before_rules(text: bytes, draw: float) -> int:
    """Keep the list, lose ``T: $(deps_T)`` and what follows."""
    m = re.search(rb"^\S+: \$\(deps_", text, re.MULTILINE)
    return m.start() if m else _after_command(text, draw)


def _before_last_rule(text: bytes, draw: float) -> int:
    """Keep ``T: $(deps_T)``, lose the empty rule for the prerequisites."""
    m = re.search(rb"^\$\(deps_", text, re.MULTILINE)
    return m.start() if m else _after_command(text, draw)


def _junk(step: Step) -> None:
    with open(step.path, "ab") as f:
        f.write(b"\xff\xfe junk\n")


_FLAG_OPTIONS = (
    "RUST_OVERFLOW_CHECKS",
    "CC_OPTIMIZE_FOR_SIZE",
    "HAVE_CFI_ICALL_NORMALIZE_INTEGERS",
    "FRAME_WARN",
)


def _drop_option(step: Step) -> None:
    """Take an option out of auto.conf that no file depends on, only flags."""
    with open(step.path, "r+b") as f:
        lines = f.readlines()
        starts = tuple(f"CONFIG_{name}=".encode() for name in _FLAG_OPTIONS)
        there = [line for line in lines if line.startswith(starts)]
        if there:
            lines.remove(there[int(len(there) * step.draw)])
        f.seek(0)
        f.truncate()
        f.writelines(lines)


def _set_mtime(path: str, mtime_ns: int) -> None:
    os.utime(path, ns=(mtime_ns, mtime_ns))


OPERATIONS: Mapping[str, Callable[[Step], None]] = {
    "touch": _touch,
    "edit": _edit,
    "edit-unseen": _edit_unseen,
    "replace": _replace,
    "age": _age,
    "equal": _equal,
    "plus1": _plus1,
    "minus1": _minus1,
    "future": _future,
    "delete": _delete,
    "empty": _empty,
    "link": _link,
    "dangle": _dangle,
    "epoch": _epoch,
    "vanish": _vanish,
    "overwrite": _overwrite,
    "swap": _swap,
    "before-epoch": _before_epoch,
    "whole-second": _whole_second,
    "shadow": _shadow,
    "create": _create,
    "create-old": _create_old,
    "cut-command": _cut(_in_command),
    "cut-after-command": _cut(_after_command),
    "cut-list": _cut(_between_lines),
    "cut-wildcard": _cut(_in_wildcard),
    "cut-rules": _cut(_before_rules),
    "cut-last-rule": _cut(_before_last_rule),
    "junk": _junk,
    "drop-option": _drop_option,
}


def apply_step(step: Step) -> bool:
    """Change the tree; return whether there was something to change."""
    if step.operation == "shadow":
        if os.path.lexists(step.path):
            return False
    elif not step.operation.startswith("create") and not os.path.exists(step.path):
        return False
    if step.relative and not os.path.exists(step.relative):
        return False
    OPERATIONS[step.operation](step)
    return True
