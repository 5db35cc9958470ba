# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The shell text that collects the facts of another machine."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from kdeps.system.errors import UsageError

_NAME = re.compile(r"\w+", re.ASCII)
_RELEASE = re.compile(r"[\w.+~-]*", re.ASCII)


def render_script(names: Iterable[str], release: str) -> str:
    """Return the script, for some modules by the kernel's names or (without names) for every loaded one.

    Without a release it looks at that of the kernel that runs there. Raises UsageError if a name or the release could
    not stand in a script.
    """
    wanted = list(names)
    for name in wanted:
        if not _NAME.fullmatch(name):
            raise UsageError(f"{name}: not the name of a module")
    if not _RELEASE.fullmatch(release):
        raise UsageError(f"{release}: not the release of a kernel")
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "collect.sh")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    return text.replace("@NAMES@", " ".join(wanted)).replace("@RELEASE@", release)
