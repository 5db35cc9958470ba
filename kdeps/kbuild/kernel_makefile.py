# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The Makefile at the top of a kernel's source or object tree: which folders it names."""

from __future__ import annotations

import os
import re

from kdeps import NamedTuple
from kdeps.system.errors import Unreadable
from kdeps.system.files import open_to_read

_VERSION = re.compile(r"^(VERSION|PATCHLEVEL)\s*=\s*(\d+)\s*$", re.MULTILINE)
_INCLUDE = r"(?m)^include[ \t]+(\S+)/Makefile[ \t]*$"
_SETTING = r"(?m)^(?:export[ \t]+|override[ \t]+)*(KBUILD_\w+)[ \t]*:?=[ \t]*(\S+)[ \t]*$"


class KernelMakefile(NamedTuple):
    """What one folder's Makefile makes of the folder."""

    srctree: str
    version: tuple[int, int]
    settings: dict[str, str]


def is_kernel_makefile(path: str) -> bool:
    """Tell whether a Makefile is the one at the top of a kernel's source or object tree."""
    return os.path.basename(path) == "Makefile" and read_kernel_makefile(os.path.dirname(path)) is not None


def read_kernel_makefile(folder: str) -> KernelMakefile | None:
    """Read the Makefile of a kernel's source or object tree. Returns None if the folder is neither."""
    settings: dict[str, str] = {}
    here = folder
    for _ in range(3):  # object tree → (Debian: flavour → common) → source
        text = read_text(os.path.join(here, "Makefile"), missing="", limit=1 << 18)
        numbers = {name: int(value) for name, value in _VERSION.findall(text[:4096])}
        if len(numbers) == 2:
            return KernelMakefile(here, (numbers["VERSION"], numbers["PATCHLEVEL"]), settings)
        included = re.search(_INCLUDE, text)
        if included is None:
            return None
        for name, value in re.findall(_SETTING, text):
            settings.setdefault(name, os.path.join(here, value))
        settings.setdefault("KBUILD_OUTPUT", here)
        here = os.path.join(here, included[1])
    return None


def read_text(path: str, *, missing: str | None = None, limit: int = 1 << 24) -> str:
    """Read a small text file; return ``missing`` if there is no such file."""
    try:
        with open_to_read(path) as file:
            return file.read(limit).decode("utf-8", "surrogateescape")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        if missing is None:
            raise
        return missing
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror}") from error
