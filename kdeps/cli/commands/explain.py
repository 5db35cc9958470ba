# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps explain``: why did the build fail, which stack frames are too large, what does a reason mean?"""

from __future__ import annotations

import difflib
import os
import re
from typing import TYPE_CHECKING

import click

from kdeps.cli.choices import CiFormat, Colour
from kdeps.cli.exits import Exit
from kdeps.cli.explaining import (
    check_to_explain,
    failure_document,
    frames_document,
    has_runtime_assertions,
    is_stale_unseen,
    print_frames_sarif,
    write_explanation,
    write_frames,
)
from kdeps.cli.options import colour_option, format_option, make_args_command, refuse_slips, words_argument
from kdeps.cli.output import make_text_output, print_json, print_lines
from kdeps.cli.terminal import current_folder
from kdeps.kbuild.slips import find_slip
from kdeps.report.explain_page import page_names, read_page
from kdeps.staleness.check import CheckResult
from kdeps.staleness.reasons import Status
from kdeps.system.errors import UnknownTarget, UsageError

if TYPE_CHECKING:
    from kdeps.artifacts.failure import Failure

_NAME = re.compile(r"[a-z][a-z-]+")
_CODE = re.compile(r"E[0-9]{2,5}", re.IGNORECASE)


def _exit_of(result: CheckResult, failure: Failure, *, allowed: bool) -> int:
    """Return 2 if something could not be read, 1 if something was found, else 0."""
    if is_stale_unseen(result) or failure.undefined or (failure.assertions and not allowed):
        return Exit.STALE
    if result.tree.module is not None and result.verdict.status is Status.UNKNOWN:
        return Exit.ERROR
    return Exit.ERROR if failure.problems and not failure.assertions else Exit.FRESH


def run_page(name: str) -> int:
    """Print the page about one reason or error. Raises UnknownTarget: there is no such page."""
    page = read_page(name)
    if page is None:
        near = difflib.get_close_matches(name, page_names(), 3)
        raise UnknownTarget(
            f"{name}: no page has that name; {'did you mean' if near else 'there are'} {', '.join(near or page_names())}"
        )
    print_lines(page.text.splitlines(), Colour.NEVER)
    return Exit.FRESH


def run_frames(words: tuple[str, ...], *, output: CiFormat, colour: Colour, every: bool) -> int:
    """Measure the stack frames of the Rust objects of a build, print the large ones, return the exit status."""
    from kdeps.artifacts.failure import measure_all_frames

    cwd = current_folder()
    environ = dict(os.environ)
    result = check_to_explain(words, cwd, environ)
    measured = measure_all_frames(result, environ)
    if output is CiFormat.JSON:
        print_json(frames_document(measured))
    elif output is CiFormat.SARIF:
        print_frames_sarif(result, measured, cwd, environ)
    else:
        pen = make_text_output(cwd, colour)
        write_frames(pen, result, measured, every=every)
        print_lines(pen.lines, colour)
    if measured.problems:
        return Exit.ERROR
    return Exit.STALE if measured.too_large else Exit.FRESH


def _is_page_name(words: tuple[str, ...]) -> bool:
    """Whether the words name a page, or could name nothing else. A goal of make has the same form."""
    if len(words) != 1:
        return False
    if _NAME.fullmatch(words[0]) and find_slip(words, current_folder()) is not None:
        return True  # no folder and no goal: one that is mistyped
    return _CODE.fullmatch(words[0]) is not None or read_page(words[0]) is not None


@make_args_command
@click.option(
    "--frames", is_flag=True, help="List the Rust functions whose stack frame is above CONFIG_FRAME_WARN."
)
@click.option(
    "--no-replay",
    is_flag=True,
    help="Do not run recorded commands again: faster, but without the driver's lines.",
)
@click.option("--all", "every", is_flag=True, help="Print long lists in full.")
@format_option("How to print the answer; sarif is for --frames.", CiFormat.SARIF)
@colour_option
@words_argument("words", "[MAKE_ARGS]... | REASON | CODE")
def explain(
    frames: bool, no_replay: bool, every: bool, output: CiFormat, colour: Colour, words: tuple[str, ...]
) -> int:
    """Explain why the build failed, or a REASON that kdeps names, or a CODE of rustc.

    Looks into the objects that make has built: each `build_assert!` that is left in
    them, with the driver's line that made it fail, and each symbol that modpost calls
    undefined, with the cause. MAKE_ARGS is what you gave make. `kdeps make` does this by
    itself below a failure.

    For the driver's line the recorded rustc command runs again, with line tables, into
    a temporary folder. The trees stay as they are.

    \b
    Exit status:
      0  nothing here explains a failure; no frame is too large; the page is printed
      1  something does; a frame is too large
      2  cannot tell, or no such page

    \b
    Examples:
      kdeps explain LLVM=1 O=../build M=drivers/gpu/nova-core
      kdeps explain --frames LLVM=1 O=../build M=drivers/gpu/nova-core
      kdeps explain --frames --format=sarif M=samples/rust > frames.sarif
      kdeps explain newer-prerequisite
      kdeps explain E0463
    """
    if _is_page_name(words):
        return run_page(words[0])
    refuse_slips(words)
    if frames:
        return run_frames(words, output=output, colour=colour, every=every)
    if output is CiFormat.SARIF:
        raise UsageError("--format sarif is for --frames; --format json has what explains a failure")
    from kdeps.artifacts.failure import examine_failure

    cwd, environ = current_folder(), dict(os.environ)
    result = check_to_explain(words, cwd, environ)
    failure = examine_failure(result, environ, run_again=not no_replay)
    allowed = has_runtime_assertions(result)
    if output is CiFormat.JSON:
        print_json(failure_document(result, failure, allowed=allowed))
    else:
        pen = make_text_output(cwd, colour)
        write_explanation(pen, result, failure, allowed=allowed, every=every)
        print_lines(pen.lines, colour)
    return _exit_of(result, failure, allowed=allowed)
