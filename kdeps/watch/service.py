# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""systemd: its notification protocol, and a unit that runs a watch.

The protocol is one datagram to the socket named in ``NOTIFY_SOCKET``. Source: sd_notify(3).
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import sys
import time

from kdeps.system.text import printable

WATCHDOG_S = 180
"""Three times the longest sleep."""
_KEPT = (
    "ARCH", "BINDGEN", "CC", "CROSS_COMPILE", "HOSTCC", "HOSTRUSTC", "KBUILD_OUTPUT", "KCONFIG_CONFIG", "KDIR", "KERNEL_SRC",
    "KERNELDIR", "KRUSTFLAGS", "KCFLAGS", "LLVM", "LD", "MAKEFLAGS", "PATH", "RUSTC", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN",
    "CARGO_HOME", "XDG_CACHE_HOME", "LANG",
)  # fmt: skip
"""The variables of the environment that choose the compilers and steer make."""
_NOT_IN_A_UNIT_NAME = re.compile(r"[^A-Za-z0-9:_.-]")


class Service:
    """The service manager, where there is one."""

    def __init__(self, environ: dict[str, str]) -> None:
        self._socket: socket.socket | None = None
        self._ready = False
        self._status = ""
        self._interval_s: float | None = None
        self._beat_at = 0.0
        address = environ.pop("NOTIFY_SOCKET", "")
        period = environ.pop("WATCHDOG_USEC", "")
        owner = environ.pop("WATCHDOG_PID", "")
        if not address.startswith(("/", "@")):
            return
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)
        try:
            self._socket.connect("\0" + address[1:] if address[0] == "@" else address)
        except OSError:
            self.close()
            return
        if period.isdigit() and owner in ("", str(os.getpid())):
            self._interval_s = int(period) / 1e6 / 2

    def say(self, text: str) -> None:
        """Send assignments, one a line."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.send(text.encode("utf-8", "replace"))

    def ready(self, status: str) -> None:
        """Announce that there is a verdict, and what it is."""
        status = printable(status)
        if self._ready and status == self._status:
            return
        self.say(f"STATUS={status}" if self._ready else f"READY=1\nSTATUS={status}")
        self._ready, self._status = True, status

    def due_at(self) -> float | None:
        """When the next sign of life is due. Returns None if systemd does not wait for one."""
        return None if self._interval_s is None else self._beat_at

    def beat(self) -> None:
        """Give a sign of life if one is due."""
        if self._interval_s is not None and time.monotonic() >= self._beat_at:
            self._beat_at = time.monotonic() + self._interval_s
            self.say("WATCHDOG=1")

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def unit_text(key: str, options: list[str], words: tuple[str, ...], cwd: str, environ: dict[str, str]) -> str:
    """Write a user unit that runs this very watch, with ``options`` of ``kdeps watch`` but for ``--systemd``.

    The key is of the first module that it watches, which no other watch may have. It names the unit, so the units of
    two trees lie side by side. A user manager has another ``PATH`` than a shell; the unit brings ours along.
    """
    command = [sys.executable, "-m", "kdeps", "watch", *options, *words]
    name = next((word[2:] for word in reversed(words) if word.startswith("M=")), "") or cwd
    # Whatever it runs may need more: a compiler's cache talks over the network.
    acts = any(option.startswith(("--exec", "--on-stale=rebuild")) for option in options)
    kept = [f"{key}={environ[key]}" for key in _KEPT if environ.get(key)]
    here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    if not here.endswith(("site-packages", "dist-packages")):
        kept.append(f"PYTHONPATH={here}")
    unit = f"kdeps-watch-{_NOT_IN_A_UNIT_NAME.sub('_', key)}"
    lines = [
        f"# Put this into ~/.config/systemd/user/{unit}.service, then",
        f"#     systemctl --user daemon-reload && systemctl --user enable --now {unit}",
        "#     kdeps watch --status",
        "[Unit]",
        f"Description=kdeps watch of {_escape(os.path.basename(name.rstrip('/')) or name)}",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        "Type=notify",
        f"ExecStart={' '.join(_quote(word, command=True) for word in command)}",
        f"WorkingDirectory={_escape(cwd)}",
        *(f"Environment={_quote(pair)}" for pair in kept),
        "Restart=on-failure",
        "RestartSec=10",
        f"WatchdogSec={WATCHDOG_S}",
        "TimeoutStopSec=60",
        "KillMode=mixed",
        "# It reads trees, keeps a cache, and runs make only if told to.",
        "NoNewPrivileges=yes",
        "LockPersonality=yes",
        "RestrictRealtime=yes",
        "RestrictSUIDSGID=yes",
        "SystemCallArchitectures=native",
        *(() if acts else ("RestrictAddressFamilies=AF_UNIX", "UMask=0077")),
        "",
        "[Install]",
        "WantedBy=default.target",
    ]
    return "\n".join(lines) + "\n"


def _escape(text: str) -> str:
    return printable(text).replace("%", "%%")


def _quote(word: str, *, command: bool = False) -> str:
    """Quote for a unit file: quotes, backslashes, specifiers, and in a command also variables.

    Source: systemd.syntax(7), "Quoting"; systemd.service(5), "Command lines".
    """
    text = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    if command:
        text = text.replace("$", "$$")
    text = "".join(char if char.isprintable() else _escaped(char) for char in text)
    return text if text and not set(text) & set(" \t'\"\\;") else f'"{text}"'


def _escaped(char: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(char))
