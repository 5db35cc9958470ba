# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What is known of one machine: values only, however they were collected."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple


class LoadState(str, Enum):
    """The state of a module in the running kernel. JSON carries these values."""

    LIVE = "live"
    COMING = "coming"
    """Its init function has not returned."""
    GOING = "going"
    """It is being unloaded."""
    BUILT_IN = "built-in"
    """The name belongs to a part of the kernel itself."""


class LoadedModule(NamedTuple):
    """One module of the running kernel."""

    state: LoadState
    build_id: str | None
    """None if the kernel shows no note: the module was linked without an id, or CONFIG_KALLSYMS is off."""


class FileCopy(NamedTuple):
    """One file of a module, installed or in an initramfs."""

    path: str
    build_id: str | None
    problem: str = ""
    """Why the file could not be read; completes "it …". Empty where it was read."""
    mtime: int | None = None
    """Whole seconds; None in an initramfs."""
    code: str = ""
    """A hash of the code and data; only known of files of this machine."""


class Installed(NamedTuple):
    """What ``/lib/modules/RELEASE`` has of one module name."""

    chosen: FileCopy | None
    """The file that ``modules.dep`` names: what modprobe would load. None if it names none."""
    others: tuple[str, ...] = ()
    """Further files of that name below the folder: depmod passed over them, or has not seen them."""
    built_in: bool = False
    """``modules.builtin`` has the name, so modprobe would load nothing."""


class Initramfs(NamedTuple):
    """An initramfs of one release."""

    path: str
    modules: Mapping[str, tuple[FileCopy, ...]] = MappingProxyType({})
    """By module name; only names that were looked for."""
    problem: str = ""
    """Why it could not be read; completes "it …"."""
    denied: bool = False
    """The problem is that the user may not read it."""


class Facts(NamedTuple):
    """One machine, as it is now."""

    release: str
    """Of the running kernel; empty where no kernel runs (the root of a disk image)."""
    version: str = ""
    """``#N SMP …`` of the running kernel."""
    boot_id: str = ""
    kernel_id: str | None = None
    loaded: dict[str, LoadedModule] | None = None
    """By module name; None if it is not known which modules are loaded."""
    livepatched: tuple[str, ...] = ()
    """Names of live patches that are enabled."""
    installed_release: str = ""
    """The folder below ``/lib/modules`` that was looked at."""
    has_modules_folder: bool = False
    dep_mtime: int | None = None
    """Of ``modules.dep``, whole seconds; None without such a file."""
    installed: Mapping[str, Installed] = MappingProxyType({})
    """By module name; only names that were looked for."""
    initramfs: tuple[Initramfs, ...] = ()
    looked_for: frozenset[str] | None = None
    """The module names that files were looked for; None: every name."""
