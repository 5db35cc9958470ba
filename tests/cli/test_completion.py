# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Completion, in the shells themselves: keys go into a terminal, and the line that results is read."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kdeps.cli.dispatch import all_commands
from kdeps.cli.options import COMMANDS
from tests.conftest import CHECKOUT
from tests.support.miniature import Miniature
from tests.support.program import run_text

LIMIT_S = 120
"""Only so that a shell that hangs does not hang the tests."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, pristine: Miniature) -> Miniature:
    """A miniature with a second module built."""
    tree = pristine.copy_to(tmp_path_factory.mktemp("completion") / "tree")
    tree.make("M=samples/rust")
    return tree


@pytest.fixture
def environ(built: Miniature, tmp_path: Path) -> dict[str, str]:
    """An environment with this very kdeps in PATH, and nobody's shell configuration."""
    program = tmp_path / "bin/kdeps"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m kdeps "$@"\n')
    program.chmod(0o755)
    given = built.environment({"PYTHONPATH": str(CHECKOUT), "HOME": str(tmp_path), "TERM": "xterm"})
    given |= {"PATH": f"{program.parent}:{given['PATH']}", "PS1": "$ ", "HISTFILE": "", "LC_ALL": "C.UTF-8"}
    return given


def _type(
    shell: list[str], setup: str, line: str, environ: dict[str, str], tree: Miniature, out: Path
) -> str:
    """Type a line with a tab at its end into a shell on a terminal; return the line that the tab made."""
    out.unlink(missing_ok=True)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        shell, stdin=theirs, stdout=theirs, stderr=theirs, cwd=tree.srctree, env=environ, start_new_session=True
    )  # fmt: skip
    os.close(theirs)
    # The keys wait in the terminal until the shell comes to them: ^A goes to the start of the line,
    # ^E to its end, and what stands there is written to a file instead of being run.
    keys = f"{setup}\n{line}\t\x01echo '\x05' > {out}\nexit\n"
    os.write(ours, keys.encode())
    said = b""
    try:
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:  # the shell has left
                break
            if not data:
                break
            said += data
        process.wait(LIMIT_S)
    finally:
        process.kill()
        os.close(ours)
    assert out.exists(), said.decode(errors="replace")
    return out.read_text().rstrip("\n")


CASES = [
    ("kdeps che", "kdeps check "),
    ("kdeps why --us", "kdeps why --used-by "),
    ("kdeps check O=../build M=drivers/gp", "kdeps check O=../build M=drivers/gpu/"),
    ("kdeps check O=../build M=sam", "kdeps check O=../build M=samples/"),
    ("kdeps check O=../build LLV", "kdeps check O=../build LLVM="),
    ("kdeps why O=../build nova_core.", "kdeps why O=../build nova_core.o "),
    ("kdeps why O=../build libker", "kdeps why O=../build libkernel.rmeta "),
    ("kdeps affected O=../build CONFIG_PC", "kdeps affected O=../build CONFIG_PCI "),
    ("kdeps affected O=../build rust/kernel/devic", "kdeps affected O=../build rust/kernel/device.rs "),
    ("kdeps completion fi", "kdeps completion fish "),
    ("kdeps check --format=js", "kdeps check --format=json "),
]
"""What is typed, and what stands there after a tab. Both end where the cursor is."""


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
@pytest.mark.parametrize(("typed", "completed"), CASES)
def test_bash(typed: str, completed: str, environ: dict[str, str], built: Miniature, tmp_path: Path) -> None:
    """bash, which takes words apart at every ``=``, completes the whole word."""
    shell = ["bash", "--norc", "--noprofile", "-i"]
    line = _type(shell, 'eval "$(kdeps completion bash)"', typed, environ, built, tmp_path / "line")
    assert line == completed


@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh here")
@pytest.mark.parametrize(("typed", "completed"), CASES)
def test_zsh(typed: str, completed: str, environ: dict[str, str], built: Miniature, tmp_path: Path) -> None:
    """zsh completes, after its own completion was set up as users set it up."""
    setup = 'bindkey -e; autoload -Uz compinit; compinit -u -D; eval "$(kdeps completion zsh)"'
    line = _type(["zsh", "-f", "-i"], setup, typed, environ, built, tmp_path / "line")
    # Whether a blank follows at once or with the next key is zsh's own business.
    assert line.rstrip(" ") == completed.rstrip(" ")


@pytest.mark.skipif(shutil.which("fish") is None, reason="no fish here")
@pytest.mark.parametrize(("typed", "completed"), CASES)
def test_fish(typed: str, completed: str, environ: dict[str, str], built: Miniature) -> None:
    """fish offers the same, and says what each is."""
    command = 'kdeps completion fish | source; complete -C "$argv[1]"'
    done = subprocess.run(
        ["fish", "--no-config", "-c", command, typed],
        cwd=built.srctree, env=environ, capture_output=True, text=True, timeout=LIMIT_S, check=True,
    )  # fmt: skip
    words = [line.partition("\t")[0] for line in done.stdout.splitlines()]
    wanted = completed.rpartition(" ")[2] or completed.split(" ")[-2]
    assert wanted in words
    assert done.stderr == ""


def _candidates(words: list[str], tree: Miniature) -> list[str]:
    done = run_text(words, cwd=tree.srctree, env=tree.environment({"_KDEPS_COMPLETE": "fish"}))
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_modules_are_those_that_were_built(built: Miniature) -> None:
    """``M=`` offers every module that has a record, before folders."""
    found = _candidates(["check", "O=../build", "M="], built)
    assert found[:2] == ["M=drivers/gpu/nova-core\twas built before", "M=samples/rust\twas built before"]


def test_commands_and_options_are_those_of_the_program(built: Miniature) -> None:
    """Every command and every option can be completed, with its help."""
    commands = [line.partition("\t")[0] for line in _candidates([""], built)]
    assert commands == list(COMMANDS)
    for name in commands:
        options = [line.partition("\t")[0] for line in _candidates([name, "--"], built)]
        known = {opt for p in all_commands().commands[name].params for opt in p.opts if opt.startswith("--")}
        assert set(options) == known | {"--help"}


@pytest.mark.parametrize(
    "words", [["check", "M="], ["why", ""], ["affected", "--since", ""], ["nonsense", ""], []]
)
def test_nothing_is_said_where_nothing_is_known(words: list[str], tmp_path: Path) -> None:
    """Outside of any tree completion is silent."""
    done = run_text(words, cwd=tmp_path, env={**os.environ, "_KDEPS_COMPLETE": "zsh"})
    assert done.stderr == ""


def test_no_name_that_a_shell_would_run(built: Miniature) -> None:
    """A file whose name holds a command substitution is not offered."""
    (built.srctree / "rust/$(reboot)").touch()
    (built.srctree / "rust/a b").touch()
    found = _candidates(["affected", "rust/"], built)
    assert any(line.startswith("rust/kernel/") for line in found)
    assert not any("reboot" in line or "a b" in line for line in found)
