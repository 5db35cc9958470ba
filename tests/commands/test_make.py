# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps make`` on real make: never a stale crate, and otherwise nothing but make."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import kdeps.cli.make as wrapper
from kdeps.cli.choices import OnStale
from kdeps.cli.exits import Exit
from tests.support.make_wrapper import KDEPS, NEW, M, Wrapped
from tests.support.miniature import MODULE, Miniature

# -- however make is called -----------------------------------------------------


@pytest.mark.parametrize("call", ["-f", "KBUILD_OUTPUT="])
def test_the_kernel_is_found_as_make_finds_it(call: str, make: Wrapped) -> None:
    """``make -f KERNEL/Makefile`` in the module's folder (6.13), ``KBUILD_OUTPUT=`` on the command line."""
    tree = make.tree
    words = ["-f", f"{tree.objtree}/Makefile", f"M={tree.external}"]
    if call != "-f":
        words = ["-C", str(tree.srctree), f"KBUILD_OUTPUT={tree.objtree}", f"M={tree.external}"]
    make.add_code()
    done = make.call(*words, cwd=tree.external)
    assert done.returncode == 0, done.stderr
    assert NEW in (tree.external / "hello.ko").read_text()
    assert tree.kernel_answer("modules_prepare") == []


# -- nothing is stale: nobody notices ------------------------------------------


def test_a_fresh_build_is_make_and_nothing_else(confirmed: Wrapped) -> None:
    """Output and status are make's own, and no make is started to find out that nothing is stale."""
    done = confirmed.run(M)
    assert confirmed.makes()[0].endswith(M)
    plain = confirmed.tree.make(M)
    assert (done.stdout, done.stderr, done.returncode) == (plain.stdout, plain.stderr, 0)


def test_a_confirmed_build_asks_no_make(confirmed: Wrapped) -> None:
    """The goal that Kbuild is asked with never appears again."""
    confirmed.run(M)
    assert not [line for line in confirmed.makes() if "modules_prepare" in line]


def test_a_confirmed_build_starts_no_compiler_of_its_own(make: Wrapped, tmp_path: Path) -> None:
    """Neither rustc nor bindgen is run to find out that nothing is stale; what make runs is make's."""
    log = tmp_path / "compilers"
    for name in ("rustc", "bindgen"):
        tool = make.tree.toolchain / "bin" / name
        tool.rename(tool.with_name(f"{name}.real"))
        # A program, for kdeps asks a script each time: what it says may change behind its stamp.
        subprocess.run(
            ["gcc", "-x", "c", "-o", tool, "-"], text=True, check=True,
            input="#include <stdio.h>\n#include <unistd.h>\nint main(int n, char **v) {\n"
            f'FILE *f = fopen("{log}", "a"); fputs("{name}", f); for (int i = 1; i < n; i++) fprintf(f, " %s", v[i]);\n'
            f'fputc(10, f); fclose(f); v[0] = "{tool}.real"; return execv(v[0], v); }}\n',
        )  # fmt: skip
    make.tree.make("modules_prepare")
    assert make.run(M).returncode == 0
    log.write_text("")
    make.tree.make(M)
    plain = log.read_text()
    log.write_text("")

    make.run(M)

    assert log.read_text() == plain


def test_a_confirmed_build_loads_only_what_it_needs(confirmed: Wrapped) -> None:
    """Starting Python and reading a tree is all it costs: no click, no report, no refresh."""
    command = confirmed.command(M)
    done = subprocess.run(
        [command[0], "-X", "importtime", *command[1:]], cwd=confirmed.tree.srctree,
        env=confirmed.environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    loaded = {
        line.rpartition("|")[2].strip()
        for line in done.stderr.splitlines()
        if line.startswith("import time:")
    }
    assert "kdeps.staleness.confirmed" in loaded
    unwanted = {
        "click",
        "inspect",
        "dataclasses",
        "hashlib",
        "json",
        "kdeps.staleness.exact",
        "kdeps.report.verdict_text",
    }
    assert not loaded & {*unwanted, "kdeps.refresh.make_run", "kdeps.system.lock", "networkx"}


def test_j_and_a_terminal_do_not_make_it_ask_again(confirmed: Wrapped) -> None:
    """How many jobs, and where somebody sits, is in no command."""
    confirmed.run(M, "-j3", "-s", env={"TERM": "vt100", "COLUMNS": "77", "SSH_TTY": "/dev/pts/9", "V": ""})
    asked = [line for line in confirmed.makes() if "modules_prepare" in line]
    assert len(asked) == 1, "V= in the environment may reach a command"
    confirmed.run(M, "-j3", "-s", env={"TERM": "vt100", "COLUMNS": "77", "SSH_TTY": "/dev/pts/9"})
    assert not [line for line in confirmed.makes() if "modules_prepare" in line]


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.append("rust/Makefile", "\n# a comment\n"),
        lambda t: t.append("scripts/Kbuild.include", "\n# a comment\n"),
        lambda t: t.append("Makefile", "\n# a comment\n"),
        lambda t: t.append("rust/bindgen_parameters", "\n# a comment\n"),
        lambda t: t.touch(t.toolchain / "bin/nm"),
    ],
    ids=["rust/Makefile", "Kbuild.include", "Makefile", "bindgen_parameters", "nm"],
)
def test_what_could_change_a_command_makes_it_ask(
    confirmed: Wrapped, change: Callable[[Miniature], Path]
) -> None:
    """A Makefile, a file that is read into a command, a tool: Kbuild is asked (or refreshed) once more."""
    change(confirmed.tree)
    confirmed.run(M)
    assert [line for line in confirmed.makes() if "modules_prepare" in line]
    time.sleep(0.06)
    confirmed.run(M)
    confirmed.makes()
    confirmed.run(M)
    assert not [line for line in confirmed.makes() if "modules_prepare" in line]


def test_a_flag_added_to_a_crate_in_its_makefile_is_noticed(confirmed: Wrapped) -> None:
    """No record tells of it; Kbuild does, and the crate is built with it."""
    confirmed.tree.append("rust/Makefile", "\n$(obj)/kernel.o: private rustc_target_flags += -Zlate\n")
    done = confirmed.run(M)
    assert done.returncode == 0
    assert "would be built by another command now: with `-Zlate`" in done.stderr
    assert "-Zlate" in (confirmed.tree.objtree / "rust/.kernel.o.cmd").read_text()
    confirmed.assert_fresh()


READERS = {
    "-include $(srctree)/local.mk": ("local.mk", "KBUILD_RUSTFLAGS += -Zlate\n"),
    "KBUILD_RUSTFLAGS += $(shell cat $(srctree)/flags.txt 2>/dev/null)": ("flags.txt", "-Zlate\n"),
    "KBUILD_RUSTFLAGS += $(if $(wildcard $(srctree)/use-late),-Zlate)": ("use-late", ""),
}


@pytest.mark.parametrize("line", READERS)
def test_a_file_that_the_main_makefile_looks_for_is_noticed(line: str, make: Wrapped) -> None:
    """As Debian and vendors have it: what decides of commands need not be called like a Makefile."""
    makefile = make.tree.srctree / "Makefile"
    export = "export KBUILD_CPPFLAGS "
    makefile.write_text(makefile.read_text().replace(export, f"{line}\n{export}", 1))
    make.run(M)
    make.assert_fresh()
    name, text = READERS[line]
    make.tree.edit(make.tree.srctree / name, text)
    done = make.run(M)
    assert "would be built by another command now: with `-Zlate`" in done.stderr
    make.assert_fresh()


def test_crates_rebuilt_behind_our_back_are_noticed(confirmed: Wrapped) -> None:
    """A plain make with other flags leaves records that nobody has confirmed.

    What was built before is put back, if the process that remembers it in the background was done before that make.
    """
    confirmed.tree.make("modules_prepare", "KRUSTFLAGS=-Cdebuginfo=1")
    done = confirmed.run(M)
    assert "without `-Cdebuginfo=1`" in done.stderr or "put back" in done.stderr
    confirmed.assert_fresh()


def test_new_flags_are_told_before_the_core_is_rebuilt(confirmed: Wrapped) -> None:
    """With the number of crates; and the next build with them says nothing."""
    done = confirmed.run(M, "KRUSTFLAGS=-Cdebuginfo=1")
    assert "KRUSTFLAGS=-Cdebuginfo=1 is new to 9 of the kernel's crates" in done.stderr
    assert done.stderr.index("is new to") < done.stderr.index("refreshed in")
    assert "kdeps" not in confirmed.run(M, "KRUSTFLAGS=-Cdebuginfo=1").stderr


def test_lint_variables_stay_with_the_module(confirmed: Wrapped) -> None:
    """``CLIPPY=1`` and ``W=1`` ask to lint the module, not to compile the core in another way."""
    confirmed.add_code()
    confirmed.run(M, "W=1", "CLIPPY=1")
    [refresh] = [line for line in confirmed.makes() if line.endswith("modules_prepare") and "O=" in line]
    assert "CLIPPY" not in refresh
    assert "W=1" not in refresh


# -- make runs as asked --------------------------------------------------------

DUMP = """#!{python} -I
import os, signal, sys
out = open(os.environ["DUMP"], "a")
print(sys.argv[1:], file=out)
print(sorted(os.environ.items()), file=out)
print([signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGHUP)], file=out)
print([line for line in open("/proc/self/status") if line.startswith(("SigIgn", "SigBlk"))], file=out)
print(sorted(n for n in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + n)
             and not os.readlink("/proc/self/fd/" + n).startswith(("/proc", os.environ["DUMP"]))), file=out)
sys.exit(37)
"""


def test_make_gets_what_it_would_have_got(make: Wrapped, tmp_path: Path) -> None:
    """Arguments, environment, ignored signals, open descriptors and the exit status are the same."""
    fake = make.bin / "make"
    fake.write_text(DUMP.format(python=sys.executable))
    seen = []
    reader, writer = os.pipe()
    try:
        for command in (("make",), KDEPS):
            dump = tmp_path / "dump"
            dump.unlink(missing_ok=True)
            environ = {**make.environment(), "DUMP": str(dump), "LANG": "C", "ODD": "a\nb\udcff"}
            environ.pop("LC_ALL", None)
            done = subprocess.run(
                [*command, "all", "A=b c", "-k", "it's", "--trace"],
                env=environ, cwd=make.tree.root, check=False, pass_fds=(reader,), stdin=subprocess.DEVNULL,
            )  # fmt: skip
            assert done.returncode == 37
            text = dump.read_text(errors="surrogateescape")
            # What the recording Python itself adds (PEP 538) is the same both times.
            seen.append(text)
    finally:
        os.close(reader)
        os.close(writer)
    assert seen[0] == seen[1]


@pytest.mark.parametrize("words", [("help",), ("-q", M), (M, "clean"), ("--version",)])
def test_what_builds_no_module_is_not_judged(make: Wrapped, words: tuple[str, ...]) -> None:
    """Nothing is refreshed, nothing is said, however stale the tree is."""
    make.add_code()
    kernel = make.tree.objtree / "rust/kernel.o"
    before = kernel.stat().st_mtime_ns
    done = make.run(*words)
    assert "kdeps" not in done.stderr
    assert kernel.stat().st_mtime_ns == before
    assert len([line for line in make.makes() if "modules_prepare" in line]) == 0


def test_without_a_tree_make_says_what_it_has_to_say(make: Wrapped, tmp_path: Path) -> None:
    """There is nothing to judge, and make's own message and status come through."""
    done = make.run("M=x", cwd=tmp_path)
    assert done.returncode == 2
    assert "***" in done.stderr


def test_a_failing_module_build_is_makes_own_failure(confirmed: Wrapped) -> None:
    """Status, output and message are the same as with plain make."""
    confirmed.tree.append(MODULE + "/gpu.rs", "{\n")
    done = confirmed.run(M)
    plain = confirmed.tree.make(M, check=False)
    assert (done.stdout, done.stderr, done.returncode) == (plain.stdout, plain.stderr, plain.returncode)
    assert done.returncode == 2


def test_a_failing_refresh_ends_with_its_status_and_no_module(confirmed: Wrapped) -> None:
    """The compiler's message comes through, and the module is not built on the old crate."""
    confirmed.tree.append("rust/kernel/io.rs", "{\n")
    done = confirmed.run(M)
    assert done.returncode == 2
    assert "this file contains an unclosed delimiter" in done.stderr
    assert done.stderr.endswith("kdeps: the refresh failed, so the module was not built; see above\n")
    assert not [line for line in confirmed.makes() if line.endswith(M)]
    text = confirmed.tree.path("rust/kernel/io.rs").read_text()
    confirmed.tree.edit("rust/kernel/io.rs", text.removesuffix("{\n"))
    assert confirmed.run(M).returncode == 0
    confirmed.assert_fresh()


@pytest.mark.parametrize("error", [RuntimeError("broken\x1b"), MemoryError(), RecursionError()])
def test_a_bug_in_kdeps_is_a_warning_and_make_runs(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Except where the user asked to fail."""

    def fail(*_: object) -> None:
        raise error

    became: list[tuple[str, ...]] = []
    monkeypatch.setattr(wrapper, "_make_sure", fail)
    monkeypatch.setattr(wrapper, "finish_with_make", lambda words, _environ: became.append(words))
    wrapper.run_make(("M=x",))
    assert became == [("M=x",)]
    said = capsys.readouterr().err
    assert said.startswith(f"kdeps: warning: a bug in kdeps, not in your tree: {type(error).__name__}")
    assert "\x1b" not in said
    assert wrapper.run_make(("M=x",), on_stale=OnStale.FAIL) == Exit.STALE
    assert became == [("M=x",)]


def test_a_makefile_that_hides_the_tools_is_believed(make: Wrapped) -> None:
    """An assignment that make does not take is none: make is asked, so the refresh has the right tools."""
    tree = make.tree
    (tree.external / "Kbuild").unlink()
    (tree.external / "Makefile").write_text(
        f"ifneq ($(KERNELRELEASE),)\nobj-m := hello.o\nelse\nKDIR := {tree.objtree}\n"
        "ifdef NEVER\nexport LLVM := 1\nendif\nall: ; $(MAKE) -C $(KDIR) M=$(CURDIR)\nendif\n"
    )
    make.add_code()
    done = make.call(cwd=tree.external)
    assert done.returncode == 0, done.stderr
    assert "kdeps: refreshed" in done.stderr
    assert (tree.external / "hello.ko").exists()


def test_in_a_modules_own_folder_its_makefile_says_which_kernel(tree: Miniature, tmp_path: Path) -> None:
    """Plain ``kdeps make`` there judges the module; make then runs the module's own Makefile."""
    make = Wrapped(tree, tmp_path)
    for kernel, words in ((f"KDIR := {tree.objtree}", ()), ("KDIR ?= /nowhere", (f"KDIR={tree.objtree}",))):
        makefile = tree.external / "Makefile"
        makefile.write_text(f"{kernel}\ndefault:\n\t$(MAKE) -C $(KDIR) M=$(CURDIR)\n")
        tree.append("rust/kernel/time.rs", f"pub fn {NEW}{len(words)}() {{}}\n")
        done = make.call(*words, cwd=tree.external)
        assert done.returncode == 0, done.stderr
        assert "kdeps: refreshed" in done.stderr
        assert f"{NEW}{len(words)}" in (tree.external / "hello.ko").read_text()


def test_a_kernel_that_only_make_can_tell_is_asked_of_make(tree: Miniature, tmp_path: Path) -> None:
    """A Makefile that computes its kernel was built unchecked and silently; ``check`` judged another kernel."""
    make = Wrapped(tree, tmp_path)
    (tree.external / "Makefile").write_text(
        f"KDIR = $(shell echo {tree.objtree})\ndefault:\n\t$(MAKE) -C $(KDIR) M=$(CURDIR)\n"
    )
    make.add_code()
    done = make.call(cwd=tree.external)
    assert done.returncode == 0
    assert "kdeps: refreshed" in done.stderr
    assert NEW in (tree.external / "hello.ko").read_text()
