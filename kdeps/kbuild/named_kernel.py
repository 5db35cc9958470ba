# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Which kernel the arguments name, if no call of a kernel's make names it.

Each module's Makefile has a variable of its own for it: ``KDIR=DIR``, ``SYSSRC=DIR``, ``KVERSION=RELEASE``. The
name of the variable matters less than its value: a folder that is a kernel, or a release that is installed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from kdeps.kbuild.kernel_makefile import read_kernel_makefile
from kdeps.system.errors import NoTree

KDIR_NAMES = ("KDIR", "KERNEL_SRC", "KERNELDIR", "KSRC", "KERNEL_DIR")
"""Names that count in the environment, too, and that may be nothing but a kernel's folder."""
_OTHERS = frozenset(
    ("M", "O", "MO", "KBUILD_EXTMOD", "KBUILD_EXTMOD_OUTPUT", "KBUILD_OUTPUT", "INSTALL_MOD_PATH")
)
_FOLDER_NAME = r"(?i)(?:k|kern|kernel|linux|sys)_?(?:dir|src|source|sources|source_dir|path|build|tree)"
_RELEASE_NAME = r"(?i)(?:k|kern|kernel|linux|target_kernel)_?(?:ver|version|rel|release|uname)|uname_r"
RELEASE = r"\d+\.\d+[\w.+~-]*"
MODULES = "/lib/modules"
GUESSED = "is of the running kernel: it is judged because neither the arguments nor a Makefile names another"
"""What to say of a kernel that nothing names."""


def find_named_folder(variables: Mapping[str, str], environ: Mapping[str, str], start: str) -> str | None:
    """Find the folder of a kernel that is named as such; None if none is. Names are relative to ``start``.

    Raises NoTree if a word that can mean nothing else names no kernel.
    """
    named = {name: variables.get(name) or environ.get(name) or "" for name in KDIR_NAMES}
    named.update({name: value for name, value in variables.items() if name not in _OTHERS})
    for name, value in named.items():
        if not value:
            continue
        folder = os.path.normpath(os.path.join(start, value))
        if read_kernel_makefile(folder) is not None:
            return folder
        if re.fullmatch(_FOLDER_NAME, name):
            raise NoTree(f"{folder}: not a kernel tree ({name}= names it); it has no kernel Makefile")
    return None


def find_named_kernel(variables: Mapping[str, str], environ: Mapping[str, str], start: str) -> str | None:
    """Find the folder of the kernel that is named, by its folder or by its release; None if none is.

    Raises NoTree as ``find_named_folder`` does.
    """
    if folder := find_named_folder(variables, environ, start):
        return folder
    for name, value in variables.items():
        if not re.fullmatch(RELEASE, value):
            continue
        folder = f"{MODULES}/{value}/build"
        if read_kernel_makefile(folder) is not None:
            return os.path.realpath(folder)
        if re.fullmatch(_RELEASE_NAME, name):
            raise NoTree(f"{folder}: no kernel there ({name}={value} names it); name one with KDIR=DIR")
    return None
