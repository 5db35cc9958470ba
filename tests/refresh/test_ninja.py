# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps ninja`` and ``kdeps make --with=ninja``: real ninja on the miniature, make as the referee.

The same on real kernels, with the real compilers: ``tests/campaigns/replay``.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT, RunKdeps
from tests.support.miniature import MODULE, Miniature

PROGRAMS = [
    (program, *arguments)
    for program, *arguments in (
        (shutil.which("ninja", path=os.path.dirname(sys.executable)),),  # from PyPI
        (shutil.which("ninja", path="/usr/bin"),),  # the distribution's, often older
        (shutil.which("samu"),),
        (shutil.which("muon"), "samu"),  # samurai inside muon; tests/lab/get-samurai.sh
    )
    if program
    and subprocess.run([program, *arguments, "--version"], capture_output=True, check=False).returncode == 0
]
Program = tuple[str, ...]
"""The words of a command that understands a ``build.ninja``."""


needs_ninja = pytest.mark.skipif(not PROGRAMS, reason="no ninja and no samurai here; pip install ninja")
pytestmark = needs_ninja
BUILT = re.compile(r"^(?:\[\d+/\d+\] )?\s*[A-Z]+(?: \w+)?(?: \[M\])?\s+(\S+)$", re.MULTILINE)


@pytest.fixture(params=PROGRAMS, ids=lambda words: "-".join(words).strip("/").replace("/", "-"))
def ninja(request: pytest.FixtureRequest) -> Program:
    return tuple(map(str, request.param))


def write(tree: Miniature, kdeps: RunKdeps, file: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return kdeps(tree, "ninja", f"--output={file}", *options, f"M={MODULE}")


def run(tree: Miniature, program: Program, file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*program, "-f", str(file)],
        cwd=tree.root,
        env=tree.environment({"PYTHONPATH": str(CHECKOUT)}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def steps(done: subprocess.CompletedProcess[str]) -> set[str]:
    """What ninja ran, by Kbuild's names."""
    return {name for name in BUILT.findall(done.stdout) if "settled" not in name}


def refresh(tree: Miniature, kdeps: RunKdeps, program: Program) -> set[str]:
    """Write, run, and see that Kbuild and kdeps are content; returns what ran."""
    file = tree.root / "build.ninja"
    written = write(tree, kdeps, file)
    assert written.returncode == 0, written.stderr
    done = run(tree, program, file)
    assert done.returncode == 0, done.stdout + done.stderr
    assert kdeps(tree, "check", f"M={MODULE}").returncode == 0
    assert tree.rebuilds("modules_prepare") == set()
    again = run(tree, program, file)
    assert (again.returncode, set(BUILT.findall(again.stdout))) == (0, set())
    return steps(done)


def contents(tree: Miniature) -> dict[str, bytes]:
    """Every file below the object tree and the module, without what holds a path or a time of its own."""
    return {
        os.path.relpath(path, tree.root): data
        for path, (_, _, data) in tree.listing().items()
        if path.startswith((f"{tree.objtree}/", f"{tree.module}/")) and data
    }


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rust/kernel/io.rs", "// a line more\n"),
        ("rust/macros/lib.rs", "// a line more\n"),
        ("rust/syn/lib.rs", "// a line more\n"),
        ("rust/zerocopy/src/lib.rs", "// a line more\n"),
        ("rust/helpers/pci.c", "int kdeps_new;\n"),
        ("include/linux/pci.h", "int kdeps_new;\n"),
    ],
)
def test_the_bytes_are_those_that_make_makes(
    tree: Miniature, kdeps: RunKdeps, tmp_path: Path, name: str, text: str
) -> None:
    """Edited, and refreshed once by make and once by each ninja: every object and every record is the same."""
    tree.append(name, text)
    edited = tmp_path / "edited"
    subprocess.run(["cp", "-a", tree.root, edited], check=True)
    tree.make("modules_prepare")
    tree.make(f"M={MODULE}")
    by_make = contents(tree)
    for program in PROGRAMS:
        # The same place, for records hold absolute names.
        shutil.rmtree(tree.root)
        subprocess.run(["cp", "-a", edited, tree.root], check=True)
        assert refresh(tree, kdeps, tuple(map(str, program))), program
        tree.make(f"M={MODULE}")
        by_ninja = contents(tree)
        assert (program, sorted(by_ninja)) == (program, sorted(by_make))
        assert (program, [p for p in by_make if by_make[p] != by_ninja[p]]) == (program, [])


def test_a_wave_stops_where_the_content_is_the_same(tree: Miniature, kdeps: RunKdeps, ninja: Program) -> None:
    """A touched header: bindgen runs and writes what was there; no crate is compiled, and the module is left alone."""
    tree.touch("include/linux/pci.h")
    by_make = set(tree.kernel_answer("modules_prepare"))
    before = {p: (tree.objtree / p).stat().st_mtime_ns for p in ("rust/bindings.o", "rust/libkernel.rmeta")}
    ran = refresh(tree, kdeps, ninja)
    assert ran == by_make
    assert not any(name.endswith((".o", ".rmeta")) and "helpers" not in name for name in ran)
    assert all((tree.objtree / p).stat().st_mtime_ns > time for p, time in before.items())
    assert tree.rebuilds(f"M={MODULE}") == set()


def test_a_failing_step_leaves_everything_as_it_was(tree: Miniature, kdeps: RunKdeps, ninja: Program) -> None:
    """A compile error: the old objects, their times and the records are back, and Kbuild still sees the edit."""
    tree.append("rust/kernel/io.rs", "compile_error!\n")
    if tree.make("modules_prepare", check=False).returncode == 0:
        pytest.fail("the miniature's compiler takes this for right")
    before = tree.listing()
    file = tree.root / "build.ninja"
    write(tree, kdeps, file)
    done = run(tree, ninja, file)
    assert done.returncode != 0
    after = tree.listing()
    changed = {
        p for p in after if before.get(p) != after[p] and not p.startswith((str(file), str(tree.root / ".")))
    }
    assert {os.path.relpath(p, tree.root) for p in changed if os.path.isfile(p)} <= {"build.ninja"}
    assert "rust/kernel.o" in tree.kernel_answer("modules_prepare")
    assert not [p for p in after if ".kdeps-old-" in p]


def test_an_interrupt_leaves_everything_as_it_was(
    tree: Miniature, kdeps: RunKdeps, ninja: Program, tmp_path: Path
) -> None:
    """Ctrl-C in the middle of a compile: what was put aside is back, and the next run does it all."""
    tree.append("rust/kernel/io.rs", "// a line more\n")
    before = {path: entry for path, entry in tree.listing().items() if path.startswith(f"{tree.objtree}/")}
    file = tree.root / "build.ninja"
    assert write(tree, kdeps, file).returncode == 0
    text = file.read_text()
    waiting = tmp_path / "waiting"
    command = next(
        line for line in text.splitlines() if line.startswith("  cmd = ") and "kernel/lib.rs" in line
    )
    file.write_text(text.replace(command, f"{command}; touch {waiting}; sleep 60"))
    running = subprocess.Popen(
        [*ninja, "-f", str(file)],
        cwd=tree.root,
        env=tree.environment({"PYTHONPATH": str(CHECKOUT)}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    while not waiting.exists():
        assert running.poll() is None, running.stdout and running.stdout.read()
        time.sleep(0.01)
    os.killpg(running.pid, signal.SIGINT)  # as the terminal does it: to the program and to what it runs
    assert running.wait() != 0
    running.communicate()
    for _ in range(3000):  # samurai does not wait for what it started
        if not list((tree.objtree / "rust").glob(".kdeps-old-*")):
            break
        time.sleep(0.01)
    after = {path: entry for path, entry in tree.listing().items() if path.startswith(f"{tree.objtree}/")}
    assert {
        path for path in {*before, *after} if before.get(path) != after.get(path) and os.path.isfile(path)
    } == set()
    file.write_text(text)
    assert run(tree, ninja, file).returncode == 0
    assert tree.rebuilds("modules_prepare") == set()


def test_what_is_missing_is_made(tree: Miniature, kdeps: RunKdeps, ninja: Program) -> None:
    """A deleted object, and one whose metadata is gone, are made again."""
    (tree.objtree / "rust/libmacros.so").unlink()
    assert "rust/libmacros.so" in refresh(tree, kdeps, ninja)
    (tree.objtree / "rust/libkernel.rmeta").unlink()
    assert "rust/kernel.o" in refresh(tree, kdeps, ninja)


def test_a_changed_command_is_left_to_make(tree: Miniature, kdeps: RunKdeps) -> None:
    """The record's command is not what Kbuild would run now: nothing is replayed, and it is said."""
    tree.append("rust/bindgen_parameters", "--opaque-type kdeps_new\n")
    written = write(tree, kdeps, tree.root / "build.ninja")
    assert written.returncode == 1
    assert "left to make: " in written.stderr
    assert "another command" in written.stderr


def test_the_same_bytes_in_every_locale(tree: Miniature) -> None:
    """What is printed is what would be written, also where the locale has no letters for a name."""
    module = tree.external.rename(tree.root / "é")
    tree.make(f"M={module}")
    tree.touch("rust/kernel/io.rs")
    words = [sys.executable, "-m", "kdeps", "ninja", *tree.tree_args, f"M={module}"]
    said = set()
    for utf8 in ("0", "1"):
        env = {"PYTHONPATH": str(CHECKOUT), "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": utf8}
        done = subprocess.run(
            words, cwd=tree.srctree, env=tree.environment(env), capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
        said.add(done.stdout)
    assert len(said) == 1
    assert os.fsencode(module) in said.pop()


def test_many_reasons_are_counted(tree: Miniature, kdeps: RunKdeps) -> None:
    """Another compiler changes every command; five of them tell the story."""
    written = write(tree, kdeps, tree.root / "build.ninja", "KRUSTFLAGS=-Cdebuginfo=1")
    assert written.returncode == 1
    lines = written.stderr.splitlines()
    assert len(lines) == 7
    assert re.fullmatch(r"kdeps: left to make: [0-9]+ more steps", lines[5])
    assert lines[6].startswith("kdeps: run make first")


def test_an_unsynced_configuration_is_left_to_make(tree: Miniature, kdeps: RunKdeps) -> None:
    """Syncing is make's."""
    tree.touch(tree.objtree / ".config")
    written = write(tree, kdeps, tree.root / "build.ninja")
    assert written.returncode == 1
    assert "left to make: the configuration is not synced: .config changed" in written.stderr


def test_a_touched_list_of_parameters_is_replayed(tree: Miniature, kdeps: RunKdeps, ninja: Program) -> None:
    """Kbuild says that its command would be the same."""
    tree.touch("rust/bindgen_parameters")
    assert "rust/bindings/bindings_generated.rs" in refresh(tree, kdeps, ninja)


def test_a_file_to_keep_builds_the_module_and_renews_itself(
    tree: Miniature, kdeps: RunKdeps, ninja: Program
) -> None:
    """``--all``: edit after edit, ninja alone brings the kernel's part and the module up to date."""
    file = tree.root / "build.ninja"
    assert write(tree, kdeps, file, "--all").returncode == 0
    run(tree, ninja, file)  # modpost wrote its .mod.c before: that is settled
    assert steps(run(tree, ninja, file)) == set()
    tree.append("rust/kernel/io.rs", "// one\n")
    done = run(tree, ninja, file)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {"rust/kernel.o", "nova_core.o", "nova-core.ko"} <= steps(done)
    assert tree.rebuilds("modules_prepare") == set()
    assert tree.rebuilds(f"M={MODULE}") == set()
    tree.append(f"{MODULE}/nova_core.rs", "// two\n")
    done = run(tree, ninja, file)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rust/kernel.o" not in steps(done)
    assert {"nova_core.o", "nova-core.ko"} <= steps(done)
    assert tree.rebuilds(f"M={MODULE}") == set()
    # A new file of the crate is known from the record that its compile wrote.
    tree.edit("rust/kernel/fresh.rs", "// three\n")
    tree.append("rust/kernel/lib.rs", "pub mod fresh;\n")
    assert run(tree, ninja, file).returncode == 0
    tree.append("rust/kernel/fresh.rs", "// four\n")
    assert "rust/kernel.o" in steps(run(tree, ninja, file))
    # Ninja cannot sync the configuration, so it stops and asks for make.
    tree.set_config(LOG_BUF_SHIFT="19")
    done = run(tree, ninja, file)
    assert (done.returncode, "run make first" in done.stdout + done.stderr) == (1, True), done
    tree.make("modules_prepare")
    assert run(tree, ninja, file).returncode == 0


def test_make_with_ninja(tree: Miniature, kdeps: RunKdeps, ninja: Program) -> None:
    """One command: ninja refreshes, then kdeps becomes make; a second time there is nothing to do."""
    tree.append("rust/kernel/io.rs", "// a line more\n")
    env = {"KDEPS_NINJA": shlex.join(ninja)}
    done = kdeps(tree, "make", "--with=ninja", f"M={MODULE}", env=env)
    assert done.returncode == 0, done.stderr
    assert "refreshed in" in done.stderr
    assert "build.ninja (" in done.stderr
    assert "nova-core.ko" in done.stdout
    assert tree.rebuilds("modules_prepare") == set()
    again = kdeps(tree, "make", "--with=ninja", f"M={MODULE}", env=env)
    assert (again.returncode, again.stderr.replace("WARNING", "")) == (0, again.stderr)
    assert "refresh" not in again.stderr


def test_times_that_were_given_are_no_edits(tree: Miniature, kdeps: RunKdeps, ninja: Program) -> None:
    """Artifacts get the time of their newest input; ci must not take that for an edit while they were compiled."""
    time.sleep(1)
    tree.touch("include/linux/pci.h")
    env = {"KDEPS_NINJA": shlex.join(ninja)}
    assert kdeps(tree, "make", "--with=ninja", f"M={MODULE}", env=env).returncode == 0
    done = kdeps(tree, "ci", f"M={MODULE}")
    assert done.returncode == 0, done.stdout


def test_make_with_ninja_where_there_is_none(tree: Miniature, kdeps: RunKdeps) -> None:
    """Then make does it, and it is said."""
    tree.append("rust/kernel/io.rs", "// a line more\n")
    done = kdeps(tree, "make", "--with=ninja", f"M={MODULE}", env={"KDEPS_NINJA": "no-such-program"})
    assert done.returncode == 0, done.stderr
    assert "note: refreshed by make, not ninja: no-such-program is not installed" in done.stderr
    assert tree.rebuilds("modules_prepare") == set()


def test_make_with_ninja_leaves_to_make_what_it_must(
    tree: Miniature, kdeps: RunKdeps, ninja: Program
) -> None:
    """A changed command: one line says so, and everything is fresh in the end."""
    tree.append("rust/bindgen_parameters", "--opaque-type kdeps_new\n")
    env = {"KDEPS_NINJA": shlex.join(ninja)}
    done = kdeps(tree, "make", "--with=ninja", f"M={MODULE}", env=env)
    assert done.returncode == 0, done.stderr
    assert "note: refreshed by make, not ninja: " in done.stderr
    assert tree.rebuilds("modules_prepare") == set()


def test_what_feeds_a_checked_file_is_handed_over(tree: Miniature, kdeps: RunKdeps, ninja: Program) -> None:
    """The program that writes target.json really changed: only make has the rule for that file, so make goes on."""
    tree.replace("scripts/generate_rust_target.rs", "e-m:e-i64:64", "e-m:e-i64:32")
    env = {"KDEPS_NINJA": shlex.join(ninja)}
    done = kdeps(tree, "make", "--with=ninja", f"M={MODULE}", env=env)
    assert done.returncode == 0, done.stderr
    assert "scripts/target.json is made from it by a rule that only make has" in done.stdout + done.stderr
    assert "kdeps: note: the rest is left to make" in done.stderr
    assert tree.rebuilds("modules_prepare") == set()


def test_an_edit_while_ninja_runs_is_not_lost(tree: Miniature, kdeps: RunKdeps, ninja: Program) -> None:
    """A header that is written again while bindgen reads it stays newer than what bindgen made."""
    tree.touch("include/linux/pci.h")
    file = tree.root / "build.ninja"
    assert write(tree, kdeps, file).returncode == 0
    header = tree.path("include/linux/pci.h")
    # The step itself writes the header again when it has read it.
    text = file.read_text()
    command = next(
        line for line in text.splitlines() if line.startswith("  cmd = ") and "bindings_helper.h" in line
    )
    file.write_text(text.replace(command, f"{command}; sleep 0.05; echo 'int late;' >> {header}"))
    assert run(tree, ninja, file).returncode == 0
    assert "rust/bindings/bindings_generated.rs" in tree.kernel_answer("modules_prepare")
    assert kdeps(tree, "check", f"M={MODULE}").returncode == 1
