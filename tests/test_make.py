# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps make`` on real make: never a stale crate, and otherwise nothing but make."""

from __future__ import annotations

import errno
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import kdeps.cli.make as wrapper
from kdeps.cli.start import Exit
from kdeps.demo.miniature import MODULE, Miniature, has_deletion_sense

CHECKOUT = Path(__file__).parent.parent
M = f"M={MODULE}"
NEW = "new_code_of_the_test"
ROOT = os.geteuid() == 0
KDEPS = (sys.executable, "-m", "kdeps", "make")


class Wrapped:
    """``kdeps make`` in one miniature, with a cache of its own and a log of every make started."""

    def __init__(self, tree: Miniature, tmp_path: Path) -> None:
        self.tree = tree
        self.log = tmp_path / "makes"
        self.bin = tmp_path / "bin"
        self.bin.mkdir()
        make = self.bin / "make"
        make.write_text(f'#!/bin/sh\necho "$PPID make $*" >> {self.log}\nexec {shutil.which("make")} "$@"\n')
        make.chmod(0o755)
        self.cache = tmp_path / "cache"

    def environment(self, env: dict[str, str] | None = None) -> dict[str, str]:
        found = self.tree.environment(
            {"PYTHONPATH": str(CHECKOUT), "XDG_CACHE_HOME": str(self.cache), **(env or {})}
        )
        found.pop("PYTEST_CURRENT_TEST", None)  # another value in every phase of a test
        return {**found, "PATH": f"{self.bin}:{found['PATH']}"}

    def command(self, *words: str) -> list[str]:
        options = [word for word in words if word.startswith("--on-stale")]
        rest = [word for word in words if word not in options]
        return [*KDEPS, *options, *self.tree.tree_args, *rest]

    def run(
        self, *words: str, env: dict[str, str] | None = None, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words), cwd=cwd or self.tree.srctree, env=self.environment(env),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    def start(self, *words: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*words), cwd=self.tree.srctree, env=self.environment(env), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def makes(self) -> list[str]:
        """The goals and variables of each make that was started, since the last time this was asked."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.write_text("")
        return [line.partition(" make ")[2] for line in lines]

    def module(self) -> str:
        return (self.tree.module / "nova-core.ko").read_text()

    def assert_fresh(self, *words: str) -> None:
        """Kbuild itself has nothing to do, neither in the kernel nor in the module."""
        assert self.tree.kernel_answer("modules_prepare", *words) == []
        assert self.tree.kernel_answer(M, *words) == []


@pytest.fixture
def make(tree: Miniature, tmp_path: Path) -> Wrapped:
    return Wrapped(tree, tmp_path)


@pytest.fixture
def confirmed(make: Wrapped) -> Wrapped:
    """A fresh tree whose commands Kbuild has confirmed."""
    assert make.run(M).returncode == 0
    make.makes()
    return make


def slow_rustc(tree: Miniature) -> None:
    """Let rustc take its time over the crate ``kernel`` when told to."""
    tree.replace(
        tree.toolchain / "bin/rustc",
        "\nclass Options:",
        '\nif os.environ.get("SLOW") and "kernel" in sys.argv:\n    import time\n    time.sleep(float(os.environ["SLOW"]))\n\n\nclass Options:',
    )


# -- however make is called -----------------------------------------------------


@pytest.mark.parametrize("call", ["-f", "KBUILD_OUTPUT="])
def test_the_kernel_is_found_as_make_finds_it(call: str, make: Wrapped) -> None:
    """``make -f KERNEL/Makefile`` in the module's folder (6.13), ``KBUILD_OUTPUT=`` on the command line."""
    tree = make.tree
    words = ["-f", f"{tree.objtree}/Makefile", f"M={tree.external}"]
    if call != "-f":
        words = ["-C", str(tree.srctree), f"KBUILD_OUTPUT={tree.objtree}", f"M={tree.external}"]
    tree.append("rust/kernel/time.rs", f"pub fn {NEW}() {{}}\n")
    done = subprocess.run(
        [*KDEPS, *words], cwd=tree.external, env=make.environment(), capture_output=True, text=True,
        check=False, timeout=120,
    )  # fmt: skip
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
    assert "kdeps.repair.memory" in loaded
    unwanted = {"click", "inspect", "dataclasses", "hashlib", "json", "kdeps.exact", "kdeps.report.text"}
    assert not loaded & {*unwanted, "kdeps.repair.refresh", "kdeps.repair.lock", "networkx"}


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


def test_crates_rebuilt_behind_our_back_are_noticed(confirmed: Wrapped) -> None:
    """A plain make with other flags leaves records that nobody has confirmed."""
    confirmed.tree.make("modules_prepare", "KRUSTFLAGS=-Cdebuginfo=1")
    done = confirmed.run(M)
    assert "without `-Cdebuginfo=1`" in done.stderr
    confirmed.assert_fresh()


def test_new_flags_are_told_before_the_core_is_rebuilt(confirmed: Wrapped) -> None:
    """With the number of crates; and the next build with them says nothing."""
    done = confirmed.run(M, "KRUSTFLAGS=-Cdebuginfo=1")
    assert "KRUSTFLAGS=-Cdebuginfo=1 is new to 9 of the kernel's crates" in done.stderr
    assert done.stderr.index("is new to") < done.stderr.index("refreshed in")
    assert "kdeps" not in confirmed.run(M, "KRUSTFLAGS=-Cdebuginfo=1").stderr


def test_lint_variables_stay_with_the_module(confirmed: Wrapped) -> None:
    """``CLIPPY=1`` and ``W=1`` ask to lint the module, not to compile the core in another way."""
    confirmed.tree.append("rust/kernel/io.rs", f"pub fn {NEW}() {{}}\n")
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


@pytest.mark.parametrize(
    "words", [("help",), ("-n", M), (M, "clean"), (M, "modules_install"), ("--version",)]
)
def test_what_builds_no_module_is_not_judged(make: Wrapped, words: tuple[str, ...]) -> None:
    """Nothing is refreshed, nothing is said, however stale the tree is."""
    make.tree.append("rust/kernel/io.rs", f"pub fn {NEW}() {{}}\n")
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
    assert "kdeps" not in done.stderr
    assert "***" in done.stderr


def test_a_kernel_that_is_not_plain_is_said_to_be_unchecked(make: Wrapped) -> None:
    """A GNUmakefile in front of the kernel's names the object tree: make builds, and nobody shall think it was judged."""
    makefile = make.tree.srctree / "GNUmakefile"
    makefile.write_text(f"export KBUILD_OUTPUT := {make.tree.objtree}\ninclude Makefile\n")
    for option, status in ((), 0), (("--on-stale=fail",), 1):
        done = subprocess.run(
            [*KDEPS, *option, M], cwd=make.tree.srctree, env=make.environment(), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == status
        assert done.stderr.startswith("kdeps: warning: not checked, ")


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
    monkeypatch.setattr(wrapper, "become_make", lambda words, _environ: became.append(words))
    wrapper.run_make(("M=x",))
    assert became == [("M=x",)]
    said = capsys.readouterr().err
    assert said.startswith(f"kdeps: warning: a bug in kdeps, not in your tree: {type(error).__name__}")
    assert "\x1b" not in said
    assert wrapper.run_make(("M=x",), on_stale=wrapper.OnStale.FAIL) == Exit.STALE
    assert became == [("M=x",)]


def test_no_cache_directory_costs_time_and_nothing_else(make: Wrapped) -> None:
    """Neither the lock nor the memory can be had; the build is right all the same."""
    make.tree.append("rust/kernel/io.rs", f"pub fn {NEW}() {{}}\n")
    done = make.run(M, env={"XDG_CACHE_HOME": "/proc/nowhere"})
    assert done.returncode == 0
    make.assert_fresh()
    assert NEW in make.module()


# -- stale -----------------------------------------------------------------------


def _config(tree: Miniature) -> None:
    tree.set_config(
        RUST_OVERFLOW_CHECKS="y"
        if "OVERFLOW_CHECKS is not" in (tree.objtree / ".config").read_text()
        else "n"
    )


def _remove(name: str) -> Callable[[Miniature], None]:
    return lambda tree: (tree.objtree / name).unlink()


def _empty(name: str) -> Callable[[Miniature], None]:
    return lambda tree: os.truncate(tree.objtree / name, 0)


def _cut(name: str) -> Callable[[Miniature], None]:
    """Cut a record off between two lines of its list: make forgets every dependency without a word."""

    def cut(tree: Miniature) -> None:
        path = tree.objtree / name
        lines = path.read_text().split("\n")
        at = next(i for i, line in enumerate(lines) if line.startswith("deps_"))
        path.write_text("\n".join(lines[: at + 3]) + "\n")

    return cut


def _append(name: str, text: str = "\n// edited\n") -> Callable[[Miniature], None]:
    return lambda tree: (tree.append(name, text), None)[1]


EDITS: dict[str, Callable[[Miniature], None]] = {
    "a source of kernel": _append("rust/kernel/io.rs"),
    "a macro": _append("rust/macros/lib.rs"),
    "pin-init": _append("rust/pin-init/src/lib.rs"),
    "a host library": _append("rust/syn/lib.rs"),
    "a C header": _append("include/linux/device.h"),
    "a helper": _append("rust/helpers/pci.c") ,
    "bindings_helper.h": _append("rust/bindings/bindings_helper.h"),
    "the configuration": _config,
    "a new rustc": lambda tree: tree.set_version("rustc", "1.98.0"),
    "a new bindgen": lambda tree: tree.set_version("bindgen", "0.73.0"),
    "no libkernel.rmeta": _remove("rust/libkernel.rmeta"),
    "an empty libkernel.rmeta": _empty("rust/libkernel.rmeta"),
    "no libbindings.rmeta": _remove("rust/libbindings.rmeta"),
    "no libcore.rmeta": _remove("rust/libcore.rmeta"),
    "no kernel.o": _remove("rust/kernel.o"),
    "no record of kernel.o": _remove("rust/.kernel.o.cmd"),
    "an empty record": _empty("rust/.kernel.o.cmd"),
    "a record cut off": _cut("rust/.kernel.o.cmd"),
    "no generated bindings": _remove("rust/bindings/bindings_generated.rs"),
    "no modpost": _remove("scripts/mod/modpost"),
    "no module.lds": _remove("scripts/module.lds"),
    "no rustc_cfg": _remove("include/generated/rustc_cfg"),
    "target.json touched": lambda tree: (tree.touch(tree.objtree / "scripts/target.json"), None)[1],
}  # fmt: skip


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_after_any_edit_nothing_is_stale_and_nothing_fresh_was_made(
    make: Wrapped, edit: Callable[[Miniature], None]
) -> None:
    """Afterwards Kbuild has nothing to do, the next run says nothing, and no more was made than Kbuild makes."""
    twin = make.tree.copy_to(make.tree.root.parent / "twin")
    edit(make.tree)
    done = make.run(M)
    assert done.returncode == 0, done.stderr
    make.assert_fresh()
    assert "kdeps: refreshed in" in done.stderr
    again = make.run(M)
    assert "kdeps" not in again.stderr
    assert " [M] " not in again.stdout
    # Kbuild alone, on a twin with the same edit: what it makes, and what we had to take away for it.
    edit(twin)
    made = set(re.findall(r"^  (?:RUSTC|BINDGEN|CC|EXPORTS)[ A-Z]* (rust/\S+)$", done.stdout, re.M))
    plain = twin.make("modules_prepare", check=False)
    alone = set(re.findall(r"^  (?:RUSTC|BINDGEN|CC|EXPORTS)[ A-Z]* (rust/\S+)$", plain.stdout, re.M))
    if plain.returncode == 0 and alone:
        assert made == alone


def test_the_module_contains_the_new_code(make: Wrapped) -> None:
    """An edit of the core is in the module after one command."""
    make.tree.append("rust/kernel/io.rs", f"pub fn {NEW}() {{}}\n")
    make.tree.make(M)
    assert NEW not in make.module(), "plain make M= has no hole any more"
    done = make.run(M)
    assert NEW in make.module()
    assert "kdeps: stale: crate `kernel` is older than rust/kernel/io.rs" in done.stderr


def test_after_a_refresh_the_older_vmlinux_is_named(make: Wrapped) -> None:
    """The module is for crates that the kernel which was linked does not have: said once, and no error."""
    for name in ("vmlinux.o", "vmlinux", "Module.symvers"):
        make.tree.edit(make.tree.objtree / name, "\n")
    assert "note" not in make.run(M).stderr
    make.tree.touch("rust/kernel/io.rs")

    done = make.run(M)
    again = make.run(M)

    assert (done.returncode, again.returncode) == (0, 0)
    assert "kdeps: note: " in done.stderr
    assert "vmlinux was linked before rust/kernel.o" in done.stderr
    assert again.stderr == ""


def test_a_file_dated_in_the_future_keeps_nobody_from_building(make: Wrapped) -> None:
    """A skewed clock (a virtual machine, NFS): make rebuilds for ever, and the module is built all the same."""
    path = make.tree.touch("rust/kernel/io.rs")
    ahead = time.time_ns() + 3600 * 10**9
    os.utime(path, ns=(ahead, ahead))

    done = make.run(M)

    assert done.returncode == 0
    assert "in the future" in done.stderr
    assert "RUSTC [M]" in done.stdout


def test_a_generated_source_of_the_module_comes_back(make: Wrapped) -> None:
    """nova-core.mod.c gone: only modpost writes it, so its list goes and ``make M=`` makes both (next, seed 21, case 10)."""
    (make.tree.module / "nova-core.mod.c").unlink()

    done = make.run(M)

    assert done.returncode == 0, done.stderr
    assert (make.tree.module / "nova-core.mod.c").exists()
    make.assert_fresh()


@pytest.mark.parametrize("name", ["rust/libffi.rmeta", "rust/ffi.o"])
def test_an_output_that_is_a_link_to_nowhere_is_replaced(make: Wrapped, name: str) -> None:
    """The link has to go first, or the compiler writes to nowhere (lts, seed 21, case 13; out, seed 31, case 10)."""
    path = make.tree.objtree / name
    path.unlink()
    path.symlink_to("/nowhere/at/all")

    done = make.run(M)

    assert done.returncode == 0, done.stderr
    assert not path.is_symlink()
    make.assert_fresh()


def test_a_deleted_source_is_missed(make: Wrapped) -> None:
    """Where this make would not notice, the target goes first."""
    tree = make.tree
    tree.edit("rust/kernel/late.rs", f"pub fn {NEW}() {{}}\n")
    tree.append("rust/kernel/lib.rs", "pub mod late;\n")
    assert make.run(M).returncode == 0
    assert NEW in make.module()
    tree.replace("rust/kernel/lib.rs", "pub mod late;\n", "")
    os.utime(tree.path("rust/kernel/lib.rs"), ns=(1, 1))
    tree.path("rust/kernel/late.rs").unlink()
    assert make.run(M).returncode == 0
    assert NEW not in make.module()
    if has_deletion_sense():
        make.assert_fresh()


def test_the_users_own_options_are_kept_and_the_modules_are_not(make: Wrapped) -> None:
    """``O= LLVM= V=`` go to the refresh; ``M=`` and its goals do not."""
    make.tree.append("rust/kernel/io.rs", "// x\n")
    make.run(M, "-j2", "KBUILD_MODPOST_WARN=1", "modules")
    assert f"O={make.tree.objtree} -j2 modules_prepare" in make.makes()


def test_warn_says_it_and_leaves_the_tree_alone(make: Wrapped) -> None:
    """make runs; the crate is as old as before."""
    make.tree.append("rust/kernel/io.rs", f"pub fn {NEW}() {{}}\n")
    kernel = make.tree.objtree / "rust/kernel.o"
    before = kernel.stat().st_mtime_ns
    done = make.run("--on-stale=warn", M)
    assert done.returncode == 0
    assert "kdeps: warning: stale: crate `kernel` is older" in done.stderr
    assert f"to do so: make O={make.tree.objtree} modules_prepare" in done.stderr
    assert kernel.stat().st_mtime_ns == before
    assert make.makes()[-1]


@pytest.mark.parametrize("how", ["option", "variable"])
def test_fail_runs_no_make(make: Wrapped, how: str) -> None:
    """Exit 1, one line that says it was kdeps, and how to go on."""
    make.tree.append("rust/kernel/io.rs", f"pub fn {NEW}() {{}}\n")
    words = ("--on-stale=fail", M) if how == "option" else (M,)
    done = make.run(*words, env={} if how == "option" else {"KDEPS_ON_STALE": "fail"})
    assert done.returncode == Exit.STALE
    assert "kdeps: error: the build is stale (--on-stale=fail), so make was not run" in done.stderr
    assert make.makes() == []


def test_the_option_wins_over_the_variable(make: Wrapped) -> None:
    """What stands on the command line is meant."""
    make.tree.append("rust/kernel/io.rs", f"pub fn {NEW}() {{}}\n")
    assert make.run("--on-stale=rebuild", M, env={"KDEPS_ON_STALE": "fail"}).returncode == 0
    assert NEW in make.module()


def test_a_bad_choice_is_refused(make: Wrapped) -> None:
    """Exit 2 for arguments that are wrong for kdeps itself."""
    assert make.run("--on-stale=rebiuld", M).returncode == Exit.ERROR
    done = make.run(M, env={"KDEPS_ON_STALE": "rebiuld"})
    assert done.returncode == Exit.ERROR
    assert "KDEPS_ON_STALE=rebiuld: must be one of rebuild, warn, fail" in done.stderr
    assert make.makes() == []


def test_a_makefile_that_hides_the_tools_is_believed(make: Wrapped) -> None:
    """What it tells the kernel's make is not known for sure, so nothing is refreshed, and nobody kept from building."""
    tree = make.tree
    (tree.external / "Kbuild").unlink()
    (tree.external / "Makefile").write_text(
        f"ifneq ($(KERNELRELEASE),)\nobj-m := hello.o\nelse\nKDIR := {tree.objtree}\n"
        "ifdef NEVER\nexport LLVM := 1\nendif\nall: ; $(MAKE) -C $(KDIR) M=$(CURDIR)\nendif\n"
    )
    tree.append("rust/kernel/time.rs", f"pub fn {NEW}() {{}}\n")
    done = subprocess.run(
        KDEPS,
        cwd=tree.external,
        env=make.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "kdeps: warning: not refreshed: the Makefile here may choose other tools" in done.stderr
    assert (tree.external / "hello.ko").exists()


@pytest.mark.parametrize("policy", ["warn", "fail"])
def test_no_refresh_with_other_tools_is_advised(policy: str, make: Wrapped) -> None:
    """Pasted, it would configure the whole kernel anew for a forgotten (or one too many) ``LLVM=1``."""
    make.tree.touch("rust/kernel/io.rs")
    done = make.run(f"--on-stale={policy}", M, "LLVM=1")
    assert "modules_prepare" not in done.stderr
    assert "kdeps: help: the tree was configured without LLVM=" in done.stderr


def test_an_option_of_kdeps_behind_makes_words_is_pointed_out(make: Wrapped) -> None:
    """make would print its whole usage, and in a stale tree so would the refresh."""
    done = make.run(M, "--with=make")
    assert done.returncode == Exit.ERROR
    assert "--with=make: options of kdeps stand before the make arguments" in done.stderr
    assert make.makes() == []


def test_a_forgotten_tool_family_does_not_reconfigure_the_kernel(make: Wrapped) -> None:
    """``LLVM=1`` where the kernel was configured without: a slip to point out, not to carry out."""
    before = (make.tree.objtree / "include/config/auto.conf").read_text()
    done = make.run(M, "LLVM=1")
    assert done.returncode == Exit.STALE
    assert "a refresh cannot help here" in done.stderr
    assert (make.tree.objtree / "include/config/auto.conf").read_text() == before
    assert make.makes() == []


@pytest.mark.skipif(not ROOT, reason="only root can be root")
def test_root_does_not_write_into_somebody_elses_tree(make: Wrapped) -> None:
    """It warns (DKMS, ``sudo make``), unless asked to refresh."""
    make.tree.append("rust/kernel/io.rs", f"pub fn {NEW}() {{}}\n")
    os.chown(make.tree.objtree, 12345, 12345)
    done = make.run(M)
    assert done.returncode == 0
    assert "kdeps: warning: stale" in done.stderr
    assert NEW not in make.module()
    assert make.run("--on-stale=rebuild", M).returncode == 0
    assert NEW in make.module()


@pytest.mark.skipif(not ROOT, reason="mounting needs root")
def test_a_read_only_tree_is_an_error_that_says_so(make: Wrapped) -> None:
    """The refresh cannot write; nothing is built on the old crate."""
    make.tree.append("rust/kernel/io.rs", f"pub fn {NEW}() {{}}\n")
    (make.tree.objtree / "rust/libbindings.rmeta").unlink()
    mount = f"mount --bind {make.tree.objtree} {make.tree.objtree} && mount -o remount,ro,bind {make.tree.objtree}"
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", f'{mount} || exit 99; exec "$@"', "sh", *make.command(M)],
        cwd=make.tree.srctree, env=make.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode == 99:
        pytest.skip("mounting is not possible here")
    assert done.returncode == Exit.STALE
    assert "Read-only file system" in done.stderr
    assert "cannot be refreshed, so make was not run" in done.stderr


FULL = """
mkdir "$1.disk" && mount -t tmpfs -o size=8m disk "$1.disk" && cp -a "$1/." "$1.disk" && mount --bind "$1.disk" "$1" || exit 99
dd if=/dev/zero of="$1/filler" bs=64k 2>/dev/null
disk=$1; shift
"$@" >&2; echo "full: $?"
rm "$disk/filler"
"$@" >&2; echo "room: $?"
cat drivers/gpu/nova-core/nova-core.ko
"$@" 2>&1 | grep -c kdeps
"""


@pytest.mark.skipif(not ROOT, reason="mounting needs root")
def test_a_full_disk_fails_and_is_repaired_once_there_is_room(make: Wrapped) -> None:
    """make says why; nothing half-written is taken for fresh afterwards."""
    make.tree.append("rust/kernel/io.rs", f"pub fn {NEW}() {{}}\n")
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", FULL, "sh", str(make.tree.objtree / "rust"), *make.command(M)],
        cwd=make.tree.srctree, env=make.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode == 99:
        pytest.skip("mounting is not possible here")
    assert "full: 2\n" in done.stdout, done.stderr
    assert "No space left on device" in done.stderr
    assert "room: 0\n" in done.stdout, done.stderr
    assert NEW in done.stdout
    assert done.stdout.endswith("\n0\n")


def test_in_a_modules_own_folder_its_makefile_says_which_kernel(tree: Miniature, tmp_path: Path) -> None:
    """Plain ``kdeps make`` there judges the module; make then runs the module's own Makefile."""
    make = Wrapped(tree, tmp_path)
    command = [*KDEPS]
    for kernel, words in ((f"KDIR := {tree.objtree}", ()), ("KDIR ?= /nowhere", (f"KDIR={tree.objtree}",))):
        makefile = tree.external / "Makefile"
        makefile.write_text(f"{kernel}\ndefault:\n\t$(MAKE) -C $(KDIR) M=$(CURDIR)\n")
        tree.append("rust/kernel/time.rs", f"pub fn {NEW}{len(words)}() {{}}\n")
        done = subprocess.run(
            [*command, *words],
            cwd=tree.external,
            env=make.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "kdeps: refreshed" in done.stderr
        assert f"{NEW}{len(words)}" in (tree.external / "hello.ko").read_text()


def test_a_kernel_that_only_make_can_tell_is_left_to_make(tree: Miniature, tmp_path: Path) -> None:
    """A Makefile that computes its kernel is run as it is: kdeps does not guess."""
    make = Wrapped(tree, tmp_path)
    (tree.external / "Makefile").write_text(
        f"KDIR = $(shell echo {tree.objtree})\ndefault:\n\t$(MAKE) -C $(KDIR) M=$(CURDIR)\n"
    )
    tree.append("rust/kernel/time.rs", f"pub fn {NEW}() {{}}\n")
    done = subprocess.run(
        [*KDEPS], cwd=tree.external, env=make.environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "kdeps" not in done.stderr


# -- accidents -------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["start", "dep-info", "metadata", "obj"])
def test_a_compile_that_was_killed_is_repaired_by_the_next_run(make: Wrapped, stage: str) -> None:
    """Whatever it left behind is not taken for fresh."""
    make.tree.append("rust/kernel/io.rs", f"pub fn {NEW}() {{}}\n")
    broken = make.run(M, env={"MINIATURE_STOP_AFTER": f"kernel:{stage}"})
    done = make.run(M)
    assert done.returncode == 0, (broken.stderr, done.stderr)
    assert NEW in make.module()
    make.assert_fresh()


def _wait_for(condition: Callable[[], bool], what: str) -> None:
    limit = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < limit, what
        time.sleep(0.02)


def _compiling(make: Wrapped) -> Callable[[], bool]:
    def found() -> bool:
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                    if b"kernel" in words and str(make.tree.toolchain).encode() in b" ".join(words):
                        return True
                except OSError:
                    continue
        return False

    return found


def test_kdeps_killed_leaves_no_lock_and_no_stale_crate(make: Wrapped) -> None:
    """make goes on alone; the next kdeps waits for it, then finds the work done."""
    slow_rustc(make.tree)
    make.run(M)
    make.tree.append("rust/kernel/io.rs", f"pub fn {NEW}() {{}}\n")
    first = make.start(M, env={"SLOW": "2"})
    _wait_for(_compiling(make), "rustc was never started")
    first.kill()
    done = make.run(M)
    assert done.returncode == 0, done.stderr
    assert "waiting for another kdeps" in done.stderr
    assert NEW in make.module()
    make.assert_fresh()
    assert first.stdout is not None
    assert first.stderr is not None
    first.stdout.close()
    first.stderr.close()
    first.wait()


def test_everything_killed_at_once_is_repaired_by_the_next_run(make: Wrapped) -> None:
    """``kill -9`` of kdeps, make and rustc: no lock stays, no half-written file is taken for fresh."""
    slow_rustc(make.tree)
    make.run(M)
    make.tree.append("rust/kernel/io.rs", f"pub fn {NEW}() {{}}\n")
    first = make.start(M, env={"SLOW": "20"})
    _wait_for(_compiling(make), "rustc was never started")
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    started = time.monotonic()
    done = make.run(M)
    assert time.monotonic() - started < 15
    assert done.returncode == 0
    assert NEW in make.module()
    make.assert_fresh()


def test_make_killed_ends_kdeps_the_same_way(make: Wrapped) -> None:
    """``kill -9`` of the refresh's make alone: the module is not built, and the next run repairs what is left."""
    slow_rustc(make.tree)
    make.run(M)
    before = make.module()
    make.tree.append("rust/kernel/io.rs", f"pub fn {NEW}() {{}}\n")
    first = make.start(M, env={"SLOW": "2"})
    _wait_for(_compiling(make), "rustc was never started")
    (child,) = Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text().split()
    os.kill(int(child), signal.SIGKILL)
    first.communicate()
    assert first.returncode == -signal.SIGKILL
    assert make.module() == before

    done = make.run(M)

    assert done.returncode == 0, done.stderr
    assert NEW in make.module()
    make.assert_fresh()


def test_two_at_once_refresh_once(make: Wrapped) -> None:
    """The second waits for the first and finds nothing left to do."""
    slow_rustc(make.tree)
    make.run(M)
    make.tree.append("rust/kernel/io.rs", f"pub fn {NEW}() {{}}\n")
    first = make.start(M, env={"SLOW": "1.5"})
    _wait_for(_compiling(make), "rustc was never started")
    second = (
        make.start("M=samples/rust")
        if (make.tree.srctree / "samples/rust/Makefile").exists()
        else make.start(M)
    )
    told = second.communicate(timeout=60)
    output = first.communicate(timeout=60)[0]
    assert (first.returncode, second.returncode) == (0, 0), told
    assert output.count("RUSTC L rust/kernel.o") == 1
    assert "RUSTC L rust/kernel.o" not in told[0]
    assert f"waiting for another kdeps (pid {first.pid})" in told[1]
    make.assert_fresh()


def test_a_term_signal_reaches_the_refresh(make: Wrapped) -> None:
    """kdeps ends by the same signal; a compiler that outlives make is waited for."""
    slow_rustc(make.tree)
    make.run(M)
    make.tree.append("rust/kernel/io.rs", f"pub fn {NEW}() {{}}\n")
    first = make.start(M, env={"SLOW": "4"})
    _wait_for(_compiling(make), "rustc was never started")
    os.kill(first.pid, signal.SIGTERM)
    assert first.wait(timeout=20) == -signal.SIGTERM
    assert make.run(M).returncode == 0
    first.communicate(timeout=20)
    assert NEW in make.module()
    make.assert_fresh()


# -- on a terminal ---------------------------------------------------------------


class Terminal:
    """A program on a pseudo terminal, as the shell's foreground job."""

    def __init__(self, command: Sequence[str], *, cwd: Path, env: dict[str, str]) -> None:
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            try:
                os.chdir(cwd)
                os.execvpe(command[0], list(command), env)
            finally:
                os._exit(127)
        self.output = b""

    def read(self, until: bytes | None = None, timeout_s: float = 60) -> bytes:
        """Read until something appears, or to the end."""
        limit = time.monotonic() + timeout_s
        while until is None or until not in self.output:
            assert time.monotonic() < limit, self.output
            ready, _, _ = select.select([self.descriptor], [], [], 0.2)
            if not ready:
                continue
            try:
                data = os.read(self.descriptor, 65536)
            except OSError as error:
                if error.errno == errno.EIO:
                    break
                raise
            if not data:
                break
            self.output += data
        return self.output

    def press(self, keys: bytes) -> None:
        os.write(self.descriptor, keys)

    def end(self) -> int:
        """Wait for the end; the status as ``waitpid`` has it."""
        self.read()
        _, status = os.waitpid(self.pid, 0)
        os.close(self.descriptor)
        return status


@pytest.fixture
def terminal(make: Wrapped) -> Callable[..., Terminal]:
    def open_terminal(*command: str, env: dict[str, str] | None = None) -> Terminal:
        return Terminal(
            command, cwd=make.tree.srctree, env=make.environment({"TERM": "xterm", **(env or {})})
        )

    return open_terminal


def test_on_a_terminal_a_fresh_build_looks_like_make(
    confirmed: Wrapped, terminal: Callable[..., Terminal]
) -> None:
    """Byte for byte, and make itself sees the terminal."""
    ours = terminal(*confirmed.command(M))
    assert ours.end() == 0
    plain = terminal("make", *confirmed.tree.tree_args, M)
    assert plain.end() == 0
    assert ours.output == plain.output


def test_on_a_terminal_a_refresh_shows_how_far_it_is(
    confirmed: Wrapped, terminal: Callable[..., Terminal]
) -> None:
    """One line that is drawn over, and gone in the end."""
    confirmed.tree.append("rust/kernel/io.rs", f"pub fn {NEW}() {{}}\n")
    ours = terminal(*confirmed.command(M))
    assert ours.end() == 0
    text = ours.output.decode()
    assert re.search(r"refreshing 1 of 2: rust/kernel\.o", text)
    assert re.search(r"refreshing 2 of 2: rust/exports_kernel_generated\.h", text)
    assert "RUSTC L rust/kernel.o" not in text
    assert "RUSTC [M] nova_core.o" in text
    confirmed.tree.append("rust/kernel/io.rs", "// again\n")
    again = terminal(*confirmed.command(M))
    assert again.end() == 0
    assert NEW in confirmed.module()


def test_ctrl_c_during_the_refresh_ends_everything(make: Wrapped, terminal: Callable[..., Terminal]) -> None:
    """As with make: by the signal, with the half-made target gone; the next run repairs it."""
    slow_rustc(make.tree)
    make.run(M)
    make.tree.append("rust/kernel/io.rs", f"pub fn {NEW}() {{}}\n")
    ours = terminal(*make.command(M), env={"SLOW": "20"})
    ours.read(until=b"rust/kernel.o")
    _wait_for(_compiling(make), "rustc was never started")
    ours.press(b"\x03")
    status = ours.end()
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGINT
    assert make.run(M).returncode == 0
    assert NEW in make.module()
    make.assert_fresh()


def test_ctrl_c_during_the_module_build_is_makes_own(
    confirmed: Wrapped, terminal: Callable[..., Terminal]
) -> None:
    """Nothing of kdeps is left by then."""
    confirmed.tree.append(
        MODULE + "/Makefile", "\n$(obj)/nova_core.o: $(obj)/slow\n$(obj)/slow:\n\t@echo sleeping; sleep 20\n"
    )
    ours = terminal(*confirmed.command(M))
    ours.read(until=b"sleeping")
    ours.press(b"\x03")
    status = ours.end()
    plain = terminal("make", *confirmed.tree.tree_args, M)
    plain.read(until=b"sleeping")
    plain.press(b"\x03")
    assert status == plain.end()
    assert b"kdeps" not in ours.output


# -- from inside another make ------------------------------------------------------


@pytest.mark.parametrize("style", ["pipe", "fifo"])
def test_inside_a_make_the_refresh_shares_its_jobs(make: Wrapped, tmp_path: Path, style: str) -> None:
    """No ``-j`` of its own, no lost job server, and steps of the refresh run side by side."""
    if style == "fifo" and not has_deletion_sense():
        pytest.skip("this make has no fifo job server (4.4 and later have)")
    make.tree.append("rust/compiler_builtins.rs", "// x\n")
    outer = tmp_path / "Makefile"
    words = " ".join(make.tree.tree_args)
    outer.write_text(f"all:\n\t+{' '.join(KDEPS)} -C {make.tree.srctree} {words} {M} -j2\n")
    probe = make.tree.toolchain / "bin/rustc"
    make.tree.replace(
        probe,
        "\nclass Options:",
        '\nif os.environ.get("SPANS") and any(a.startswith("--emit=obj") for a in sys.argv):\n'
        "    import time\n    start = time.time()\n    time.sleep(0.4)\n"
        '    open(os.environ["SPANS"], "a").write(f"{start} {time.time()}\\n")\n\n\nclass Options:',
    )
    spans = tmp_path / "spans"
    done = subprocess.run(
        ["make", "-j3", f"--jobserver-style={style}" if has_deletion_sense() else "-j3"],
        cwd=tmp_path, env=make.environment({"SPANS": str(spans)}), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "jobserver unavailable" not in done.stderr
    assert f"refreshing: make -C {make.tree.srctree} {words} modules_prepare" in done.stderr
    times = [tuple(map(float, line.split())) for line in spans.read_text().splitlines()]
    assert any(a is not b and a[0] < b[0] < a[1] for a in times for b in times), "one after the other"
    make.assert_fresh()


def test_assignments_of_an_outer_make_count(make: Wrapped, tmp_path: Path) -> None:
    """``make O=…`` around it is seen, and its ``M=`` does not leak into the refresh."""
    make.tree.append("rust/kernel/io.rs", f"pub fn {NEW}() {{}}\n")
    outer = tmp_path / "Makefile"
    outer.write_text(f"all:\n\t+{' '.join(KDEPS)} -C {make.tree.srctree}\n")
    done = subprocess.run(
        ["make", *make.tree.tree_args, M], cwd=tmp_path, env=make.environment(), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert NEW in make.module()
    make.assert_fresh()


def test_a_dry_run_of_an_outer_make_changes_nothing(make: Wrapped, tmp_path: Path) -> None:
    """``make -n`` reaches kdeps through a ``+`` line."""
    make.tree.append("rust/kernel/io.rs", f"pub fn {NEW}() {{}}\n")
    kernel = make.tree.objtree / "rust/kernel.o"
    before = kernel.stat().st_mtime_ns
    outer = tmp_path / "Makefile"
    outer.write_text(
        f"all:\n\t+{' '.join(KDEPS)} -C {make.tree.srctree} {' '.join(make.tree.tree_args)} {M}\n"
    )
    subprocess.run(
        ["make", "-n"], cwd=tmp_path, env=make.environment(), capture_output=True, text=True, check=False
    )
    assert kernel.stat().st_mtime_ns == before
