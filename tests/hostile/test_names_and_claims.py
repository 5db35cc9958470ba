# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Names, times and records that claim anything, through the real program."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from kdeps.demo.miniature import gnu_make
from kdeps.staleness.check import check_build
from kdeps.system.errors import KdepsError
from tests.support.bad_input import KERNEL, TIMEOUT_S, M, check, cure, is_harmless, rewrite, unchanged
from tests.support.miniature import Miniature
from tests.support.program import run as run_kdeps


def add_prerequisites(path: Path, *names: bytes) -> None:
    """Name further files in the list of a record, first."""
    lines = b"".join(b"  " + name + b" \\\n" for name in names)
    rewrite(
        path, lambda data: re.sub(rb"(?m)^(deps_\S+ := \\\n)", lambda found: found[0] + lines, data, count=1)
    )


# -- names -------------------------------------------------------------------------

NAMES = [
    b"with blank", b"new\nline", b"dollar$x", b"ha#sh", b"per%cent", b"semi;colon", b"co:lon", b"latin\xe9", b"quo'te",
    b"c,omma", b"esc\x1b[31mape", b"wide\xe3\x80\x80blank",
]  # fmt: skip
MORE_NAMES = [
    b"dollar$", b'quo"te', b"back\\slash", b"am&p", b"pi|pe", b"(paren)", b"st*r", b"qu?", b"br[a]", b"til~de", b"eq=ual",
    b"tab\there", b"re\rturn", b"\xe2\x80\xae", b"-dash", b"...", b"{brace}", b"c\xc2\x9b1", b"\x7f",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(os.fsdecode(name)))
def test_a_module_folder_of_any_name(tree: Miniature, name: bytes) -> None:
    """Where make builds a module, kdeps judges it; where make refuses, kdeps says one line or judges the kernel."""
    folder = Path(os.fsdecode(os.fsencode(tree.root) + b"/" + name))
    shutil.copytree(tree.external, folder)
    given_as = f"M={folder}"
    # Without this list kdeps prints a note, where nothing was built.
    tree.edit(tree.objtree / "Module.symvers", "0x00000000\tkfree\tvmlinux\tEXPORT_SYMBOL\t\n")
    # Not Miniature.make: what make says of such a folder may be no UTF-8.
    made = subprocess.run(
        [gnu_make()[0], *tree.tree_args, given_as],
        cwd=tree.srctree,
        env=tree.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    built = made.returncode == 0 and list(folder.glob("*.ko"))
    with unchanged(tree):
        done = check(tree, given_as)
    if built:
        assert done.returncode == 0, (done.stdout, done.stderr)
        tree.touch("rust/kernel/io.rs")
        done = check(tree, given_as)
        assert done.returncode == 1
        assert (
            shlex.split(cure(done)[-1]) == ["make", *tree.tree_args, given_as]
            or not str(folder).isprintable()
        )
    else:
        assert done.returncode in (0, 2)
        assert len((done.stdout + done.stderr).splitlines()) == 1


def test_files_of_any_name_lie_about_harmlessly(tree: Miniature) -> None:
    """Stray files of any name change nothing; stray records that are none are named, safely."""
    rust = os.fsencode(tree.objtree) + b"/rust/"
    for name in (*NAMES, *MORE_NAMES):
        for path in (rust + name, os.fsencode(tree.module) + b"/" + name + b".rs"):
            Path(os.fsdecode(path)).write_bytes(b"")
    with unchanged(tree):
        assert check(tree, M).returncode == 0
    for name in (*NAMES, *MORE_NAMES):
        Path(os.fsdecode(rust + b"." + name + b".o.cmd")).write_bytes(b"\x1b[31mno record\n")
    with unchanged(tree):
        done = check(tree, M)
    assert done.returncode in (1, 2)
    assert ".o.cmd: not a record that make can read (line 1: no savedcmd_ line)" in done.stdout
    document = json.loads(check(tree, M, "--format=json").stdout)
    assert len(document["problems"]) == len(NAMES) + len(MORE_NAMES)


@pytest.mark.parametrize("name", [b"e\x1b[31mvil.rs", b"e\xc2\x9b31mvil.rs", b"e\xffvil.rs", b"e\rvil.rs", b"e\xe2\x80\xaevil.rs"])  # fmt: skip
@pytest.mark.parametrize("colour", ["never", "always"])
def test_no_name_reaches_the_terminal_raw(tree: Miniature, name: bytes, colour: str) -> None:
    """A file that is to blame is named, and its name's control characters are shown, not obeyed."""
    culprit = Path(os.fsdecode(os.fsencode(tree.srctree) + b"/rust/" + name))
    culprit.write_bytes(b"")
    add_prerequisites(tree.objtree / KERNEL, os.fsencode(culprit))
    tree.touch(culprit)
    done = run_kdeps(
        ("check", f"--color={colour}", *tree.tree_args, M), cwd=tree.srctree, env=tree.environment()
    )
    text = done.stdout.decode()
    assert done.returncode == 1
    assert is_harmless(re.sub(r"\x1b\[(1|2|0|1;3\d)m", "", text) if colour == "always" else text), ascii(text)
    assert "vil.rs" in text
    assert done.stderr == b""


# -- time --------------------------------------------------------------------------


def test_files_that_come_and_go_are_no_bug(tree: Miniature) -> None:
    """While records, objects and folders vanish and return, every look ends in an answer."""
    stop = threading.Event()
    victims = [
        tree.objtree / name
        for name in (KERNEL, "rust/kernel.o", "rust/libkernel.rmeta", "rust/bindings", "rust")
    ]
    victims += [
        tree.module / ".nova_core.o.cmd",
        tree.objtree / "include/config",
        tree.module / "modules.order",
    ]

    def disturb() -> None:
        while not stop.is_set():
            for path in victims:
                away = path.with_name(path.name + ".away")
                path.rename(away)
                stop.wait(0.0007)
                away.rename(path)

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        for _ in range(100):
            try:
                check_build((*tree.tree_args, M), str(tree.srctree), tree.environment())
            except KdepsError:
                continue
        for _ in range(8):
            check(tree, M)
    finally:
        stop.set()
        thread.join()
    assert check(tree, M).returncode == 0


@pytest.mark.parametrize("name", [".config", "include/config/auto.conf", "include/config/auto.conf.cmd", "include/config/kernel.release", "Makefile", "modules.order"])  # fmt: skip
def test_nobody_waits_at_a_fifo(tree: Miniature, name: str) -> None:
    """A fifo in the place of any other file ends in an answer too."""
    path = (tree.module if name == "modules.order" else tree.objtree) / name
    path.unlink()
    os.mkfifo(path)
    with unchanged(tree):
        done = check(tree, M)
    assert done.returncode in ((1, 2) if "conf" in name.rpartition("/")[2] else (0, 1, 2)), done.stdout


# -- what a record may claim -------------------------------------------------------


def test_a_cycle_is_told_and_only_what_lies_on_it_is_blamed(tree: Miniature) -> None:
    """Two records that need each other's target are named, and nothing else is."""
    add_prerequisites(tree.objtree / KERNEL, b"rust/uapi.o")
    add_prerequisites(tree.objtree / "rust/.uapi.o.cmd", b"rust/kernel.o")
    with unchanged(tree):
        done = check(tree, M)
    assert done.returncode in (1, 2)
    blamed = re.findall(r"^unknown: (\S+): this record makes", done.stdout, re.M)
    assert [os.path.basename(path) for path in blamed] == [".kernel.o.cmd", ".uapi.o.cmd"]


def test_a_target_that_needs_itself_is_what_make_makes_of_it(tree: Miniature) -> None:
    """make drops such an edge with a warning and goes on, and so does kdeps."""
    add_prerequisites(tree.objtree / KERNEL, b"rust/kernel.o")
    with unchanged(tree):
        assert check(tree, M).returncode == 0
    assert tree.kernel_answer("modules_prepare") == []


def test_files_outside_of_the_tree_are_only_looked_at(tree: Miniature) -> None:
    """A record may name any file; its time counts, and nothing of its content is ever shown."""
    outside = tree.root.parent / "secret"
    outside.write_text("root:x:0:0")
    os.utime(outside, ns=(0, 0))
    add_prerequisites(
        tree.objtree / KERNEL, b"/etc/passwd", os.fsencode(outside), b"../../../../../../etc/hostname"
    )
    with unchanged(tree):
        done = check(tree, M)
    assert "root:" not in done.stdout
    os.utime(outside)
    done = check(tree, M)
    assert (done.returncode, "root:" in done.stdout) == (1, False)
    assert "secret" in done.stdout
