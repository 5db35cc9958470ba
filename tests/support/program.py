# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""kdeps as a process of its own, without starting an interpreter and importing every module for each run.

One process imports them and forks for each run. The child has what a process gets: arguments, a folder, an
environment and three descriptors. What is about the start or the end of a process (imports, encodings, signals,
rights, a terminal) needs ``python -m kdeps``.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import pkgutil
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

CHECKOUT = Path(__file__).parent.parent.parent
TIMEOUT_S = 300
READ_AT_START = ("PYTHON", "LC_", "LANG", "TZ", "LD_")
"""Where the names begin of what an interpreter, or the C library, reads once."""


def run(
    words: Sequence[str], *, cwd: Path, env: Mapping[str, str], stdin: bytes | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run ``kdeps WORDS`` to its end, as ``subprocess.run`` does; ``stdin`` comes by a pipe, or is nothing."""
    given = {**env, "PYTHONPATH": str(CHECKOUT)}
    command = [sys.executable, "-m", "kdeps", *words]
    if read_at_start(given) != read_at_start(server_environ()):
        return subprocess.run(
            command, cwd=cwd, env=given, input=stdin or b"", capture_output=True, check=False
        )
    pipes = [os.pipe() for _ in range(3)]
    (inside, feed), (out, outside), (err, errside) = pipes
    if stdin is None:
        os.close(inside)
        inside = os.open(os.devnull, os.O_RDONLY)
    request = json.dumps([list(words), os.path.abspath(cwd), given]).encode()
    control = start_server()
    socket.send_fds(control, [len(request).to_bytes(8, "big")], [inside, outside, errside])
    control.sendall(request)
    for end in (inside, outside, errside):
        os.close(end)
    said: list[bytes] = [b"", b""]
    readers = [
        threading.Thread(target=read_all, args=(end, said, n), daemon=True)
        for n, end in enumerate((out, err))
    ]
    for reader in readers:
        reader.start()
    with contextlib.suppress(BrokenPipeError), open(feed, "wb") as file:
        file.write(stdin or b"")
    for reader in readers:
        reader.join(TIMEOUT_S)
        assert not reader.is_alive(), f"{command}: runs for longer than {TIMEOUT_S} seconds"
    status = control.recv(4)
    assert status, "the process that forks has ended"
    return subprocess.CompletedProcess(
        command, os.waitstatus_to_exitcode(int.from_bytes(status, "big")), *said
    )


def run_text(
    words: Sequence[str], *, cwd: Path, env: Mapping[str, str], stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """The same in text, with the line ends that ``text=True`` makes."""
    done = run(words, cwd=cwd, env=env, stdin=None if stdin is None else stdin.encode())
    output, errors = (re.sub("\r\n?", "\n", text.decode()) for text in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(done.args, done.returncode, output, errors)


def read_all(descriptor: int, said: list[bytes], place: int) -> None:
    """Read what a child writes until no process can write any more."""
    with open(descriptor, "rb") as file:
        said[place] = file.read()


def read_at_start(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name.startswith(READ_AT_START)}


@functools.cache
def server_environ() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(CHECKOUT)}


@functools.cache
def start_server() -> socket.socket:
    """Start the process that forks. It ends with the socket."""
    ours, theirs = socket.socketpair()
    code = "import sys; from tests.support.program import serve; serve(int(sys.argv[1]))"
    with theirs:
        server = subprocess.Popen(
            [sys.executable, "-c", code, str(theirs.fileno())],
            cwd="/", env=server_environ(), pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
        )  # fmt: skip
    atexit.register(server.wait)
    atexit.register(ours.close)  # the last one registered is the first to run
    return ours


def serve(descriptor: int) -> None:
    """Fork a kdeps for each request, one after the other."""
    package = importlib.import_module("kdeps")
    for module in pkgutil.walk_packages(package.__path__, "kdeps."):
        if not module.name.endswith("__main__"):
            with contextlib.suppress(ImportError):  # not every library need be installed
                importlib.import_module(module.name)
    gc.collect()
    gc.freeze()
    control = socket.socket(fileno=descriptor)
    while True:
        head, descriptors, _, _ = socket.recv_fds(control, 8, 3)
        if not head:
            return
        request = b""
        while len(request) < int.from_bytes(head, "big"):
            request += control.recv(1 << 20)
        child = os.fork()
        if child == 0:
            control.close()
            become(json.loads(request), descriptors)
        for end in descriptors:
            os.close(end)
        control.send(os.waitpid(child, 0)[1].to_bytes(4, "big"))


def become(request: tuple[list[str], str, dict[str, str]], descriptors: list[int]) -> None:
    """Be what ``python -m kdeps`` is once it has started."""
    words, cwd, environ = request
    for number, end in enumerate(descriptors):
        os.dup2(end, number)
        os.close(end)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environ)
    sys.argv = [str(CHECKOUT / "kdeps/__main__.py"), *words]
    from kdeps.cli.main import main

    try:
        main()
    except SystemExit as end:
        # Without taking apart every module, which takes longer than most commands.
        atexit._run_exitfuncs()
        sys.stdout.flush()
        os._exit(int(end.code or 0))
