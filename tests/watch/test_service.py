# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A watch under a service manager."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from kdeps.watch.service import unit_text
from tests.conftest import CHECKOUT, RunKdeps
from tests.support.miniature import MODULE, Miniature

M = f"M={MODULE}"
PATIENCE_S = 60.0


def test_systemd_is_told_what_it_waits_for(tree: Miniature, tmp_path: Path) -> None:
    """READY, the verdict as the status line, signs of life, STOPPING; and make's environment is free of it."""
    address = tmp_path / "notify"
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(address))
    manager.settimeout(PATIENCE_S)
    environ = tree.environment(
        {"PYTHONPATH": str(CHECKOUT), "XDG_RUNTIME_DIR": str(tmp_path), "NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": "200000"}
    )  # fmt: skip
    watch = subprocess.Popen(
        [sys.executable, "-m", "kdeps", "watch", f"--exec=env > {tmp_path}/env", *tree.tree_args, M],
        cwd=tree.srctree, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    said: list[str] = []

    def read_until(text: str) -> None:
        while text not in "\n".join(said):
            said.append(manager.recv(4096).decode())

    read_until("READY=1")
    read_until(f"STATUS={MODULE}: fresh")
    read_until("WATCHDOG=1")
    tree.append("rust/kernel/io.rs", "// edited\n")
    read_until(f"STATUS={MODULE}: stale: crate `kernel`")
    watch.terminate()
    read_until("STOPPING=1")
    assert watch.wait(PATIENCE_S) == 0
    manager.close()
    assert "NOTIFY_SOCKET" not in (tmp_path / "env").read_text()
    assert said[0].startswith("READY=1")


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    """Type=notify, restart, the words quoted, the environment brought along; systemd itself finds nothing wrong."""
    text = unit_text(
        "m x%-0123",
        ["--on-stale=rebuild", "--exec=echo $HOME 100%"],
        ("O=/b 1", "M=m"),
        "/",
        {"PATH": "/usr/bin:/x%y", "LLVM": "1"},
    )
    for line in (
        "# Put this into ~/.config/systemd/user/kdeps-watch-m_x_-0123.service, then",
        "Type=notify",
        "Restart=on-failure",
        "NoNewPrivileges=yes",
        "Environment=PATH=/usr/bin:/x%%y",
        "Environment=LLVM=1",
    ):
        assert line in text.splitlines()
    command = next(line for line in text.splitlines() if line.startswith("ExecStart="))
    assert command.endswith('kdeps watch --on-stale=rebuild "--exec=echo $$HOME 100%%" "O=/b 1" M=m')
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd here to ask")
    unit = tmp_path / "kdeps-watch-m_x_-0123.service"
    unit.write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", str(unit)], capture_output=True, text=True, check=False,
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_each_tree_has_a_unit_of_its_own(tree: Miniature, kdeps: RunKdeps, tmp_path: Path) -> None:
    """Two trees with the same module: two names, each stable, however the watch is to act."""

    def name(where: Miniature, *options: str) -> str:
        done = kdeps(where, "watch", "--systemd", *options, M)
        assert done.returncode == 0, done.stderr
        found = re.search(r"systemd/user/(\S+\.service), then\n", done.stdout)
        assert found
        assert f"enable --now {found[1].removesuffix('.service')}\n" in done.stdout
        return found[1]

    first = name(tree)
    assert re.fullmatch(r"kdeps-watch-nova-core-[0-9a-f]{8}\.service", first)
    assert name(tree, "--on-stale=rebuild") == first
    assert name(tree.copy_to(tmp_path / "other")) != first


@pytest.mark.parametrize("words", [[], ["M=drivers/gpu/nova-cor"], ["-C", "/no/such"]])
def test_no_unit_is_printed_that_could_never_start(tmp_path: Path, words: list[str]) -> None:
    """Without a tree, or with a typing mistake: one line, as the watch itself would say it."""
    said = [
        subprocess.run(
            [sys.executable, "-m", "kdeps", "watch", *options, *words], cwd=tmp_path, capture_output=True, text=True,
            check=False, env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        )
        for options in (["--systemd"], [])
    ]  # fmt: skip
    assert [(done.returncode, done.stdout) for done in said] == [(2, "")] * 2
    assert said[0].stderr == said[1].stderr
    assert said[0].stderr.startswith("kdeps: error: ")
    assert said[0].stderr.count("\n") == 1
