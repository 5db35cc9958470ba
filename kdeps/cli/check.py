# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps check``: would this build use stale kernel artifacts?

While nothing has changed that the last answer rests on, that answer is printed again. Most checks go this
way, so ``checking``, which finds a new answer, is imported only where it is needed.
"""

from __future__ import annotations

import gc
import os
import sys
import time

from kdeps.cli.terminal import current_folder, wants_colour, write_answer
from kdeps.staleness.answers import Question

TYPE_CHECKING = False  # typing itself is not imported on the way of a check that is answered before
if TYPE_CHECKING:
    Part = str | int | None
    """Of what was printed: text; a time in nanoseconds, printed as how long ago it was; how long the check took."""


def run_check(
    words: tuple[str, ...],
    *,
    output: str = "text",
    exact: bool = False,
    colour: str = "auto",
    by: str = "content",
    every: bool = False,
) -> int:
    """Judge the build that ``make WORDS…`` would be, print the verdict, and return the exit status.

    ``output``, ``colour`` and ``by`` are values of ``Format``, ``Colour`` and ``By``: this way imports no click.
    """
    started_s = time.perf_counter()
    question = ask(words, current_folder(), dict(os.environ), output, colour, by, every=every)
    answer = None if exact else question.recall()
    if answer is None:
        gc.disable()  # many names and nothing that refers to itself, in a process that ends soon
        from kdeps.cli.checking import find_answer

        return find_answer(question, exact=exact)
    status, parts = answer
    write_answer(fill_in(parts, (time.perf_counter() - started_s) * 1000), output)
    return int(status)


def ask(
    words: tuple[str, ...],
    cwd: str,
    environ: dict[str, str],
    output: str,
    colour: str,
    by: str,
    *,
    every: bool = False,
) -> Question:
    """Return the question of this command line, with everything that changes a byte of the output."""
    style = "colour" if wants_colour(colour) else "plain"
    manner = ("check", output, by, style, sys.stdout.encoding or "ascii", "all" if every else "")
    return Question(manner, words, cwd, environ)


def fill_in(parts: list[Part], elapsed_ms: float) -> str:
    """Return the text of an answer as it reads now."""
    if all(isinstance(part, str) for part in parts):
        return "".join(map(str, parts))
    from kdeps.system.text import time_ago

    now_ns = time.time_ns()
    return "".join(
        part
        if isinstance(part, str)
        else str(round(elapsed_ms, 1))
        if part is None
        else time_ago(part, now_ns)
        for part in parts
    )
