# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""An object that rustc made, and how to make it again with further flags."""

from __future__ import annotations

import os
from typing import NamedTuple

from kdeps.artifacts.object_file import read_bytes
from kdeps.kbuild.replay import RecordedCommand, ReplayError, replay
from kdeps.system.scratch import scratch_folder


class RustObject(NamedTuple):
    """An object that rustc made."""

    path: str
    recorded: RecordedCommand
    roots: tuple[str, ...]
    """Where relative names of sources may start: the folder of the command, the source tree."""
    abstractions: str
    """The folder of the kernel's own crates; a frame in it is not the driver's. Empty for an object of these crates."""


def rebuild(
    rust: RustObject, environ: dict[str, str], rustc_flags: tuple[str, ...], clang_flags: tuple[str, ...] = ()
) -> bytes:
    """Run the recorded command again with further flags; return the object and leave the tree as it is.

    Raises:
        ReplayError: The command cannot run again, or writes another file.
        ObjectError: The new object cannot be read.
    """
    with scratch_folder("kdeps-explain-") as folder:
        outputs = replay(rust.recorded, folder, environ, rustc_flags=rustc_flags, clang_flags=clang_flags)
        path = outputs.get(rust.path)
        if path is None:
            raise ReplayError(f"{rust.path}: its recorded command writes another file")
        return read_bytes(path)


def find_source(rust: RustObject, file: str) -> str:
    """Find the file that a name of the compiler means. Returns the name itself if no such file exists."""
    if not os.path.isabs(file):
        for root in rust.roots:
            path = os.path.normpath(os.path.join(root, file))
            if os.path.exists(path):
                return path
    return file
