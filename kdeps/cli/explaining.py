# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Explain a failure below make's own message, if the objects or records explain it."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from kdeps import __version__
from kdeps.cli.choices import Colour
from kdeps.cli.make_messages import say
from kdeps.cli.output import make_text_output
from kdeps.cli.terminal import find_width
from kdeps.contents.recall import judge_contents
from kdeps.contents.roots import Roots
from kdeps.kbuild.configuration import read_configuration
from kdeps.kbuild.make_command import read_kernel_make, read_request
from kdeps.kbuild.rule import Problem
from kdeps.report import verdict_text as text
from kdeps.report.formats.sarif import Place, frames_sarif
from kdeps.report.issues import find_repository
from kdeps.report.sentences import sanitise_line
from kdeps.staleness.check import CheckResult, check_build
from kdeps.staleness.inspection import Inspection
from kdeps.staleness.reasons import Status
from kdeps.staleness.whole_tree import check_tree
from kdeps.system.demangle import Demangler
from kdeps.system.errors import KdepsError, NotConfigured, describe_bug
from kdeps.system.text import break_line, counted, printable

if TYPE_CHECKING:
    from kdeps.artifacts.failure import Failure, Measured
    from kdeps.report.sentences import TextOutput


def explain_failed_make(words: tuple[str, ...], environ: dict[str, str]) -> None:
    """Explain a failed make, and never make it worse: whatever goes wrong here is one line."""
    try:
        _explain(words, environ)
    except KeyboardInterrupt:
        return
    except NotConfigured as error:
        say(f"explain: {error}")
    except (KdepsError, OSError, ImportError):
        return  # make has said what it misses; a checkout that is not installed may lack pyelftools
    except Exception as error:
        say(f"note: the failure is not explained, because of a bug in kdeps: {describe_bug(error)}")


def _explain(words: tuple[str, ...], environ: dict[str, str]) -> None:
    cwd = os.getcwd()
    request = read_request(words, cwd, environ)
    asked = request.words if request is not None else read_kernel_make(words, cwd, environ)
    if asked is None:
        return
    from kdeps.artifacts.failure import examine_failure

    result = check_to_explain(asked, cwd, environ)
    allowed = has_runtime_assertions(result)
    failure = examine_failure(result, environ)
    if allowed:
        failure = failure._replace(assertions=())
    if not is_stale_unseen(result) and not failure.assertions and not failure.undefined:
        return
    pen = make_text_output(cwd, Colour.NEVER)
    write_explanation(pen, result, failure, allowed=allowed, every=False)
    if sys.stderr is not None:
        width = find_width(sys.stderr)
        sys.stderr.write(
            "\n" + "".join(break_line(sanitise_line(line, pen.style), width) + "\n" for line in pen.lines)
        )
        sys.stderr.flush()


def check_to_explain(words: tuple[str, ...], cwd: str, environ: dict[str, str]) -> CheckResult:
    """Judge a module, or without one the whole kernel that was built: a driver may be built into vmlinux."""
    result = check_build(words, cwd, environ)
    if result.tree.module is not None or not os.path.exists(f"{result.tree.objtree}/vmlinux.a"):
        return judge_contents(result, environ).result
    # What was not inspected must not be kept as "nothing found", hence the problem.
    not_inspected = Inspection((), (Problem(result.tree.objtree, "its artifacts were not inspected"),), {})
    result = check_tree(words, cwd, environ, lambda _: not_inspected, rules_needed=True).result
    return judge_contents(result, environ).result


def is_stale_unseen(result: CheckResult) -> bool:
    """Whether something is stale that may explain a failure.

    A build of the whole kernel that failed is stale from there on, and make sees that. Only what make does not
    see can be the reason.
    """
    if result.tree.module is not None:
        return result.verdict.status is Status.STALE
    return any(not reason.kbuild for state in result.verdict.stale for reason in state.reasons)


def has_runtime_assertions(result: CheckResult) -> bool:
    """Whether the configuration lets a ``build_assert!`` panic at run time instead of failing the build."""
    return "CONFIG_RUST_BUILD_ASSERT_ALLOW" in read_configuration(result.tree).symbols


def write_explanation(
    pen: TextOutput, result: CheckResult, failure: Failure, *, allowed: bool, every: bool
) -> None:
    """Write the causes that the records show, then those that the objects show."""
    from kdeps.report.explain_text import write_failure

    told = is_stale_unseen(result) or (result.tree.module and result.verdict.status is Status.UNKNOWN)
    if told:
        verdict = text.render(result, cwd=pen.cwd, style=pen.style, unicode=pen.arrow == "→")
        pen.lines += [*verdict.splitlines(), ""]
    mangled = [u.name for u in failure.undefined] + [f for a in failure.assertions for f in a.functions]
    demangler = Demangler()
    names = demangler.readable(mangled)
    write_failure(pen, failure, names, allowed=allowed, every=every)
    if demangler.problem and any(name.startswith("_R") for name in mangled):
        pen.lines += [f"{pen.mark('note', 'note')}: {demangler.problem}", ""]
    name = result.tree.given_module if result.tree.module else "the kernel"
    pen.lines.append(f"explain: {name}: {_summary(failure, result if told else None)}")


def _summary(failure: Failure, told: CheckResult | None) -> str:
    parts = []
    if told is not None:
        parts.append(told.verdict.status.value)
    if failure.assertions:
        parts.append(f"{counted(len(failure.assertions), 'build_assert!')} left in the code")
    if failure.undefined:
        parts.append(counted(len(failure.undefined), "undefined symbol"))
    if not parts and failure.problems:
        return "cannot tell, see above"
    return ", ".join(parts) or "nothing in its records and objects explains a failure"


def failure_document(result: CheckResult, failure: Failure, *, allowed: bool) -> dict[str, Any]:
    """Write an explanation as a JSON object."""
    names = Demangler().readable([u.name for u in failure.undefined])
    return {
        "schema": "kdeps.explain/1",
        "kdeps": __version__,
        "verdict": result.verdict.status.value,
        "assertions": [
            {
                "object": a.path,
                "level": "warning" if allowed else "error",
                "text": a.text,
                "certain": a.is_certain,
                "location": None if a.location is None else a.location._asdict(),
                "driver": None if a.driver is None else a.driver._asdict(),
                "chain": [frame._asdict() for frame in a.frames],
                "functions": list(a.functions),
            }
            for a in failure.assertions
        ],
        "undefined": [
            {
                "symbol": u.name,
                "name": names.get(u.name, u.name),
                "crate": u.crate or None,
                "cause": u.cause.value,
                "evidence": u.evidence or None,
                "objects": list(u.modules),
            }
            for u in failure.undefined
        ],
        "problems": list(failure.problems),
    }


MAX_FRAMES = 20


def write_frames(pen: TextOutput, result: CheckResult, measured: Measured, *, every: bool) -> None:
    """Write the frames above the limit, and all of them with ``--all``."""
    for problem in measured.problems:
        pen.lines.append(f"{pen.mark('error', 'unknown')}: {printable(problem)}")
    large = measured.too_large
    shown = measured.frames if every else large[:MAX_FRAMES]
    names = Demangler().readable([frame.function for frame in shown])
    for frame in shown:
        label = pen.mark("error", "warning") if frame in large else pen.mark("note", "frame")
        pen.lines.append(
            f"{label}: {frame.size} bytes: {printable(names.get(frame.function, frame.function))}"
        )
        if frame.line:
            pen.lines.append(f"  --> {pen.path(frame.file)}:{frame.line}")
    if len(large) > len(shown):
        pen.lines.append(f"… and {len(large) - len(shown)} more; --all lists them")
    name = result.tree.given_module if result.tree.module else "the kernel's crates"
    limit = f"above CONFIG_FRAME_WARN={measured.limit}" if measured.limit else "judged: no CONFIG_FRAME_WARN"
    largest = f"; the largest has {measured.frames[0].size} bytes" if measured.frames else ""
    pen.lines.append(f"frames: {name}: {len(large)} of {len(measured.frames)} {limit}{largest}")


def frames_document(measured: Measured) -> dict[str, Any]:
    """Write stack frames as a JSON object."""
    names = Demangler().readable([frame.function for frame in measured.frames])
    return {
        "schema": "kdeps.frames/1",
        "kdeps": __version__,
        "limit": measured.limit or None,
        "frames": [
            {
                "symbol": frame.function,
                "name": names.get(frame.function, frame.function),
                "size": frame.size,
                "object": frame.path,
                "file": frame.file or None,
                "line": frame.line or None,
            }
            for frame in measured.frames
        ],
        "problems": list(measured.problems),
    }


def print_frames_sarif(result: CheckResult, measured: Measured, cwd: str, environ: dict[str, str]) -> None:
    """Print the stack frames above the limit as SARIF, with files relative to the repository."""
    roots = dict(Roots((result.tree,)).paths)
    names = Demangler().readable([frame.function for frame in measured.too_large])
    sys.stdout.write(frames_sarif(measured, names, Place(find_repository(cwd, environ, roots), roots)) + "\n")
