# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Collect the facts of another machine by the user's own ssh, in one round trip.

The script goes to ``sh -s`` on standard input. What comes back has a bound in size, and silence has a bound in time.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import time

from kdeps.running.facts import Facts
from kdeps.running.facts_text import MAX_BYTES, parse_facts
from kdeps.system.errors import KdepsError, UsageError

_PIECE = 1 << 16
_MAX_ERRORS = 1 << 16


def collect_remote(host: str, script: str, *, timeout_s: float) -> Facts:
    """Run the script of ``render_script`` on a host, as ssh understands it, and read what it prints.

    Raises KdepsError: ssh cannot be started, the host cannot be reached in time, or it answers with something else.
    """
    if not host or host.startswith("-"):
        raise UsageError(f"--host {host}: not the name of a host")
    # BatchMode only without a terminal: with one, ssh may ask for a password or a passphrase.
    batch = [] if os.isatty(0) else ["-o", "BatchMode=yes"]
    try:
        process = subprocess.Popen(
            ["ssh", "-T", *batch, "--", host, "sh -s"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
    except OSError as error:
        raise KdepsError(f"ssh: cannot be started: {error.strerror}") from error
    try:
        out, errors = _talk(process, script.encode(), host, time.monotonic() + timeout_s)
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
    if process.returncode == 255 and not out:
        raise KdepsError(f"{host}: ssh failed: {_last_line(errors) or 'it does not say why'}")
    return parse_facts(out, host)


def _talk(process: subprocess.Popen[bytes], script: bytes, host: str, end: float) -> tuple[bytes, bytes]:
    """Write the script and read both outputs until they end."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    out, errors = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        os.set_blocking(process.stdin.fileno(), False)
        selector.register(process.stdin.fileno(), selectors.EVENT_WRITE)
        selector.register(process.stdout.fileno(), selectors.EVENT_READ, out)
        selector.register(process.stderr.fileno(), selectors.EVENT_READ, errors)
        readers = 2
        while readers:
            ready = selector.select(max(0.0, end - time.monotonic()))
            if not ready:
                raise KdepsError(
                    f"{host}: no answer in time; `ssh {host} true` shows whether it can be reached"
                )
            for key, _ in ready:
                if key.data is None:
                    script = _write(key.fd, script)
                    if not script:
                        selector.unregister(key.fd)
                        process.stdin.close()
                    continue
                data = os.read(key.fd, _PIECE)
                key.data.extend(data)
                if not data:
                    selector.unregister(key.fd)
                    readers -= 1
                if len(out) > MAX_BYTES:
                    raise KdepsError(
                        f"{host}: answers with more than {MAX_BYTES >> 20} MB, so not with facts"
                    )
                del errors[:-_MAX_ERRORS]
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(max(0.1, min(5.0, end - time.monotonic())))
    return bytes(out), bytes(errors)


def _write(descriptor: int, data: bytes) -> bytes:
    """Write what fits; nothing is left once the other end is gone."""
    try:
        return data[os.write(descriptor, data[:_PIECE]) :]
    except BlockingIOError:
        return data
    except OSError:
        return b""


def _last_line(errors: bytes) -> str:
    lines = errors.decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip()[:300] if lines else ""
