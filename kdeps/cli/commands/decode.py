# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps decode``: a kernel log with readable Rust names, and from which build each oops in it is."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import click

from kdeps.cli.exits import Exit
from kdeps.cli.options import ledger_option, make_args_command, refuse_unknown_options, words_argument
from kdeps.cli.terminal import current_folder
from kdeps.formats.makeargs import split_goals
from kdeps.running.log import LogStream
from kdeps.running.oops import Oops
from kdeps.system.demangle import Demangler
from kdeps.system.errors import Unreadable, UsageError
from kdeps.system.stream import read_available, write_all
from kdeps.system.text import printable

if TYPE_CHECKING:
    from kdeps.running.oops_origin import JudgedOops

_PAUSE_S = 1.0
"""After so long a silence an oops is taken to be complete."""
_STDOUT = 1


def _read(stream: LogStream, source: int, name: str) -> Iterator[bytes | Oops]:
    try:
        for data in read_available(source, _STDOUT, _PAUSE_S):
            yield from stream.feed(data) if data else stream.pause()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Unreadable(
            f"{name}: {error.strerror}; name a log, or pipe one in: dmesg | kdeps decode"
        ) from error
    yield from stream.end()


def _split_log(words: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
    """Part the log's name from make's arguments: it is the first word, or the one that is a file's name.

    Raises UsageError: there are two.
    """
    goals, rest = split_goals(words)
    logs = [g for g in goals if g in ("-", words[0]) or "/" in g or "." in g or os.path.isfile(g)]
    if len(logs) > 1:
        raise UsageError(f"{logs[1]}: decode takes one log, and {logs[0]} is named before it")
    return (logs[0] if logs and logs[0] != "-" else None), rest


@contextmanager
def _open_log(name: str | None) -> Iterator[int]:
    """Give the descriptor of the log: that of standard input, if none is named."""
    if name is None:
        yield 0
        return
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise Unreadable(f"{name}: {why}; name a log, or pipe one in: dmesg | kdeps decode") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


class _Examiner:
    """Judge each oops by the files of one build, and put into words what was found."""

    def __init__(self, make_words: tuple[str, ...], ledgers: tuple[str, ...], *, run_again: bool) -> None:
        from kdeps.cli.origins import Origins
        from kdeps.kbuild.tree import find_tree
        from kdeps.running.local_build import LocalFiles
        from kdeps.running.oops_origin import LocalBuild, OopsJudge
        from kdeps.running.replayed_lines import ReplayedLines

        self._cwd = current_folder()
        self._environ = dict(os.environ)
        self._tree = find_tree(make_words, self._cwd, self._environ)
        self._replayed = ReplayedLines(make_words, self._cwd, self._environ)
        self._find_again = self._replayed.find if run_again else None
        self._files = LocalFiles(self._tree)
        self._judge = OopsJudge(LocalBuild(self._tree.release, self._files.find, self._files.read_code))
        self._origins = Origins(ledgers, self._environ)
        self._noted: set[str] = set()
        self.status: Exit = Exit.FRESH

    def __enter__(self) -> _Examiner:
        return self

    def __exit__(self, *_: object) -> None:
        self._replayed.__exit__()

    def examine(self, oops: Oops, demangler: Demangler) -> bytes:
        """Return the lines that are added behind an oops."""
        from kdeps.report.decode_text import frame_lines, no_lines_text, origin_lines
        from kdeps.running.oops_origin import Origin
        from kdeps.running.source_lines import locate_frames

        self._files.look_again()
        judged = self._judge.judge(oops)
        if judged.origin is Origin.OTHER:
            self.status = Exit.STALE
        elif judged.origin is Origin.UNKNOWN and self.status is Exit.FRESH:
            self.status = Exit.ERROR
        frames = locate_frames(judged, self._find_again) if judged.origin is Origin.THIS else ()
        for problem in (*self._files.problems, *self._replayed.problems):
            if problem not in self._noted:
                self._noted.add(problem)
                print(f"kdeps: note: {printable(problem)}", file=sys.stderr)
        names = {difference.symbol for difference in (*judged.differences, *judged.earlier)}
        names |= {frame.frame.symbol for frame in frames} | {c.function for f in frames for c in f.calls}
        readable = demangler.readable(names)
        lines = [
            *origin_lines(judged, readable, self._find_origins(judged)),
            *frame_lines(frames, readable, self._cwd),
        ]
        lines += no_lines_text(frames, self._cwd)
        return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")

    def _find_origins(self, judged: JudgedOops) -> dict[str, str]:
        """Say from what each object of the log was built that has another build id here, or no file."""
        from kdeps.report.origin_text import origin_text

        def show(path: str) -> str:
            return printable(os.path.relpath(path, self._cwd))

        known = {}
        for name, build_id in judged.oops.build_ids.items():
            origin = self._origins.find(build_id, with_edits=True)
            if origin is not None and name not in judged.same_ids:
                known[name] = origin_text(origin, show, time.time())
        return known


@make_args_command
@ledger_option
@click.option("--no-replay", is_flag=True, help="Compile nothing again to find file and line of a module.")
@words_argument("words", "[LOG] [MAKE_ARGS]...")
def decode(no_replay: bool, ledgers: tuple[str, ...], words: tuple[str, ...]) -> int:
    """A kernel log with readable Rust names, and from which build it is.

    A filter: reads LOG or standard input and passes every line on at once, with
    its colours and time stamps. Names are made readable by llvm-cxxfilt or
    c++filt; without one they stay as they are.

    With make's arguments each oops is compared with that build: release, how
    often the kernel was linked, build ids, the size of every function in the
    trace, and machine code. Only if nothing differs, file and line of each frame
    are added. For a module without debug information its recorded commands run
    again, with line tables, into a temporary folder. Otherwise the log is of
    another build, and the line says what shows it. The next one says from what
    that build was made, if the log has build ids (CONFIG_STACKTRACE_BUILD_ID) and
    `kdeps make` or a ledger recorded them. Sizes and code name no build, because
    several builds can have the same ones.

    \b
    Exit status:
      0  done; with make's arguments: every oops is from this build
      1  an oops is from another build
      2  an oops cannot be compared, or the log cannot be read

    \b
    Examples:
      dmesg -w | kdeps decode
      kdeps decode oops.txt LLVM=1 O=../build M=drivers/gpu/nova-core
    """
    refuse_unknown_options(words)
    log, make_words = _split_log(words)
    if ledgers and not make_words:
        raise UsageError("--ledger: add make's arguments, which name the build that the log is compared with")
    with ExitStack() as stack:
        source = stack.enter_context(_open_log(log))
        examiner = None
        if make_words:
            examiner = stack.enter_context(_Examiner(make_words, ledgers, run_again=not no_replay))
        demangler = Demangler()
        stream = LogStream(demangler, find_oopses=examiner is not None)
        noted = False
        for item in _read(stream, source, log or "standard input"):
            if isinstance(item, Oops):
                assert examiner is not None
                item = examiner.examine(item, demangler)
            write_all(_STDOUT, item)
            if demangler.problem and not noted:
                noted = True
                print(f"kdeps: note: {demangler.problem}", file=sys.stderr)
    return Exit.FRESH if examiner is None else examiner.status
