# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Write what somebody asked for into the file they named, whatever that is."""

from __future__ import annotations

import errno
import os
import tempfile

from kdeps.errors import KdepsError

_SYSTEM = ("/dev/", "/proc/")
"""Names here are ways to what is open already; a file put in their place would be a new one."""


def write_file(path: str, data: bytes) -> None:
    """Write a file whole or not at all, for somebody may be reading it; a link to one stays a link.

    Where a file can be written and not replaced it is written in place.

    What is no plain file (a device, a pipe) is written into, and what is this program's own output
    (``/dev/stderr``, even where that is a log with the words of others in it) is written on.

    Raises:
        KdepsError: It cannot be written.
    """
    if not path:
        raise KdepsError("an empty name is no file to write to; is a variable of yours empty?")
    try:
        own = _own_output(path)
        if own is not None or not _is_replaceable(path) or not _replace(os.path.realpath(path), data):
            with open(path if own is None else own, "wb", closefd=own is None) as file:
                file.write(data)
    except OSError as error:
        raise KdepsError(f"{path}: cannot be written: {error.strerror}") from error


def _own_output(path: str) -> int | None:
    """Which of our own outputs a path leads to."""
    for descriptor in (1, 2):
        try:
            if os.path.samestat(os.stat(path), os.fstat(descriptor)):
                return descriptor
        except OSError:
            continue
    return None


def _is_replaceable(path: str) -> bool:
    folder = os.path.realpath(os.path.dirname(path) or ".")
    if f"{folder}/".startswith(_SYSTEM):
        return False
    return os.path.isfile(path) or not os.path.exists(path)


def _replace(path: str, data: bytes) -> bool:
    """Put a new file in the place of another one; ``False`` where only the old one can be written into.

    Its folder may be one that nobody may write to, and a mounted file (``docker -v``) cannot be replaced.
    """
    folder, name = os.path.split(path)
    is_there = os.path.isfile(path)
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{name[:100]}.", dir=folder)
    except OSError as error:
        if is_there and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return False
        raise
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
    except BaseException as error:
        os.unlink(temporary)
        if is_there and isinstance(error, OSError) and error.errno in (errno.EBUSY, errno.EXDEV, errno.EPERM):
            return False  # a mounted file; or one of somebody else in a folder like /tmp
        raise
    return True
