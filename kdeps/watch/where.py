# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Where a user's watches leave their state. Imports nothing: ``--status`` must be quick."""

from __future__ import annotations

import contextlib
import os
import stat


def runtime_directory(environ: dict[str, str], *, create: bool = False) -> str | None:
    """The user's own folder for it; ``None``: there is none that is safe.

    ``XDG_RUNTIME_DIR`` is that of a login session. Without one (a container, ``sudo``,
    cron) it is a folder in the temporary directory that must belong to the user and
    let nobody else in.
    """
    base = environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(base) and os.path.isdir(base):
        folder = os.path.join(base, "kdeps")
    else:
        base = f"/run/user/{os.geteuid()}"
        if os.path.isdir(base):
            folder = os.path.join(base, "kdeps")
        else:
            folder = os.path.join(environ.get("TMPDIR") or "/tmp", f"kdeps-{os.geteuid()}")
    try:
        if create:
            with contextlib.suppress(FileExistsError):
                os.mkdir(folder, 0o700)
        found = os.lstat(folder)
    except OSError:
        return None
    safe = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077
    return folder if safe else None
