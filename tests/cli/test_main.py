# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The program as it is called: statuses, streams, colour, what it imports, what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kdeps import NamedTuple
from kdeps.report.sentences import SENTENCES
from kdeps.staleness.reasons import ReasonKind
from kdeps.system.text import duration
from tests.conftest import CHECKOUT, RunKdeps, paste_help
from tests.support.miniature import MODULE, Miniature
from tests.support.program import run as run_kdeps
from tests.support.program import run_text
from tests.support.terminal import run_on_terminal

M = f"M={MODULE}"


def test_fresh_is_one_line_and_status_0(tree: Miniature, kdeps: RunKdeps) -> None:
    """Nothing stale: one line on standard output, nothing on standard error."""
    done = kdeps(tree, "check", M)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(rf"fresh: {MODULE}: no stale kernel artifact \(\d+ rules, \d+ files\)\n", done.stdout)


def test_a_stale_crate_is_said_in_full(tree: Miniature, kdeps: RunKdeps) -> None:
    """One edit: cause, file, chain, note, cure and summary, each once."""
    tree.touch("rust/kernel/io.rs")
    done = kdeps(tree, "check", M)
    assert done.returncode == 1
    text = re.sub(r"changed .* ago", "changed AGO", done.stdout).replace(str(tree.objtree), "OBJ")
    assert text == (
        "stale[newer-prerequisite]: crate `kernel` is older than rust/kernel/io.rs, changed AGO\n"
        "  --> rust/kernel/io.rs\n"
        "   = chain: io.rs ⇢ libkernel.rmeta → nova_core.o → nova-core.o → nova-core.ko\n"
        f"   = note: `make {M}` uses the old one silently\n"
        "\n"
        f"help: `kdeps make O=OBJ {M}`, or by hand:\n"
        "    make O=OBJ modules_prepare &&\n"
        f"    make O=OBJ {M}\n"
        "\n"
        f"stale: {MODULE}: 1 cause, 1 stale kernel artifact (1 crate)\n"
    )


def test_the_help_it_gives_helps(tree: Miniature, kdeps: RunKdeps) -> None:
    """Pasting the lines under "help" into a shell makes the tree fresh, also where make sees nothing."""
    tree.touch("include/linux/pci.h")
    (tree.objtree / "rust/libkernel.rmeta").unlink()
    done = kdeps(tree, "check", M)
    lines = paste_help(tree, done.stdout)
    assert [line.split()[0] for line in lines] == ["rm", "make", "make"]
    assert kdeps(tree, "check", M).returncode == 0


def test_one_edit_is_one_message(tree: Miniature, kdeps: RunKdeps) -> None:
    """A header that many steps read is one cause, and the crates it reaches are named."""
    tree.touch("include/linux/pci.h")
    done = kdeps(tree, "check", M)
    assert done.stdout.count("include/linux/pci.h, changed") == 1
    assert "1 cause," in done.stdout
    assert re.search(r"also stale: .*\bkernel\b", done.stdout)


def test_no_escape_codes_unless_a_terminal_wants_them(tree: Miniature, kdeps: RunKdeps) -> None:
    """A pipe gets none; ``--color always`` gets them; NO_COLOR on a terminal gets none."""
    tree.touch("rust/kernel/io.rs")
    assert "\x1b" not in kdeps(tree, "check", M).stdout
    assert "\x1b[" in kdeps(tree, "check", "--color=always", M).stdout
    assert "\x1b[" in _on_terminal(tree, {})
    assert "\x1b" not in _on_terminal(tree, {"NO_COLOR": "1"})


def _on_terminal(tree: Miniature, extra: dict[str, str]) -> str:
    """Run ``kdeps check`` on a pseudo-terminal and return what it wrote."""
    env = tree.environment({"PYTHONPATH": str(CHECKOUT), "TERM": "xterm-256color", **extra})
    command = [sys.executable, "-m", "kdeps", "check", *tree.tree_args, M]
    return run_on_terminal(command, cwd=tree.srctree, env=env)[0]


def test_an_ascii_terminal_gets_ascii(tree: Miniature, kdeps: RunKdeps) -> None:
    """Where the locale has no arrows none are printed."""
    tree.touch("rust/kernel/io.rs")
    done = kdeps(tree, "check", M, env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 1
    assert "io.rs -/-> libkernel.rmeta -> nova_core.o" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("M=no/such/folder",), "M= names no folder"),
        (("-C", "/no/such/folder"), "No such file or directory; make -C would fail there"),
        (("O=/no/such/objtree", M), "no such object tree"),
        (("M=a b",), "one external module folder at a time"),
    ],
)
def test_wrong_arguments_are_one_line_and_status_2(
    words: tuple[str, ...], said: str, tree: Miniature, kdeps: RunKdeps
) -> None:
    """What is wrong and where, in one line on standard error."""
    done = kdeps(tree, "check", *words, cwd=tree.srctree, env={"KBUILD_OUTPUT": str(tree.objtree)})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("kdeps: error: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_outside_any_tree_it_says_what_to_do(tree: Miniature, kdeps: RunKdeps, tmp_path: Path) -> None:
    """No tree: status 2, and the next step."""
    (tmp_path / "empty").mkdir()
    done = kdeps(tree, "check", cwd=tmp_path / "empty")
    assert done.returncode == 2
    assert "name it with -C DIR" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["mkae"], "Did you mean 'make'?"),
        (["check", "--formt", "json"], "Did you mean '--format'?"),
        (["check", "--format", "xml"], "is not one of 'text', 'json'"),
        (["check", "M=x", "--exat"], "Did you mean '--exact'?"),
    ],
)
def test_a_mistyped_command_or_option_is_not_passed_to_make(words: list[str], said: str) -> None:
    """Typing errors are ours to report, with the neighbour suggested."""
    done = run_text(words, cwd=CHECKOUT, env=os.environ)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.startswith("kdeps: error: ")


@pytest.mark.parametrize("words", [["--help"], ["check", "--help"], ["check", M]])
def test_the_hot_path_stays_light(words: list[str], tree: Miniature) -> None:
    """Neither a check nor --help imports networkx or watchdog, and a check not even click or typing."""
    heavy = {"networkx", "watchdog", "asyncio"} | (
        {"click", "dataclasses", "inspect", "json", "typing"} if M in words else set()
    )
    script = (
        "import sys; from kdeps.cli.main import main\n"
        f"try: main({[*words, *(tree.tree_args if M in words else ())]!r})\n"
        f"finally: print('HEAVY', sorted({heavy!r} & set(sys.modules)), file=sys.stderr)"
    )
    no_site = ["-S"] if M in words else []  # what is installed beside kdeps may import at its start
    done = subprocess.run(
        [sys.executable, *no_site, "-c", script], cwd=tree.srctree, env=tree.environment({"PYTHONPATH": str(CHECKOUT)}),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1] == "HEAVY []"


def test_named_tuples_are_those_of_typing() -> None:
    """Made without typing, they have the same fields, defaults, methods and order."""

    class Point(NamedTuple):
        x: int
        y: int = 2
        """With a default."""

        @property
        def sum(self) -> int:
            return self.x + self.y

    point = Point(1)
    assert (point, point.sum) == ((1, 2), 3)
    assert repr(point._replace(y=5)) == "Point(x=1, y=5)"
    assert not hasattr(point, "__dict__")
    with pytest.raises(TypeError):
        Point()  # type: ignore[call-arg]


def test_a_bug_is_reported_ready_to_paste(tree: Miniature) -> None:
    """Our own mistake: status 3, who to tell, and no local path of this installation."""
    script = (
        "import kdeps.staleness.check, sys\n"
        "def bad(*a): raise ZeroDivisionError('oops')\n"
        "kdeps.staleness.check.find_tree = bad\n"
        f"sys.argv[1:] = ['check', {M!r}]\n"
        "from kdeps.cli.main import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tree.srctree, env=tree.environment({"PYTHONPATH": str(CHECKOUT)}),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert done.stderr.startswith("kdeps: bug: ")
    assert "ZeroDivisionError: oops" in done.stderr
    assert str(CHECKOUT) not in done.stderr


def test_a_closed_pipe_is_no_bug(tree: Miniature) -> None:
    """``kdeps check | head -1`` ends quietly."""
    tree.touch("include/linux/pci.h")
    done = subprocess.run(
        f"{sys.executable} -m kdeps check {' '.join(tree.tree_args)} {M} | head -c 1",
        shell=True, cwd=tree.srctree, env=tree.environment({"PYTHONPATH": str(CHECKOUT)}), capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ""


def test_a_reader_that_has_gone_is_no_verdict(tree: Miniature) -> None:
    """More than fits into a buffer, to nobody: the exit status does not say stale."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "kdeps", "graph", "--format=json", *tree.tree_args, M],
        cwd=tree.srctree, env=tree.environment({"PYTHONPATH": str(CHECKOUT)}), stdout=writer, stderr=subprocess.PIPE,
        check=False,
    )  # fmt: skip
    os.close(writer)
    assert (done.returncode, done.stderr) == (2, b"")


def test_many_edits_of_one_crate_are_one_message(tree: Miniature, kdeps: RunKdeps) -> None:
    """Two edited files that make the same rule stale: one cause, the later named, the other counted."""
    tree.touch("rust/kernel/io.rs")
    tree.touch("rust/kernel/lib.rs")
    done = kdeps(tree, "check", M)
    assert done.stdout.startswith(
        "stale[newer-prerequisite]: crate `kernel` is older than rust/kernel/lib.rs and 1 more file, changed "
    )
    assert "1 cause," in done.stdout


def test_a_source_of_the_future_gets_its_own_cure(tree: Miniature, kdeps: RunKdeps) -> None:
    """A build does not catch up with it, so the note names what does."""
    ahead = time.time() + 3600
    os.utime(tree.srctree / "rust/kernel/io.rs", (ahead, ahead))
    done = kdeps(tree, "check", M)
    assert done.returncode == 1
    said = " ".join(done.stdout.split())
    assert (
        "its time is in the future: each build makes it again until you set the clock, or `touch rust/kernel/io.rs`"
        in said
    )


def test_a_full_disk_behind_standard_output_is_no_bug(tree: Miniature) -> None:
    """``kdeps check > /dev/full`` cannot say anything, and does not call that a bug."""
    done = subprocess.run(
        f"{sys.executable} -m kdeps check {' '.join(tree.tree_args)} {M} > /dev/full",
        shell=True, cwd=tree.srctree, env=tree.environment({"PYTHONPATH": str(CHECKOUT)}), stderr=subprocess.PIPE,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("kdeps: error: cannot write the answer")


def test_where_nothing_can_be_written_the_status_tells(tree: Miniature) -> None:
    """Neither the answer nor the error: 2, and not the 1 that means stale."""
    done = subprocess.run(
        f"{sys.executable} -m kdeps check {' '.join(tree.tree_args)} {M} > /dev/full 2>&1",
        shell=True, cwd=tree.srctree, env=tree.environment({"PYTHONPATH": str(CHECKOUT)}), check=False,
    )  # fmt: skip
    assert done.returncode == 2


def test_a_closed_standard_output_is_named(tree: Miniature) -> None:
    """``kdeps check >&-``, as some daemons start their children: one line says what is wrong."""
    done = subprocess.run(
        f"{sys.executable} -m kdeps check {' '.join(tree.tree_args)} {M} >&-",
        shell=True, cwd=tree.srctree, env=tree.environment({"PYTHONPATH": str(CHECKOUT)}), stderr=subprocess.PIPE,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == "kdeps: error: cannot write the answer: standard output is closed\n"


def test_every_reason_has_a_sentence() -> None:
    """A new ReasonKind cannot ship without words for it."""
    assert set(SENTENCES) == set(ReasonKind)


@pytest.mark.parametrize(
    ("ns", "text"),
    [(1, "1 ms"), (250_000_000, "250 ms"), (2_400_000_000, "2.4 s"), (59e9, "59 s"), (600e9, "10 min"),
     (7200e9, "2 h"), (86400e9 * 5, "5 days")],
)  # fmt: skip
def test_durations_are_in_one_unit(ns: float, text: str) -> None:
    """A person reads one number and one unit."""
    assert duration(int(ns)) == text


@pytest.mark.parametrize(
    "words",
    [
        ("check", "--format=json"),
        ("ci",),
        ("why", "x"),
        ("affected", "x"),
        ("doctor",),
        ("graph",),
        ("ninja",),
    ],
)
def test_a_letter_within_an_option_of_make_is_no_option_of_ours(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    """``-C/home/…`` has an h in it: that is no call for help, which would end with 0."""
    missing = tmp_path / "home"
    command = [sys.executable, "-m", "kdeps", *words, f"-C{missing}"]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(CHECKOUT)}, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 2
    assert "Usage:" not in done.stdout
    assert str(missing) in done.stdout + done.stderr


@pytest.mark.parametrize(
    "words", [("check", M), ("why", "nova-core.ko", M), ("make", M), ("decode",), ("mkae",)]
)
def test_kdeps_as_the_tests_run_it_answers_as_one_that_is_started(
    tree: Miniature, words: tuple[str, ...]
) -> None:
    """Most tests fork it from a process that has imported it: status and both outputs are the same."""
    environ = tree.environment({"PYTHONPATH": str(CHECKOUT), "KBUILD_OUTPUT": str(tree.objtree)})
    stdin = b"_RNvC9oops_demo7trigger\n"
    started = subprocess.run(
        [sys.executable, "-m", "kdeps", *words],
        cwd=tree.srctree, env=environ, input=stdin, capture_output=True, check=False,
    )  # fmt: skip
    forked = run_kdeps(words, cwd=tree.srctree, env=environ, stdin=stdin)
    shown = [re.sub(rb"[\d.]+ (?:ms|s)\b", b"", text) for text in (started.stdout, forked.stdout)]
    assert shown[0] == shown[1]
    assert (forked.returncode, forked.stderr) == (started.returncode, started.stderr)
