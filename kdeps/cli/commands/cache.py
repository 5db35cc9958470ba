# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps cache``: list what kdeps has in its cache, or delete it."""

from __future__ import annotations

import os
import sys
from itertools import groupby

import click

from kdeps.cli.exits import Exit
from kdeps.cli.options import cli
from kdeps.system.cache import cache_directory
from kdeps.system.cache_listing import Cached, clear_cache, list_cache
from kdeps.system.errors import KdepsError
from kdeps.system.text import counted, printable

KINDS = {
    "answers": "answers of `check` and `make`",
    "blobs": "copies of artifacts built before",
    "builds": "what each artifact was built from",
    "confirmed": "commands that Kbuild confirmed",
    "durations": "how long steps take",
    "failures": "why the last save failed",
    "hashes": "hashes of files, for ledgers",
    "initramfs": "which modules an initramfs has",
    "origins": "what modules were built from",
    "steps": "what those copies were built from",
    "rules": "parsed records of whole trees",
    "toolchain": "versions of compilers",
    "trees": "fresh answers about whole trees",
}
"""What each folder of the cache holds; short enough for a line of 60 columns."""


def _print_kind(kind: str, values: list[Cached]) -> None:
    size = _size(sum(each.size_bytes for each in values))
    sys.stdout.write(f"{printable(kind):10} {size:>9}  {KINDS.get(kind, 'of another version of kdeps')}\n")
    if kind == "builds":
        for each in values:
            sys.stdout.write(f"{'':10} {_size(each.size_bytes):>9}    {printable(each.name)}\n")


def _size(size_bytes: int) -> str:
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 1000)):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.1f} {unit}"
    return f"{size_bytes} B"


@cli.command()
@click.option("--clean", is_flag=True, help="Delete all of it. That costs time, never correctness.")
def cache(clean: bool) -> int:
    """List what kdeps has in its cache and how large it is, or delete it.

    The cache is in XDG_CACHE_HOME, else in ~/.cache. Each kind has its own limit,
    beyond which the oldest values are deleted. The whole cache stays below 2 GB.

    \b
    Exit status:
      0  done
      2  the cache is not yours alone; one line says why and what to do
    """
    environ = dict(os.environ)
    folder = cache_directory(environ)
    try:
        if clean:
            sys.stdout.write(f"{printable(folder)}: {_size(clear_cache(environ))} freed\n")
            return Exit.FRESH
        cached = list_cache(environ)
    except OSError as error:
        raise KdepsError(f"{error.filename or folder}: {error.strerror}") from error
    for kind, values in groupby(cached, key=lambda each: each.kind):
        _print_kind(kind, list(values))
    total = sum(each.size_bytes for each in cached)
    sys.stdout.write(f"{printable(folder)}: {_size(total)} in {counted(len(cached), 'file')}\n")
    return Exit.FRESH
