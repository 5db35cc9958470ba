# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Suggest the folder that the user meant by a path that does not exist."""

from __future__ import annotations

import os


def suggest_folder(path: str) -> str | None:
    """Find the folder that a path without one was meant to name: each name that is wrong has one near it."""
    import difflib

    found = "/"
    for name in path.strip("/").split("/"):
        if not os.path.isdir(os.path.join(found, name)):
            try:
                names = [entry.name for entry in os.scandir(found) if entry.is_dir()]
            except OSError:
                return None
            near = difflib.get_close_matches(name, names, 1, 0.7)
            if not near:
                return None
            name = near[0]
        found = os.path.join(found, name)
    return found


def did_you_mean(name: str, value: str, folder: str) -> str:
    """Return the end of a message on ``NAME=VALUE``, where ``folder`` is what it named; empty without a guess."""
    found = suggest_folder(os.path.normpath(folder))
    if found is None:
        return ""
    base = folder.removesuffix(value) if not os.path.isabs(value) and folder.endswith(value) else ""
    shown = os.path.relpath(found, base) if base else found
    return f"; did you mean `{name}={shown}`?"
