# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Whether this machine could start a program: by its mode and its first bytes, nothing is started.

Headers are built on one machine and used on another. Their tools may be for another
processor, or want a loader that this system does not have.
"""

from __future__ import annotations

import os
import re
import stat
from functools import cache

from kdeps.system.files import read_bytes
from kdeps.system.stat import is_gone

_HEAD_BYTES = 4096
"""The name of the loader is behind the program headers, in the first page."""
_LOADER = re.compile(rb"\0(/[^\0\n]+/ld[^\0\n/]*\.so[^\0\n/]*)\0")
_EMULATORS = "/proc/sys/fs/binfmt_misc"


def why_not_started(path: str) -> str:
    """Say why a program cannot be started here; empty if it can, and if it cannot be looked at."""
    try:
        st = os.stat(path)
    except OSError:
        return ""
    head = read_bytes(path, _HEAD_BYTES)
    is_program = stat.S_ISREG(st.st_mode) and st.st_mode & 0o111 and st.st_size
    if not is_program or head[:1] == b"\0":
        return "is damaged, or nobody may run it"
    if is_foreign(head) and not _is_emulated():
        return "was built for another machine"
    wanted = find_interpreter(head)
    return f"wants {wanted}, which is not there" if wanted and is_gone(wanted) else ""


def is_foreign(head: bytes) -> bool:
    """Whether a file that begins with ``head`` is a program or a library for a machine that is not this one."""
    own = _own_head()
    known = head[:4] == own[:4] == b"\x7fELF" and head[4:6] == own[4:6] and head[18:20] != b"\0\0"
    return known and head[18:20] != own[18:20]


def find_interpreter(head: bytes) -> str:
    """Find the program that the system starts for a file that begins with ``head``; empty if it names none there."""
    found = re.match(rb"#![ \t]*([^ \t\n]+)", head) or (head[:4] == b"\x7fELF" and _LOADER.search(head))
    return os.fsdecode(found[1]) if found else ""


def interpreter_of(path: str) -> str:
    """Find the program that the system starts for another one; empty if it names none."""
    return find_interpreter(read_bytes(path, _HEAD_BYTES))


@cache
def _own_head() -> bytes:
    return read_bytes("/proc/self/exe", 20)


def _is_emulated() -> bool:
    """Whether programs for other machines are started by an emulator."""
    try:
        return any(name.startswith("qemu") for name in os.listdir(_EMULATORS))
    except OSError:
        return False
