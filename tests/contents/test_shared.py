# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Steps of others: taken where all is the same, and nothing else that a store holds, or a server says."""

from __future__ import annotations

import gzip
import json
import multiprocessing
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from kdeps.contents.shared import _merge
from kdeps.system.errors import KdepsError, UsageError
from kdeps.system.remote import open_place
from tests.conftest import RunKdeps
from tests.contents.test_steps import HEADER, RAN, M, digests
from tests.support.miniature import Miniature

Build = Callable[..., tuple[list[str], str]]


@pytest.fixture
def build(tree: Miniature, kdeps: RunKdeps, tmp_path: Path) -> Build:
    """Build as a user with a cache of their own: ``build("ann", KDEPS_STORE=…)`` gives the steps that ran, and kdeps' words."""

    def run(user: str, **env: str) -> tuple[list[str], str]:
        done = kdeps(tree, "make", M, env={"XDG_CACHE_HOME": str(tmp_path / user), **env})
        assert done.returncode == 0, done
        return RAN.findall(done.stdout), done.stderr

    return run


@pytest.fixture
def add(tree: Miniature, kdeps: RunKdeps, tmp_path: Path) -> Callable[[str], str]:
    """Add what is built to a store, as ann."""

    def run(place: str) -> str:
        done = kdeps(tree, "ci", f"--store={place}", M, env={"XDG_CACHE_HOME": str(tmp_path / "ann")})
        assert done.returncode == 0, done
        return done.stderr

    return run


@pytest.fixture
def store(tree: Miniature, build: Build, add: Callable[[str], str], tmp_path: Path) -> Path:
    """A store with the miniature as it is; in the tree, a header was edited since, and what it changes was built."""
    place = tmp_path / "store"
    build("ann")
    assert " MB of them new" in add(str(place))
    edit_and_build(tree, build)
    return place


def edit_and_build(tree: Miniature, build: Build) -> None:
    before = (tree.srctree / HEADER).read_bytes()
    tree.append(HEADER, "/* other */\n")
    assert build("bob")[0]
    (tree.srctree / HEADER).write_bytes(before)


def description(store: Path) -> Path:
    (path,) = (store / "ac").iterdir()
    return path


def test_what_somebody_else_built_is_not_built_again(
    pristine: Miniature, tree: Miniature, build: Build, store: Path, kdeps: RunKdeps
) -> None:
    """Bob never built this state, and remembers nothing that ann did."""
    steps, said = build("carl", KDEPS_STORE=str(store))
    assert steps == [], said
    assert "put back" in said
    assert built(tree) == built(pristine)
    assert kdeps(tree, "check", "--by=time", M).returncode == 0


def built(tree: Miniature) -> dict[str, str]:
    """What was built, by the names in its tree; Kbuild's records name the places of the trees."""
    return {
        name.removeprefix(str(tree.root)): digest
        for name, digest in digests(tree).items()
        if name.endswith((".o", ".rmeta", ".rs", ".ko")) and "/include/" not in name
    }


def test_without_a_store_it_is_built(build: Build, store: Path) -> None:
    assert build("carl")[0]
    assert store.is_dir()


def test_it_is_remembered_as_if_it_were_built_here(tree: Miniature, build: Build, store: Path) -> None:
    """Once taken, a step is kept here, too."""
    build("carl", KDEPS_STORE=str(store))
    shutil.rmtree(store)
    edit_and_build(tree, lambda _: build("carl"))
    assert build("carl")[0] == []


def test_steps_of_other_compilers_are_not_taken(tree: Miniature, build: Build, store: Path) -> None:
    compiler = tree.toolchain / "bin/rustc"
    compiler.write_text(compiler.read_text() + "# another one\n")
    assert build("carl", KDEPS_STORE=str(store))[0]


def test_a_content_that_is_not_what_its_name_says_is_not_taken(build: Build, store: Path) -> None:
    for path in (store / "cas").iterdir():
        path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert build("carl", KDEPS_STORE=str(store))[0]


@pytest.mark.parametrize(
    "outside",
    [
        "/tmp/kdeps-outside",
        "{objtree}/../outside",
        "{srctree}/rust/kernel/io.rs",
        "{objtree}/source/rust/kernel/io.rs",
        "{srctree}/drivers/gpu/nova-core/gpu.rs",
        "{srctree}/drivers/gpu/nova-core/Kbuild",
        "{objtree}/.config",
    ],
)
def test_nothing_is_written_but_artifacts(tree: Miniature, build: Build, store: Path, outside: str) -> None:
    """Whoever can write the store chooses the code of objects, and no place for it."""
    path = Path(outside.format(objtree=tree.objtree, srctree=tree.srctree))
    before = path.read_bytes() if path.exists() else None
    document = json.loads(gzip.decompress(description(store).read_bytes()))
    for name, digest in document["contents"]:
        if name.endswith("bindings_generated.rs"):
            document["contents"].append([str(path), digest])
    for step in document["steps"]:
        if step["target"].endswith("bindings_generated.rs"):
            step["outputs"].append(len(document["contents"]) - 1)
            step["modes"].append(0o644)
    description(store).write_bytes(gzip.compress(json.dumps(document).encode()))
    steps, _ = build("carl", KDEPS_STORE=str(store))
    assert any("bindings_generated.rs" in step for step in steps)
    assert (path.read_bytes() if path.exists() else None) == before


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"", lambda data: data[:-20], lambda _: b"<html>sign in</html>",
        lambda _: gzip.compress(b"[]"), lambda _: gzip.compress(b'{"format": "kdeps steps 1", "contents": [], "steps": [{}]}'),
        lambda _: gzip.compress(b'{"format": "kdeps steps 2"}'), lambda _: gzip.compress(b"[" * 100_000),
        lambda _: gzip.compress(bytes(600 << 20), 1),
    ],
)  # fmt: skip
def test_a_damaged_description_costs_a_line(
    build: Build, store: Path, damage: Callable[[bytes], bytes]
) -> None:
    path = description(store)
    path.write_bytes(damage(path.read_bytes()))
    steps, said = build("carl", KDEPS_STORE=str(store))
    assert steps
    assert said.count("warning: KDEPS_STORE: ") == 1
    assert "Traceback" not in said


def _add_step(store: str, number: int) -> None:
    for at in range(10):
        target = f"/t/{number}-{at}"
        step = {"target": target, "decides": [], "also": [], "outputs": [[target, "ab"]]}
        open_place(store, {}, writing=True).update("00", lambda old, step=step: _merge(old, [step]))  # type: ignore[misc]


def test_who_adds_at_once_loses_nothing(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    writers = [multiprocessing.Process(target=_add_step, args=(store, number)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    document = json.loads(gzip.decompress((tmp_path / "store/ac/00").read_bytes()))
    assert len(document["steps"]) == 40
    assert [path.name for path in (tmp_path / "store/ac").iterdir()] == ["00"]


# -- places that can be none -------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("http://cache.example/kdeps", "use https, or set KDEPS_STORE_INSECURE=1"),
        ("ftp://cache.example", "a store is a folder or https://"),
        ("https://", "a store is a folder or https://"),
        ("https://cache.example/?x=1", "a store is a folder or https://"),
        ("", "an empty name of a store"),
    ],
)
def test_what_can_be_no_store_is_said(name: str, says: str) -> None:
    with pytest.raises(UsageError, match=says.replace("?", r"\?")):
        open_place(name, {})
    if name.startswith("http://"):
        open_place(name, {"KDEPS_STORE_INSECURE": "1"})


def test_a_folder_that_everybody_can_write_is_refused(build: Build, store: Path) -> None:
    store.chmod(0o777)
    steps, said = build("carl", KDEPS_STORE=str(store))
    assert steps
    assert f"warning: KDEPS_STORE: {store}: all users can write to it" in said
    with pytest.raises(KdepsError, match="no folder"):
        open_place(str(description(store)), {})
    assert "no store can be used there: No such file" in build("dora", KDEPS_STORE=str(store / "none"))[1]


# -- servers -----------------------------------------------------------------------------


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[str]:
    """A real nginx with WebDAV's PUT."""
    program = shutil.which("nginx") or next(filter(os.path.exists, ["/usr/sbin/nginx"]), None)
    if program is None:
        pytest.skip("no nginx here; install nginx")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "www/temporary").mkdir(parents=True)
    (tmp_path / "nginx.conf").write_text(f"""
        user {"root" if os.geteuid() == 0 else "nobody"}; daemon off; pid {tmp_path}/nginx.pid; error_log {tmp_path}/error.log;
        events {{}}
        http {{
            access_log {tmp_path}/access.log;
            client_body_temp_path {tmp_path}/www/temporary; proxy_temp_path {tmp_path}/p; fastcgi_temp_path {tmp_path}/f;
            uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s;
            server {{
                listen 127.0.0.1:{port};
                location / {{ root {tmp_path}/www; dav_methods PUT; create_full_put_path on; client_max_body_size 1g; }}
            }}
        }}
    """)
    server = subprocess.Popen([program, "-c", f"{tmp_path}/nginx.conf"], stderr=subprocess.DEVNULL)
    try:
        for _ in range(500):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
        yield f"http://127.0.0.1:{port}/kdeps"
    finally:
        server.terminate()
        server.wait()


def test_a_real_server_has_what_a_folder_has(
    tree: Miniature, build: Build, add: Callable[[str], str], nginx: str, tmp_path: Path
) -> None:
    build("ann")
    assert " 0.0 MB of them new" not in add(nginx)
    assert " 0.0 MB of them new" in add(nginx)
    edit_and_build(tree, build)
    assert build("carl", KDEPS_STORE=nginx)[0] == []
    asked = (tmp_path / "access.log").read_text()
    assert asked.count('"GET /kdeps/ac/') >= 1
    assert all(f"/kdeps/{part}/" in asked for part in ("ac", "cas"))


class _Bad(BaseHTTPRequestHandler):
    """A server that answers each path in its own bad manner."""

    def do_GET(self) -> None:
        manner = self.path.split("/")[1]
        if manner == "silent":
            threading.Event().wait(8)
        elif manner == "slow":
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            for _ in range(60):
                self.wfile.write(b"x")
                threading.Event().wait(1)
        elif manner == "short":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"x")
        elif manner == "elsewhere":
            self.send_response(302)
            self.send_header("Location", "/html")
            self.end_headers()
        elif manner == "html":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>sign in</html>")
        else:
            self.send_error(int(manner))

    do_HEAD = do_PUT = do_GET

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def bad() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Bad)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("manner", ["silent", "short", "elsewhere", "html", "500", "403", "closed"])
def test_a_bad_server_costs_a_line(tree: Miniature, build: Build, bad: str, manner: str) -> None:
    build("ann")
    edit_and_build(tree, build)
    place = "http://127.0.0.1:1" if manner == "closed" else f"{bad}/{manner}"
    steps, said = build("carl", KDEPS_STORE=place)
    assert steps
    assert said.count("warning: KDEPS_STORE: ") == 1, said
    assert "Traceback" not in said


def test_a_trickling_server_is_left(bad: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kdeps.system.remote.TOTAL_S", 2.5)
    with pytest.raises(KdepsError, match="no answer in time"):
        open_place(f"{bad}/slow", {}).read("ac", "00", 1 << 20)


def test_a_server_that_takes_nothing_fails_the_command(
    tree: Miniature, build: Build, kdeps: RunKdeps, bad: str, tmp_path: Path
) -> None:
    build("ann")
    done = kdeps(tree, "ci", f"--store={bad}/403", M, env={"XDG_CACHE_HOME": str(tmp_path / "ann")})
    assert done.returncode == 2
    assert "error: --store: " in done.stderr
    assert "403" in done.stderr


def test_a_password_is_not_printed_and_not_sent_elsewhere(bad: str) -> None:
    place = open_place(bad.replace("//", "//ann:secret@") + "/403", {})
    with pytest.raises(KdepsError) as error:
        place.has(b"\xab" * 32)
    assert "secret" not in str(error.value)
