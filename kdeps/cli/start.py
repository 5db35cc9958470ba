# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Where the program starts, and the one boundary where it ends.

A plain ``kdeps check MAKE-ARGS``, and ``kdeps make``, are taken here without click:
importing it costs as much as reading and judging a whole tree. Whatever carries an option of
kdeps' own, asks for help or is wrong goes to ``kdeps.cli.commands``, so there
is one parser, and this is only the way around it.
"""

from __future__ import annotations

import errno
import os
import sys
from enum import IntEnum

TYPE_CHECKING = False  # typing itself is not imported on the way of a fresh build
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn


class Exit(IntEnum):
    """Exit statuses; also in the README."""

    FRESH = 0
    STALE = 1
    ERROR = 2
    BUG = 3
    SKIPPED = 125
    """What `git bisect run` takes for "this one cannot be tested"; only with ``kdeps ci --bisect``."""
    INTERRUPTED = 130


def main(argv: list[str] | None = None) -> NoReturn:
    """Run the program and exit."""
    words = sys.argv[1:] if argv is None else argv
    status = guard(lambda: _dispatch(words))
    if words[:1] == ["ci"] and "--bisect" in words and status in (Exit.ERROR, Exit.BUG):
        status = Exit.SKIPPED
    sys.exit(status)


def _dispatch(words: list[str]) -> int:
    if "_KDEPS_COMPLETE" in os.environ:
        from kdeps.cli.complete import run_completion

        return run_completion(words)
    if words[:1] == ["check"] and not any(word.startswith("--") or word == "-h" for word in words[1:]):
        from kdeps.cli.check import run_check

        return run_check(tuple(words[1:]))
    if words[:1] == ["make"] and words[1:2] != ["-h"] and words[1:2] != ["--help"]:
        from kdeps.cli.make import OnStale, run_make

        option, _, choice = (words[1] if len(words) > 1 else "").partition("=")
        if option not in ("--on-stale", "--with"):
            return run_make(tuple(words[1:]))
        if choice in list(OnStale) and not (words[2:] and words[2].startswith(("--on-stale", "--with"))):
            return run_make(tuple(words[2:]), on_stale=OnStale(choice))
    if words[:2] == ["watch", "--status"] and not any(word.startswith("-") for word in words[2:]):
        from kdeps.watch.status import print_status

        return print_status(words[2:])
    from kdeps.cli.commands import run

    return run(words)


def where() -> str:
    """The folder the user stands in.

    Raises:
        NoTree: It was deleted.
    """
    from kdeps.errors import NoTree

    try:
        return os.getcwd()
    except FileNotFoundError:
        raise NoTree("the folder you stand in was deleted; go to one that exists") from None


def guard(action: Callable[[], int]) -> int:
    """Run one command and decide, once, whose mistake an exception is.

    Returns:
        The exit status: the action's own, 2 for a mistake a person can fix, 130
        for an interrupt, 3 for a bug of ours.
    """
    try:
        status = action()
        sys.stdout.flush()
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        _give_up_output()  # the reader (head, a pager) has seen enough
        return Exit.ERROR
    except Exception as error:
        if _is_output_error(error):
            why = "standard output is closed" if sys.stdout is None else error
            _give_up_output()
            print(f"kdeps: error: cannot write the answer: {why}", file=sys.stderr)
            return Exit.ERROR
        from kdeps.errors import KdepsError
        from kdeps.printable import printable

        if isinstance(error, KdepsError):
            print(f"kdeps: error: {printable(str(error))}", file=sys.stderr)
            return Exit.ERROR
        return _report_bug(error)
    return status


def _is_output_error(error: Exception) -> bool:
    """A full disk or a closed descriptor behind standard output: it comes without a file name."""
    full = (
        isinstance(error, OSError)
        and error.filename is None
        and error.errno in (errno.ENOSPC, errno.EBADF, errno.EIO)
    )
    return full or (sys.stdout is None and isinstance(error, AttributeError))


def _give_up_output() -> None:
    """Point standard output elsewhere, or the interpreter complains while it shuts down."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _report_bug(error: Exception) -> int:
    """Print what a bug report needs, ready to paste."""
    import platform
    import traceback

    from kdeps import __version__

    here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    trace = "".join(traceback.format_exception(error)).replace(here + os.sep, "")
    print(
        "kdeps: bug: this is a mistake in kdeps, not in your tree. Please report it with what follows.\n"
        f"  kdeps {__version__}, Python {platform.python_version()}, {platform.system()} {platform.release()}\n"
        f"  arguments: {' '.join(map(repr, sys.argv[1:]))}\n{_printable_lines(trace)}",
        file=sys.stderr,
    )
    return Exit.BUG


def _printable_lines(text: str) -> str:
    from kdeps.printable import printable

    return "\n".join(printable(line) for line in text.splitlines())
