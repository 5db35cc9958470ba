# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Where what is remembered lies."""

from __future__ import annotations

import multiprocessing
import os
import pwd
from collections.abc import Callable
from pathlib import Path

import pytest

from kdeps.system.cache import LIMITS, Store, cache_directory, find_problem, name_of
from kdeps.system.lock import find_refresher, take_lock
from tests.conftest import RunKdeps
from tests.support.miniature import MODULE, Miniature


def test_the_cache_lies_where_xdg_says_and_else_at_home(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    assert cache_directory({"XDG_CACHE_HOME": "/x", **home}) == "/x/kdeps"
    assert cache_directory({"XDG_CACHE_HOME": "relative", **home}) == f"{tmp_path}/.cache/kdeps"
    assert cache_directory(home) == f"{tmp_path}/.cache/kdeps"
    assert cache_directory({}) == f"{pwd.getpwuid(os.getuid()).pw_dir}/.cache/kdeps"


def test_nobodys_home_is_not_made(tree: Miniature, kdeps: RunKdeps, tmp_path: Path) -> None:
    """Root could make ``/nonexistent``, the home of users that have none."""
    home = tmp_path / "nonexistent"
    Store("kind", {"HOME": str(home)}).save("x", b"x")
    env = {"HOME": str(home), "XDG_CACHE_HOME": ""}
    for command in ("check", "ci", "make"):
        assert kdeps(tree, command, f"M={MODULE}", env=env).returncode == 0
    assert "there is no home" in kdeps(tree, "doctor", f"M={MODULE}", env=env).stdout
    assert not home.exists()


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The environment of a user with a cache of their own."""
    (tmp_path / "base").mkdir(mode=0o700)
    return {"XDG_CACHE_HOME": str(tmp_path / "base")}


def folder(environ: dict[str, str]) -> Path:
    return Path(cache_directory(environ))


def saved(environ: dict[str, str]) -> Path:
    (path,) = (folder(environ) / "kind").iterdir()
    return path


def remembers(environ: dict[str, str]) -> bool:
    Store("kind", environ).save("key", b"value")
    return Store("kind", environ).load("key") == b"value"


def test_what_was_saved_is_loaded_under_its_key_alone(environ: dict[str, str]) -> None:
    store = Store("kind", environ)
    store.save("key", b"value")
    assert store.load("key") == b"value"
    assert store.load("other") is None
    assert Store("kind", environ, version=2).load("key") is None
    assert Store("other", environ).load("key") is None
    saved(environ).rename(saved(environ).with_name(name_of("other")))
    assert store.load("other") is None


def _count_up(environ: dict[str, str]) -> None:
    for _ in range(50):
        assert Store("kind", environ).update("key", lambda old: b"%d" % (int(old or b"0") + 1))


def test_no_change_is_lost_where_many_make_one(environ: dict[str, str]) -> None:
    processes = [multiprocessing.Process(target=_count_up, args=(environ,)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert Store("kind", environ).load("key") == b"200"
    assert not Store("kind", environ).update("key", lambda _: None)
    assert len(list((folder(environ) / "kind").iterdir())) == 1


@pytest.mark.parametrize("key", ["", "/", "a" * 5000, "é" * 200, "a\udcffb", "a\0b", "/x/..", ".", "a\nb"])
def test_every_key_has_a_file(environ: dict[str, str], key: str) -> None:
    store = Store("kind", environ)
    store.save(key, b"value")
    assert store.load(key) == b"value"
    assert saved(environ).parent == folder(environ) / "kind"


def test_every_flipped_bit_and_every_cut_is_a_miss(environ: dict[str, str]) -> None:
    store = Store("kind", environ)
    store.save("key", b"a value")
    path = saved(environ)
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at])
        assert store.load("key") is None
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        assert store.load("key") is None
    path.write_bytes(whole + b"x")
    assert store.load("key") is None
    path.write_bytes(whole)
    assert store.load("key") == b"a value"


def test_all_of_it_is_private(environ: dict[str, str]) -> None:
    before = os.umask(0)
    try:
        assert remembers(environ)
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder(environ).parent.rglob("*")}
    assert modes == {"kdeps": 0o700, "kind": 0o700, saved(environ).name: 0o600}


def test_the_oldest_go_first(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store("kind", environ, keep=3)
    for number in range(5):
        store.save(str(number), b"x")
        path = next(
            path for path in (folder(environ) / "kind").iterdir() if path.name.startswith(str(number))
        )
        os.utime(path, (number, number))
    store.save("last", b"x")
    assert [key for key in ("0", "1", "2", "3", "4", "last") if store.load(key)] == ["3", "4", "last"]
    monkeypatch.setitem(LIMITS, "kind", 1)
    small = Store("kind", environ)
    small.save("huge", bytes(5000))
    assert len(list((folder(environ) / "kind").iterdir())) == 1
    assert small.load("huge") == bytes(5000)


def test_a_folder_that_others_can_write_to_is_not_used(environ: dict[str, str]) -> None:
    """What they put there would decide that nothing is checked."""
    for path in (folder(environ).parent, folder(environ), folder(environ) / "kind"):
        assert remembers(environ)
        assert find_problem(environ) == ""
        path.chmod(0o777)
        assert not remembers(environ)
        path.chmod(0o1777)
        assert not remembers(environ)
        if path.name != "kind":
            assert "others can write to it" in find_problem(environ)
        path.chmod(0o700)


def test_a_home_like_tmp_has_a_private_folder(tmp_path: Path) -> None:
    """``HOME=/tmp``, ``XDG_CACHE_HOME=/tmp/x``: usual in containers and in CI. The sticky bit protects what kdeps makes there."""
    home = tmp_path / "tmp"
    home.mkdir()
    home.chmod(0o1777)
    for environ in ({"HOME": str(home)}, {"XDG_CACHE_HOME": str(home / "cache")}):
        assert find_problem(environ) == ""
        assert remembers(environ)
    assert {path.stat().st_mode & 0o777 for path in home.iterdir()} == {0o700}
    home.chmod(0o777)
    assert find_problem({"XDG_CACHE_HOME": str(home / "other")}).startswith(f"{home}: others can write to it")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a folder of another user")
def test_a_folder_of_another_user_is_not_used(environ: dict[str, str]) -> None:
    """``sudo -E``: root with the user's home."""
    for path in (folder(environ).parent, folder(environ)):
        assert remembers(environ)
        os.chown(path, 65534, 65534)
        assert not remembers(environ)
        assert "it belongs to user 65534, not to you (user 0)" in find_problem(environ)
        os.chown(path, 0, 0)


def test_no_link_is_followed(environ: dict[str, str], tmp_path: Path) -> None:
    assert remembers(environ)
    precious = tmp_path / "precious"
    for path in (folder(environ), folder(environ) / "kind"):
        path.rename(precious)
        path.symlink_to(precious)
        assert not remembers(environ)
        path.unlink()
        precious.rename(path)
    path = saved(environ)
    path.rename(precious)
    path.symlink_to(precious)
    assert Store("kind", environ).load("key") is None
    before = precious.read_bytes()
    assert remembers(environ)  # a file comes in the place of the link
    assert precious.read_bytes() == before


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_a_miss(environ: dict[str, str], make: Callable[[Path], None]) -> None:
    """It would be waited for; a folder cannot be read."""
    assert remembers(environ)
    path = saved(environ)
    path.unlink()
    make(path)
    assert Store("kind", environ).load("key") is None


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_the_lock_of_a_refresh_empties_no_file(
    environ: dict[str, str], tmp_path: Path, link: Callable[[Path, Path], None]
) -> None:
    """Its name can be guessed; what is linked there must stay as it is."""
    take_lock("/tree", environ, lambda _pid: None).release()
    (path,) = (folder(environ) / "locks").iterdir()
    precious = tmp_path / "precious"
    precious.write_text("precious")
    path.unlink()
    link(precious, path)
    lock = take_lock("/tree", environ, lambda _pid: None)
    assert lock.descriptor is None
    assert precious.read_text() == "precious"
    assert find_refresher("/tree", environ) == 0
    path.unlink()
    os.mkfifo(path)
    assert take_lock("/tree", environ, lambda _pid: None).descriptor is None
    assert find_refresher("/tree", environ) == 0


def test_make_writes_nothing_where_others_can_write(tree: Miniature, kdeps: RunKdeps, tmp_path: Path) -> None:
    """The build is right, nothing is emptied, and ``doctor`` says why nothing is remembered."""
    base = tmp_path / "shared"
    base.mkdir()
    base.chmod(0o1777)
    env = {"XDG_CACHE_HOME": str(base)}
    tree.append("rust/kernel/io.rs", "// x\n")
    assert kdeps(tree, "make", f"M={MODULE}", env=env).returncode == 0
    assert kdeps(tree, "check", f"M={MODULE}", env=env).returncode == 0
    assert list(base.iterdir()) == []
    done = kdeps(tree, "ninja", f"M={MODULE}", env=env)
    assert (done.returncode, list(base.iterdir())) == (2, [])
    assert f"{base}: others can write to it" in done.stderr
    said = kdeps(tree, "doctor", f"M={MODULE}", env=env).stdout
    assert f"{base}: others can write to it" in " ".join(said.split())
