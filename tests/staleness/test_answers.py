# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A fresh answer is kept, and ends with any change that it rests on."""

from __future__ import annotations

import marshal
import os
import shutil
import subprocess
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kdeps.kbuild.make_command import read_request
from kdeps.refresh.judging import check_with_kbuild_once
from kdeps.staleness import answers as kept
from kdeps.staleness.answers import BUILD, Question
from kdeps.staleness.reasons import Status
from kdeps.system.cache import name_of
from kdeps.system.stat import FINE_NS, stamp_of
from tests.campaigns.watch.coverage import looked_at
from tests.conftest import CHECKOUT
from tests.support.elf_objects import put
from tests.support.miniature import MODULE, Miniature, Snapshot

M = f"M={MODULE}"


class Keeper:
    """One fresh miniature, and the answer that is kept of it."""

    def __init__(self, tree: Miniature, tmp_path: Path) -> None:
        self.tree = tree
        self.words = (*tree.tree_args, M)
        self.cwd = str(tree.srctree)
        self.environ = tree.environment({"XDG_CACHE_HOME": str(tmp_path / "cache")})
        self.environ["PATH"] = f"{tmp_path / 'early'}:{self.environ['PATH']}"
        self.early = tmp_path / "early"
        self.early.mkdir()
        self.settle()

    def settle(self) -> None:
        """Wait until no file could change again without its times telling."""
        time.sleep(FINE_NS / 1e9 + 0.05)

    def judge(self) -> None:
        """As ``kdeps make`` does it when nothing is kept."""
        request = read_request(self.words, self.cwd, self.environ)
        assert request is not None
        check_with_kbuild_once(request, self.cwd, self.environ)

    def keep(self) -> None:
        """Judge until the answer is kept: others are at work in a folder above the trees."""
        for _ in range(60):
            self.judge()
            if self.holds():
                return
            time.sleep(0.1)
        raise AssertionError("a fresh answer was not kept")

    def holds(self, *more: str) -> bool:
        return self.question(*more).recall() is not None

    def question(self, *more: str) -> Question:
        return Question(BUILD, (*self.words, *more), self.cwd, self.environ)

    def key(self) -> str:
        return self.question().key

    def file(self) -> Path:
        [path] = (Path(self.environ["XDG_CACHE_HOME"]) / "kdeps/answers").iterdir()
        return path


@pytest.fixture
def keeper(with_programs: Snapshot, tmp_path: Path) -> Keeper:
    """A miniature whose fresh answer is kept."""
    found = Keeper(with_programs.put(tmp_path / "tree"), tmp_path)
    found.keep()
    return found


def test_nothing_but_stamps_is_looked_at(keeper: Keeper) -> None:
    """No record is opened, no folder is listed."""
    with looked_at() as seen:
        assert keeper.holds()
    cache = keeper.environ["XDG_CACHE_HOME"]
    assert {path for call, path in seen if call in ("open", "listdir", "scandir")} == {f"{cache}/kdeps"}


def test_next_to_nothing_is_imported(keeper: Keeper) -> None:
    """Starting Python and looking at files is all it costs."""
    environ = {**keeper.environ, "PYTHONPATH": str(CHECKOUT)}
    command = [sys.executable, "-X", "importtime", "-m", "kdeps", "make", *keeper.words]
    loaded: set[str] = {"kdeps.kbuild.tree"}
    # Kbuild confirms, the answer is kept (once nobody is at work above the trees), it is used.
    for _ in range(10):
        if "kdeps.kbuild.tree" not in loaded:
            break
        done = subprocess.run(
            command, cwd=keeper.cwd, env=environ, capture_output=True, text=True, check=True, timeout=120
        )
        lines = [line for line in done.stderr.splitlines() if "import time:" in line]
        loaded = {line.rpartition("|")[2].strip() for line in lines}
    assert "kdeps.staleness.answers" in loaded
    unwanted = {"formats.makeargs", "kbuild.rules", "kbuild.tree", "refresh.judging", "staleness.judge"}
    assert not loaded & {"subprocess", "json", "typing", *(f"kdeps.{name}" for name in unwanted)}


def test_a_make_with_nothing_to_do_changes_nothing(keeper: Keeper) -> None:
    """It makes and deletes files in the folders that are listed."""
    keeper.tree.make(M)
    keeper.tree.make("modules_prepare")
    keeper.tree.make(M)
    assert keeper.holds()


def test_whatever_was_looked_at_is_kept(keeper: Keeper) -> None:
    """Every path that the way without a kept answer looks at is a file, a folder or absent in it."""
    with looked_at() as seen:
        keeper.judge()
    known, folders, listed = read_paths(keeper.question())
    cache = keeper.environ["XDG_CACHE_HOME"]
    missed = {
        f"{call} {path}"
        for call, path in seen
        if not path.startswith(cache)
        and path not in (listed if call in ("listdir", "scandir") else known | folders)
        and not is_no_matter(call, path, known, keeper.tree)
        and not (call == "scandir" and path.startswith(f"{keeper.tree.srctree}/"))
    }
    # (Folders are listed for Makefiles that no make reads until a known Makefile names them.)
    assert missed == set()


def is_no_matter(call: str, path: str, known: set[str], tree: Miniature) -> bool:
    """Whether an answer does not rest on a path that was looked at, or rests on it by another name."""
    if path.startswith(("/proc", os.path.dirname(os.__file__))) or path == os.devnull:
        return True
    if call == "lstat" and os.path.isdir(path):
        return True  # on the way to a program, to follow links
    if call == "listdir" and path == f"{tree.objtree}/include/config":
        return True  # to see which of the symbols are there, and those are known by name
    if os.path.exists(path):
        return os.path.realpath(path) in set(map(os.path.realpath, known))  # a link to it is known
    above = os.path.dirname(path)
    return path in known or above in known or not os.path.isdir(above)


def read_paths(question: Question) -> tuple[set[str], set[str], set[str]]:
    """What an answer that is kept rests on: files, there or absent; folders; those of them that are listed."""
    saved = question.store.load(question.key)
    assert saved is not None
    _, _, files, _, passed, _, digests, absent, _, _ = marshal.loads(saved)
    folders = list(map(os.fsdecode, passed.split(b"\0")))
    listed = {path for path, digest in zip(folders, digests, strict=True) if digest != kept._NOT_LISTED}
    return (
        {os.path.normpath(os.fsdecode(path)) for path in (*files.split(b"\0"), *absent)},
        set(folders),
        listed,
    )


def _rewrite_quietly(path: Path) -> None:
    """Another content of the same size, with the mtime that the file had."""
    data = bytearray(path.read_bytes())
    data[-2] ^= 1
    put(path, bytes(data))


CHANGES: dict[str, Callable[[Keeper], object]] = {
    "a core source": lambda k: k.tree.append("rust/kernel/io.rs", "// x\n"),
    "a C header": lambda k: k.tree.append("include/linux/pci.h", "/* x */\n"),
    "a source, touched": lambda k: k.tree.touch("rust/kernel/io.rs"),
    "a source, made older": lambda k: os.utime(k.tree.path("rust/kernel/io.rs"), (1, 1)),
    "the module's source": lambda k: k.tree.append(f"{MODULE}/gpu.rs", "// x\n"),
    "a record, its mtime kept": lambda k: _rewrite_quietly(k.tree.objtree / "rust/.kernel.o.cmd"),
    "a record, gone": lambda k: (k.tree.objtree / "rust/.core.o.cmd").unlink(),
    "a record of the module, gone": lambda k: (k.tree.module / ".nova_core.o.cmd").unlink(),
    "metadata, gone": lambda k: (k.tree.objtree / "rust/libkernel.rmeta").unlink(),
    "metadata, emptied": lambda k: os.truncate(k.tree.objtree / "rust/libkernel.rmeta", 0),
    "a source, gone": lambda k: k.tree.path("include/linux/pci.h").unlink(),
    ".config": lambda k: k.tree.touch(k.tree.objtree / ".config"),
    "a Makefile": lambda k: k.tree.append("rust/Makefile", "# x\n"),
    "a Makefile that would come first": lambda k: k.tree.path("rust/Kbuild").write_text("include Makefile\n"),
    "the user's own Makefile": lambda k: k.tree.path("GNUmakefile").write_text("include Makefile\n"),
    "a compiler": lambda k: k.tree.touch(k.tree.toolchain / "bin/rustc"),
    "a compiler, earlier in PATH": lambda k: shutil.copy("/bin/true", k.early / "rustc"),
    "an interrupted compile": lambda k: (k.tree.objtree / "rust/.kernel.o.d").write_text("x: y\n"),
    "a new record": lambda k: (k.tree.objtree / "scripts/.new.cmd").write_text("savedcmd_x := y\n"),
    "vmlinux": lambda k: (k.tree.objtree / "vmlinux").touch(),
    "a link in place of a file": lambda k: _replace_by_link(k.tree.path("rust/kernel/io.rs")),
    "a folder in place of a file": lambda k: _replace_by_folder(k.tree.objtree / "rust/libkernel.rmeta"),
    "another tree in its place": lambda k: _replace_tree(k.tree.objtree),
    "the source tree, moved behind a link": lambda k: _move_behind_link(k.tree.srctree),
    "the object tree, gone": lambda k: shutil.rmtree(k.tree.objtree),
    "a variable of the environment": lambda k: k.environ.update(KCFLAGS="-g"),
    "a flag that make inherits": lambda k: k.environ.update(MAKEFLAGS=" -- KRUSTFLAGS=-g"),
}


def _replace_by_link(path: Path) -> None:
    path.rename(path.with_suffix(".old"))
    shutil.copy2(path.with_suffix(".old"), path.with_suffix(".new"))
    path.symlink_to(path.with_suffix(".new").name)


def _move_behind_link(path: Path) -> None:
    path.rename(f"{path}.moved")
    path.symlink_to(f"{path.name}.moved")


def _replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _replace_tree(path: Path) -> None:
    shutil.copytree(path, f"{path}.copy", symlinks=True)
    path.rename(f"{path}.old")
    os.rename(f"{path}.copy", path)


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_ends_it(keeper: Keeper, change: str) -> None:
    """Whatever the change does to the answer: the answer is found anew."""
    CHANGES[change](keeper)
    assert not keeper.holds()


def test_what_makefiles_names_counts(keeper: Keeper, tmp_path: Path) -> None:
    """make reads the files of ``MAKEFILES`` before any other, and they may choose the flags of every crate."""
    extra = tmp_path / "extra.mk"
    extra.write_text("# nothing\n")
    keeper.environ["MAKEFILES"] = str(extra)
    keeper.settle()
    keeper.keep()
    extra.write_text("KRUSTFLAGS := -g\nexport KRUSTFLAGS\n")
    assert not keeper.holds()
    request = read_request(keeper.words, keeper.cwd, keeper.environ)
    assert request is not None
    found = check_with_kbuild_once(request, keeper.cwd, keeper.environ)
    assert found is not None
    assert found.verdict.status is Status.STALE


@pytest.mark.parametrize(
    "change",
    [{"st_ctime_ns": 9, "st_mtime_ns": -9}, {"st_ino": 1}, {"st_dev": 1}, {"st_size": 1}],
    ids=["times that add up to the same", "inode", "device", "size"],
)
def test_a_file_that_looks_different_in_one_way_is_another(change: dict[str, int]) -> None:
    """Two images with equal times, mounted one after the other; a file put in the place of an older one."""
    now = os.stat(".")
    names = ("st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")
    other = types.SimpleNamespace(**{name: getattr(now, name) + change.get(name, 0) for name in names})
    assert stamp_of(now) != stamp_of(other)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", [b"rustc", b"gone/rustc"])
def test_a_relative_path_is_not_looked_for_for_ever(path: bytes) -> None:
    """As an empty entry in PATH made one: the search for its folder went round in ``""``."""
    with pytest.raises(ValueError, match="relative"):
        kept._nearest_folder(path)


def test_a_folder_that_is_a_link_to_nowhere_is_not_waited_for(tmp_path: Path) -> None:
    """What comes into being where it leads does not show in the folder of the link."""
    (tmp_path / "bin").symlink_to(tmp_path / "unmounted/bin")
    with pytest.raises(ValueError, match="link to nowhere"):
        kept._nearest_folder(os.fsencode(tmp_path / "bin/rustc"))


def test_other_arguments_have_an_answer_of_their_own(keeper: Keeper) -> None:
    """They may mean another build."""
    assert not keeper.holds("KRUSTFLAGS=-g")
    assert Question(BUILD, keeper.words, str(keeper.tree.objtree), keeper.environ).recall() is None


def test_jobs_of_an_outer_make_are_no_other_build(keeper: Keeper) -> None:
    """The pipe of a job server has another name each time."""
    keeper.environ["MAKEFLAGS"] = " -j8 --jobserver-auth=fifo:/tmp/GMfifo77"
    assert keeper.holds()


def test_what_changed_a_moment_ago_is_not_kept(keeper: Keeper) -> None:
    """It could change again within the same tick."""
    keeper.tree.path("rust/kernel/io.rs").chmod(0o600)
    keeper.judge()
    assert not keeper.holds()
    keeper.settle()
    keeper.keep()


def test_a_folder_whose_mtime_was_put_back_is_looked_into(keeper: Keeper) -> None:
    """Its ctime tells."""
    folder = keeper.tree.objtree / "scripts"
    keeper.file().unlink()
    (folder / "scratch").touch()
    (folder / "scratch").unlink()
    time.sleep(0.1)
    keeper.keep()
    times = folder.stat()
    (folder / ".late.cmd").write_text("savedcmd_x := y\n")
    os.utime(folder, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert not keeper.holds()


def test_what_comes_while_the_answer_is_found_is_not_kept(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The names in a folder were read, and then there was one more."""
    keeper.file().unlink()
    keep = Question.keep

    def late(*words: Any) -> None:
        (keeper.tree.objtree / "scripts/.late.cmd").write_text("savedcmd_x := y\n")
        keep(*words)

    monkeypatch.setattr(Question, "keep", late)
    keeper.judge()
    assert not keeper.holds()


def test_where_make_has_work_to_do_nothing_is_kept(keeper: Keeper) -> None:
    """It will change what was looked at."""
    keeper.tree.append(f"{MODULE}/gpu.rs", "// x\n")
    keeper.settle()
    before = keeper.file().read_bytes()
    keeper.judge()
    assert keeper.file().read_bytes() == before
    assert not keeper.holds()


def test_a_compiler_that_is_a_script_leaves_nothing_to_keep(keeper: Keeper) -> None:
    """What it says may change behind its stamp."""
    tool = keeper.tree.toolchain / "bin/bindgen"
    tool.with_name("bindgen.real").rename(tool)
    keeper.settle()
    keeper.judge()
    assert not keeper.holds()


@pytest.mark.parametrize("size", [0, 1, 1000, -1, -3])
def test_a_file_that_is_cut_off_is_none(keeper: Keeper, size: int) -> None:
    """A full disk, a crash."""
    data = keeper.file().read_bytes()
    keeper.file().write_bytes(data[:size])
    assert not keeper.holds()
    keeper.file().write_bytes(data)
    assert keeper.holds()


def test_an_answer_of_another_build_under_this_name_is_none(keeper: Keeper) -> None:
    """The name of the file is the beginning of a checksum, and two may be equal."""
    data = keeper.file().read_bytes()
    keeper.environ["KCFLAGS"] = "-g"
    path = keeper.file().with_name(name_of(keeper.key()))
    path.write_bytes(data)
    assert not keeper.holds()


@pytest.mark.parametrize("at", [0, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_a_damaged_answer_is_none(keeper: Keeper, at: float) -> None:
    """Wherever a byte is wrong: an answer that is found anew, and no bug in kdeps."""
    data = bytearray(keeper.file().read_bytes())
    data[int(len(data) * at)] ^= 1
    keeper.file().write_bytes(data)
    assert not keeper.holds()


def test_the_environment_is_not_written_down(keeper: Keeper) -> None:
    """There may be secrets in it."""
    keeper.environ["TOKEN"] = "a-secret-of-the-user"
    keeper.keep()
    caches = Path(keeper.environ["XDG_CACHE_HOME"], "kdeps")
    files = [path for path in caches.rglob("*") if path.is_file()]
    assert {path.parent.name for path in files} >= {"answers", "confirmed"}
    assert not [path for path in files if b"a-secret" in path.read_bytes()]
