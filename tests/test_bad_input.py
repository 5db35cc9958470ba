# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Damaged trees and absurd arguments, through the real program.

Of every case: no traceback, never "fresh" where something is damaged that the
module uses, one line that names the file, and a tree that is as it was before.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import threading
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kdeps.demo.miniature import MODULE, Miniature, create, find_make
from kdeps.errors import KdepsError
from kdeps.survey import survey
from tests.conftest import RunKdeps, drop_privileges

CHECKOUT = Path(__file__).parent.parent
M = f"M={MODULE}"
KERNEL = "rust/.kernel.o.cmd"
TIMEOUT_S = 60

Done = subprocess.CompletedProcess[str]


def check(
    tree: Miniature,
    *words: str,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    unprivileged: bool = False,
) -> Done:
    """Run ``kdeps check`` as a process; ``O=`` is added where it is called in the source tree."""
    options = [word for word in words if word.startswith("--")]
    rest = [word for word in words if not word.startswith("--")]
    done = subprocess.run(
        [sys.executable, "-m", "kdeps", "check", *options, *(tree.tree_args if cwd is None else ()), *rest],
        cwd=cwd or tree.srctree,
        env=tree.environment({"PYTHONPATH": str(CHECKOUT), **(env or {})}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=TIMEOUT_S,
        preexec_fn=drop_privileges if unprivileged and os.geteuid() == 0 else None,
    )
    # Not text=True: that would turn a carriage return into a newline.
    output, errors = (text.decode("utf-8", "surrogateescape") for text in (done.stdout, done.stderr))
    assert "Traceback" not in errors + output, errors + output
    assert done.returncode in (0, 1, 2), (done.returncode, errors)
    assert is_harmless(output), ascii(output)
    assert is_harmless(errors), ascii(errors)
    return subprocess.CompletedProcess(done.args, done.returncode, output, errors)


def is_harmless(text: str) -> bool:
    """Whether a terminal would show every character and obey none."""
    return not any(
        unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in text if char != "\n"
    )


@contextmanager
def unchanged(tree: Miniature) -> Iterator[None]:
    """Require that nothing in the tree is another at the end."""
    before = tree.listing()
    yield
    assert tree.listing() == before


def rewrite(path: Path, change: Callable[[bytes], bytes]) -> None:
    """Change a file and keep its times, so that nothing is stale by time alone."""
    status = path.stat()
    path.write_bytes(change(path.read_bytes()))
    os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))


def add_prerequisites(path: Path, *names: bytes) -> None:
    """Name further files in the list of a record, first."""
    lines = b"".join(b"  " + name + b" \\\n" for name in names)
    rewrite(
        path, lambda data: re.sub(rb"(?m)^(deps_\S+ := \\\n)", lambda found: found[0] + lines, data, count=1)
    )


# -- a damaged record of a crate -----------------------------------------------


def bind_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        cwd = os.getcwd()
        os.chdir(path.parent)  # the whole path may be too long for an address
        try:
            end.bind(path.name)
        finally:
            os.chdir(cwd)


def cut(path: Path, where: Callable[[bytes], int]) -> None:
    rewrite(path, lambda data: data[: where(data)])


def replaced(how: Callable[[Path], object]) -> Callable[[Path], object]:
    def replace(path: Path) -> None:
        path.unlink()
        how(path)

    return replace


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: rewrite(path, lambda _: b""),
    "nul-bytes": lambda path: rewrite(path, lambda data: b"\0" * len(data)),
    "nul-bytes-behind": lambda path: rewrite(path, lambda data: data[:200] + b"\0" * 4096),
    "cut-in-the-prefix": lambda path: cut(path, lambda _: 5),
    "cut-in-the-target": lambda path: cut(path, lambda _: 12),
    "cut-before-the-outputs": lambda path: cut(path, lambda data: data.index(b"--emit")),
    "cut-in-an-output": lambda path: cut(path, lambda data: data.index(b"libkernel.rmeta") + 3),
    "cut-behind-the-command": lambda path: cut(path, lambda data: data.index(b"\n") + 1),
    "cut-in-the-source": lambda path: cut(path, lambda data: data.index(b"\nsource_") + 25),
    "cut-before-the-list": lambda path: cut(path, lambda data: data.index(b"\ndeps_") + 1),
    "cut-between-two-lines": lambda path: cut(path, lambda data: data.index(b" \\\n", len(data) // 2) + 3),
    "cut-in-a-wildcard": lambda path: cut(path, lambda data: data.index(b"$(wildcard") + 15),
    "cut-in-the-rule": lambda path: cut(path, lambda data: data.index(b"\nrust/kernel.o:") + 8),
    "binary": lambda path: rewrite(path, lambda _: bytes(range(256)) * 20),
    "an-object": lambda path: rewrite(path, lambda _: b"\x7fELF\2\1\1" + b"\0" * 500),
    "another-programs": lambda path: rewrite(path, lambda _: b"<<<<<<< HEAD\nsavedcmd_a := b\n=======\n"),
    "100-megabytes": lambda path: os.truncate(path, 100 << 20),
    "40-megabytes-of-text": lambda path: rewrite(path, lambda data: data + b"#" * (40 << 20)),
    "gone": lambda path: path.unlink(),
    "fifo": replaced(os.mkfifo),
    "socket": replaced(bind_socket),
    "directory": replaced(os.mkdir),
    "dangling-link": replaced(lambda path: path.symlink_to("/nonexistent/record")),
    "link-to-itself": replaced(lambda path: path.symlink_to(path.name)),
    "link-to-a-device": replaced(lambda path: path.symlink_to("/dev/zero")),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_crate_with_a_damaged_record_is_stale(tree: Miniature, damage: str) -> None:
    """Whatever happened to its record, a crate the module uses is never taken for fresh."""
    record = tree.objtree / KERNEL
    DAMAGES[damage](record)
    with unchanged(tree):
        done = check(tree, M)
    assert done.returncode == 1, done.stdout
    assert "crate `kernel`" in done.stdout
    assert ".kernel.o.cmd" in done.stdout or damage in ("gone", "dangling-link")


KINDS = (
    "empty",
    "cut-before-the-outputs",
    "cut-between-two-lines",
    "cut-in-a-wildcard",
    "binary",
    "100-megabytes",
    "fifo",
    "dangling-link",
)
"""One damage of each kind, for what takes longer."""


@pytest.mark.parametrize("damage", KINDS)
def test_what_the_help_says_cures_it(tree: Miniature, damage: str) -> None:
    """The commands shown, pasted into a shell, end in a fresh tree."""
    DAMAGES[damage](tree.objtree / KERNEL)
    pasted = subprocess.run(
        ["sh", "-ec", "\n".join(cure(check(tree, M)))],
        cwd=tree.srctree,
        env=tree.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    assert pasted.returncode == 0, (pasted.args, pasted.stderr)
    done = check(tree, M)
    assert done.returncode == 0, done.stdout


def cure(done: Done) -> list[str]:
    """The commands that stand below ``help: to refresh``."""
    lines = done.stdout.split("\n")
    (start,) = [at for at, line in enumerate(lines) if line.startswith("help: to refresh")]
    return [line.strip() for line in lines[start + 1 : lines.index("", start)]]


@pytest.mark.parametrize("damage", KINDS)
def test_a_modules_own_damaged_record_is_pending_or_told(tree: Miniature, damage: str) -> None:
    """Fresh with a damaged record of the module's own means: make M= rebuilds that target by itself."""
    record = tree.module / ".nova_core.o.cmd"
    DAMAGES[damage](record)
    with unchanged(tree):
        done = check(tree, M)
    if done.returncode == 0:
        assert "of its own to rebuild" in done.stdout
        assert "nova_core.o" in tree.rebuilds(M)
    else:
        assert ".nova_core.o.cmd" in done.stdout or "nova_core.o" in done.stdout


# -- what one may not read or write ----------------------------------------------


def test_a_record_that_may_not_be_read_is_named(tree: Miniature) -> None:
    """Without permission to read a record its crate is not fresh, and the line says why."""
    record = tree.objtree / KERNEL
    record.chmod(0)
    with unchanged(tree):
        done = check(tree, M, unprivileged=True)
    assert done.returncode in (1, 2)
    assert ".kernel.o.cmd: Permission denied" in done.stdout


@pytest.mark.parametrize("folder", ["rust", "scripts", "include/config", "rust/bindings"])
def test_a_folder_that_may_not_be_read_is_named(tree: Miniature, folder: str) -> None:
    """A folder that cannot be read makes the answer unknown: it is not fresh, and nothing in it is gone."""
    path = tree.objtree / folder
    path.chmod(0)
    try:
        done = check(tree, M, unprivileged=True)
    finally:
        path.chmod(0o755)
    assert done.returncode == 2, done.stdout
    assert "is gone" not in done.stdout
    assert "rm -f" not in done.stdout
    assert folder in done.stdout + done.stderr
    assert "Permission denied" in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["auto.conf", "auto.conf.cmd"])
def test_a_configuration_that_may_not_be_read_or_is_empty_is_named(tree: Miniature, name: str) -> None:
    """What the configuration is decides much; nothing is judged without it."""
    path = tree.objtree / "include/config" / name
    path.chmod(0)
    done = check(tree, M, unprivileged=True)
    path.chmod(0o644)
    assert (done.returncode, done.stderr) == (2, f"kdeps: error: {path}: Permission denied\n")
    if name == "auto.conf":
        path.write_bytes(b"")
        done = check(tree, M)
        expected = f"kdeps: error: {path}: empty; delete it and run `make modules_prepare`\n"
        assert (done.returncode, done.stderr) == (2, expected)


def test_a_module_folder_that_may_not_be_read_is_named(tree: Miniature) -> None:
    """The same for the module's own folder."""
    tree.module.chmod(0)
    try:
        done = check(tree, M, unprivileged=True)
    finally:
        tree.module.chmod(0o755)
    assert done.returncode in (1, 2), done.stdout
    assert MODULE in done.stdout + done.stderr


@pytest.mark.parametrize("words", [(), ("--format=json",)])
def test_a_tree_that_may_not_be_written_is_read_all_the_same(tree: Miniature, words: tuple[str, ...]) -> None:
    """Read-only trees, and a read-only cache: the same answer as ever."""
    tree.touch("rust/kernel/io.rs")
    writable = verdict_of(check(tree, *words, M).stdout)
    folders = [Path(folder) for folder, _, _ in os.walk(tree.root)]
    cache = tree.root / "cache"
    cache.mkdir()
    for folder in (*folders, cache):
        folder.chmod(0o555)
    try:
        with unchanged(tree):
            done = check(tree, *words, M, env={"XDG_CACHE_HOME": str(cache)}, unprivileged=True)
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert done.returncode == 1
    assert verdict_of(done.stdout) == writable


def verdict_of(output: str) -> object:
    """What a verdict says, without the times in it."""
    if output.startswith("{"):
        document = json.loads(output)
        del document["stats"]
        return document
    return re.sub(r"changed [\d.]+ \w+ ago", "changed", output)


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
    tree.edit(tree.objtree / "Module.symvers", "")  # or the lack of it is told, where nothing was built
    # Not Miniature.make: what make says of such a folder may be no UTF-8.
    made = subprocess.run(
        [find_make(), *tree.tree_args, given_as],
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
    done = subprocess.run(
        [sys.executable, "-m", "kdeps", "check", f"--color={colour}", *tree.tree_args, M],
        cwd=tree.srctree,
        env=tree.environment({"PYTHONPATH": str(CHECKOUT)}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=TIMEOUT_S,
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
                survey((*tree.tree_args, M), str(tree.srctree), tree.environment())
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


# -- absurd arguments --------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("M=/nonexistent",), "/nonexistent: M= names no folder"),
        (("M=/etc/passwd",), "/etc/passwd: M= names no folder"),
        (("M=Makefile",), "Makefile: M= names no folder"),
        (("M=a b",), "make builds one external module folder at a time"),
        (("M=a\x1b[31m\nb",), r"M=a\x1b[31m\nb: make builds one external module folder at a time"),
        (("M=drivers",), "builds nothing"),
        (("O=/nonexistent", M), "/nonexistent: no such object tree"),
        (("O=Makefile", M), "Makefile: no such object tree"),
        (("-C", "/nonexistent", M), "/nonexistent: No such file or directory"),
        (("-C", "Makefile", M), "Makefile: Not a directory"),
        (("-C", "rust/kernel", "-C", "../../..", "-C", "/", M), "/: not a kernel tree"),
        (("-C",), "-C: make wants a value behind it"),
        ((M, "-kC"), "-kC: make wants a value behind it"),
        (("--format=yaml", M), "'yaml' is not one of"),
        (("--format=\x1b[31m", M), r"'\x1b[31m' is not one of"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(
    tree: Miniature, words: tuple[str, ...], says: str
) -> None:
    """One line says what is wrong, the exit status is 2."""
    with unchanged(tree):
        done = check(tree, *words)
    assert done.returncode == 2
    assert says in done.stdout + done.stderr
    if done.stderr:
        assert done.stdout == ""
        assert re.fullmatch(r"kdeps: error: [^\n]+[^.\n]\n", done.stderr)


def test_where_there_is_no_tree_there_is_one_line(tree: Miniature, tmp_path: Path) -> None:
    """In a folder that is neither kernel nor module kdeps says so, and what to type."""
    empty = tmp_path / "empty"
    empty.mkdir()
    done = check(tree, cwd=empty)
    expected = f"kdeps: error: {empty}: not a kernel tree and not a module folder; go to one, or name it with -C DIR\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", expected)


@pytest.mark.parametrize(
    "command",
    ["check", "ci", "why kernel", "affected rust", "graph", "ninja", "doctor", "watch", "watch --systemd"],
)
def test_a_folder_that_was_deleted_under_the_user(tree: Miniature, tmp_path: Path, command: str) -> None:
    """Standing in a folder that is gone is a mistake a person can fix."""
    gone = tmp_path / "gone"
    gone.mkdir()
    done = subprocess.run(
        ["sh", "-c", f"cd {gone} && rmdir {gone} && exec {sys.executable} -m kdeps {command}"],
        env=tree.environment({"PYTHONPATH": str(CHECKOUT)}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("kdeps: error: ")


def test_an_unconfigured_tree_is_told_from_a_configured_one(tmp_path: Path) -> None:
    """Sources nobody configured, then a configuration nobody synced: two different lines."""
    tree = create(tmp_path / "tree")
    done = check(tree, M)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no .config, so nothing was ever built here; built elsewhere? name it with O=DIR" in done.stderr
    (tree.objtree / ".config").write_text("CONFIG_RUST=y\n")
    done = check(tree, M)
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        "include/config/auto.conf: missing, M= builds stop there; run the same make with the goal modules_prepare"
        in done.stderr
    )


# -- links -------------------------------------------------------------------------


def answer(done: Done) -> tuple[object, ...]:
    """What is stale and why, wherever it lies."""
    document = json.loads(done.stdout)
    stale = [
        (
            state["target"],
            state["silent"],
            [(reason["kind"], Path(reason["path"]).name) for reason in state["reasons"]],
        )
        for state in document["stale"]
    ]
    return done.returncode, document["verdict"], stale, [state["target"] for state in document["pending"]]


@pytest.mark.parametrize("change", ["nothing", "io.rs"])
def test_links_on_the_way_change_nothing(tree: Miniature, change: str) -> None:
    """Source tree, object tree and module through symbolic links: the same answer as without."""
    if change != "nothing":
        tree.touch("rust/kernel/io.rs")
    expected = answer(check(tree, "--format=json", M))
    assert expected[0] == (0 if change == "nothing" else 1)
    links = tree.root / "links"
    links.mkdir()
    (links / "linux").symlink_to(tree.srctree)
    (links / "build").symlink_to(tree.objtree)
    (links / "module").symlink_to(tree.module)
    (links / "twice").symlink_to("linux")
    for cwd, words in (
        (links / "linux", (f"O={tree.objtree}", M)),
        (links / "twice", (f"O={tree.objtree}", M)),
        (tree.srctree, (f"O={links / 'build'}", M)),
        (tree.srctree, (f"O={tree.objtree}", f"M={links / 'module'}")),
        (links, ("-C", "linux", "O=../links/build", f"M={links / 'module'}")),
        (links / "build", (f"M={links / 'module'}",)),
        (links, ("-C", "build", f"M={tree.module}")),
        (links / "module", ("-C", str(links / "build"), f"M={links / 'module'}")),
    ):
        assert answer(check(tree, "--format=json", *words, cwd=cwd)) == expected, (cwd, words)


def test_a_tree_that_was_built_through_links_is_the_same_tree(tree: Miniature) -> None:
    """Records that spell the object tree by a link are understood, whichever way one looks."""
    links = tree.root / "links"
    links.mkdir()
    (links / "build").symlink_to(tree.objtree)
    tree.make(f"O={links / 'build'}", "modules_prepare")
    tree.make(f"O={links / 'build'}", M)
    for spelled in (tree.objtree, links / "build"):
        assert check(tree, f"O={spelled}", M).returncode == 0
    tree.touch("rust/kernel/io.rs")
    first = answer(check(tree, "--format=json", M))
    assert first == answer(check(tree, "--format=json", f"O={links / 'build'}", M))
    assert first[0] == 1


def test_a_folder_in_place_of_an_artifact_is_named(tree: Miniature, kdeps: RunKdeps) -> None:
    """To make the file is there; the compiler that has to replace it fails, so a person must move the folder first."""
    path = tree.objtree / "rust/libkernel.rmeta"
    path.unlink()
    path.mkdir()

    done = kdeps(tree, "check", f"M={MODULE}")

    assert done.returncode == 1
    assert done.stdout.startswith(
        "unknown: ../build/rust/libkernel.rmeta: a folder lies where this file belongs; move it away\n"
    )
