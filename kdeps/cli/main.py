# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Where the program starts, and the one boundary where it ends.

A plain ``kdeps check MAKE-ARGS``, and ``kdeps make``, are taken here without click:
importing it costs as much as reading and judging a whole tree. A command line with another option,
a request for help, or a mistake goes to ``kdeps.cli.dispatch``: click is the one parser, and this is only
the way around it.
"""

from __future__ import annotations

import errno
import os
import sys

TYPE_CHECKING = False  # typing itself is not imported on the way of a fresh build
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn


def main(argv: list[str] | None = None) -> NoReturn:
    """Run the program and exit."""
    words = sys.argv[1:] if argv is None else argv
    status = guard(lambda: _dispatch(words))
    if words[:1] == ["ci"] and "--bisect" in words:
        from kdeps.cli.exits import Exit

        if status in (Exit.ERROR, Exit.BUG):
            status = Exit.SKIPPED
    sys.exit(status)


def _dispatch(words: list[str]) -> int:
    if "_KDEPS_COMPLETE" in os.environ:
        from kdeps.cli.completion import run_completion

        return run_completion(words)
    if words[:1] == ["check"] and not any(word.startswith("--") or word == "-h" for word in words[1:]):
        from kdeps.cli.check import run_check

        return run_check(tuple(words[1:]))
    if words[:1] == ["make"] and words[1:2] != ["-h"] and words[1:2] != ["--help"]:
        from kdeps.cli.choices import OnStale
        from kdeps.cli.make import run_make

        ours = [word for word in words[1:] if word.partition("=")[0] in ("--on-stale", "--with")]
        if not ours:
            return run_make(tuple(words[1:]))
        choice = ours[0].removeprefix("--on-stale=")
        if len(ours) == 1 and choice in list(OnStale) and "--" not in words:
            rest = [word for word in words[1:] if word != ours[0]]
            return run_make(tuple(rest), on_stale=OnStale(choice))
    if words[:2] == ["watch", "--status"] and not any(word.startswith("-") for word in words[2:]):
        from kdeps.watch.status import print_status

        return print_status(words[2:])
    from kdeps.cli.dispatch import run

    return run(words)


def guard(action: Callable[[], int]) -> int:
    """Run one command and decide, once, whose mistake an exception is.

    Returns the action's own status, 2 for a mistake a person can fix, 130 for an interrupt, 3 for a bug of ours.
    """
    try:
        status = action()
        sys.stdout.flush()
    except (Exception, KeyboardInterrupt) as error:
        try:
            return _exit_of_error(error)
        except (OSError, AttributeError):  # nor can the error be written
            os._exit(2)
    return status


def _exit_of_error(error: Exception | KeyboardInterrupt) -> int:
    from kdeps.cli.exits import Exit
    from kdeps.system.errors import KdepsError
    from kdeps.system.text import break_line, printable

    if isinstance(error, KeyboardInterrupt):
        return Exit.INTERRUPTED
    if isinstance(error, BrokenPipeError):
        _give_up_output()  # the reader (head, a pager) has seen enough
        return Exit.ERROR
    if _is_output_error(error):
        why = "standard output is closed" if sys.stdout is None else error
        _give_up_output()
        print(f"kdeps: error: cannot write the answer: {why}", file=sys.stderr)
        return Exit.ERROR
    if isinstance(error, KdepsError):
        from kdeps.cli.terminal import find_width

        line = f"kdeps: error: {printable(str(error))}"
        print(break_line(line, find_width(sys.stderr)), file=sys.stderr)
        return Exit.ERROR
    return _report_bug(error)


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
    from kdeps.system.files import discard_output

    discard_output(1)


def _report_bug(error: Exception) -> int:
    import platform
    import traceback

    from kdeps import __version__
    from kdeps.cli.exits import Exit

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
    from kdeps.system.text import printable

    return "\n".join(printable(line) for line in text.splitlines())
