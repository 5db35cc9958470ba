# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A watch that runs, seen from outside: its socket, its status files, its process."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Document = dict[str, Any]
START_S = 60.0


@dataclass(frozen=True, slots=True)
class Said:
    """One verdict the watch has published."""

    at: float
    module: str
    answer: str
    """The verdict, without what differs from look to look."""
    state: str
    note: str = ""


def answer_of(document: Document) -> str:
    """What is compared: everything but how long it took, and what the watch says of itself."""
    if document["verdict"] == "unknown" and not document["stale"] and document["stats"]["rules"] == 0:
        return "unknown"  # check has no document where there is no tree
    return json.dumps({k: v for k, v in document.items() if k not in ("stats", "watch")}, sort_keys=True)


class WatchProcess:
    """``kdeps watch`` as a process, and everything it says on its socket."""

    def __init__(
        self,
        words: Sequence[str],
        cwd: str,
        runtime: Path,
        *,
        options: Iterable[str] = (),
        log: Path | None = None,
        wrap: tuple[str, ...] = (),
        env: dict[str, str] | None = None,
    ) -> None:
        runtime.mkdir(parents=True, exist_ok=True)
        self.runtime = runtime
        self.words, self.cwd = tuple(words), cwd
        self.env = {**(os.environ if env is None else env), "XDG_RUNTIME_DIR": str(runtime)}
        self.said: list[Said] = []
        self.last: dict[str, Document] = {}
        self._lock = threading.Lock()
        self.log = log or runtime / "watch.log"
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(
                [*wrap, sys.executable, "-m", "kdeps", "watch", "--format=json", *options, *words],
                cwd=cwd, env=self.env, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            )  # fmt: skip
        self._connection = self._connect()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _connect(self) -> socket.socket:
        path = self.runtime / "kdeps" / f"{self.process.pid}.socket"
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(str(path))
                return connection
            except OSError:
                connection.close()
                if self.process.poll() is not None:
                    break
                time.sleep(0.02)
        raise RuntimeError(f"the watch does not answer (exit {self.process.poll()})")

    def _listen(self) -> None:
        with contextlib.suppress(OSError, ValueError), self._connection.makefile("rb") as lines:
            for line in lines:
                document: Document = json.loads(line)
                watch = document["watch"]
                with self._lock:
                    self.last[watch["name"]] = document
                    self.said.append(
                        Said(
                            time.monotonic(),
                            watch["name"],
                            answer_of(document),
                            watch["state"],
                            watch["note"],
                        )
                    )

    def take_said(self) -> list[Said]:
        """Everything it has said since the last call."""
        with self._lock:
            said, self.said = self.said, []
        return said

    def status(self, module: str) -> Document | None:
        """The status file of one module, as another tool would read it."""
        for path in (self.runtime / "kdeps").glob("*.json"):
            with contextlib.suppress(OSError, ValueError):
                document: Document = json.loads(path.read_text())
                if document["watch"]["name"] == module and document["watch"]["pid"] == self.process.pid:
                    return document
        return None

    def wait_for(self, expected: dict[str, str], timeout_s: float) -> dict[str, float]:
        """Wait until every module has its expected answer, and says it is current; how long each took."""
        started = time.monotonic()
        took: dict[str, float] = {}
        while len(took) < len(expected):
            for module, answer in expected.items():
                document = self.status(module) if module not in took else None
                if document is None or document["watch"]["state"] != "current":
                    continue
                if answer_of(document) == answer:
                    took[module] = time.monotonic() - started
            if time.monotonic() - started > timeout_s:
                break
            time.sleep(0.01)
        return took

    def wait_current(self, timeout_s: float = START_S) -> None:
        """Wait until it has looked at every module, and that was heard here."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            documents = [json.loads(p.read_text()) for p in (self.runtime / "kdeps").glob("*.json")]
            mine = [d for d in documents if d["watch"]["pid"] == self.process.pid]
            heard = [self.last.get(d["watch"]["name"], {}) for d in mine]
            if mine and all(d and d["watch"]["state"] == "current" for d in (*mine, *heard)):
                return
            time.sleep(0.02)
        raise RuntimeError("the watch does not come to rest")

    @property
    def missed(self) -> int:
        """How many changes only a look of the clock's has found."""
        return max((d["watch"]["missed"] for d in self.last.values()), default=0)

    def memory_kb(self) -> int:
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        return 0

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> int:
        """End it as systemd would; its exit status."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._connection.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def check(words: Sequence[str], cwd: str, env: dict[str, str] | None = None) -> str:
    """The answer of a fresh ``kdeps check``."""
    done = subprocess.run(
        [sys.executable, "-m", "kdeps", "check", "--format", "json", *words],
        cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False,
    )  # fmt: skip
    if not done.stdout.strip():
        if done.returncode != 2:
            raise RuntimeError(
                f"check: exit {done.returncode}: {done.stderr.decode(errors='replace')[-400:]}"
            )
        return "unknown"
    return answer_of(json.loads(done.stdout))
