# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""kdeps loaded about another machine: a real sshd on the loopback address, and facts of every sort."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kdeps.running.facts import LoadState
from kdeps.running.facts_text import MAX_BYTES, parse_facts
from kdeps.running.script import render_script
from kdeps.system.errors import Unreadable, UsageError
from tests.conftest import RunKdeps
from tests.support.loaded import build_id_of
from tests.support.machine import FOLDER, Machine, build_module, put_module
from tests.support.miniature import Miniature

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
ANSWERS = {
    "honest": "",
    "chatty": "echo 'Welcome!'; echo; eval \"$SSH_ORIGINAL_COMMAND\"; echo bye",
    "lying": "echo I am a fish",
    "endless": "exec yes 'kdeps-facts 1'",
    "binary": "exec head -c 3000000 /dev/urandom",
    "cut": 'eval "$SSH_ORIGINAL_COMMAND" | head -n 4',
    "silent": "exec sleep 600",
    "broken": "echo 'no shell here' >&2; exit 127",
}
"""What each host does; the empty one runs what it is asked to run."""


class Hosts:
    """Names of hosts, each another behaviour of one sshd."""

    def __init__(self, folder: Path, machine: Machine) -> None:
        self.folder = folder
        self.log = folder / "log"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        _make_key(folder / "host")
        keys = []
        for name, command in ANSWERS.items():
            _make_key(folder / name)
            (folder / f"{name}.sh").write_text(command + "\n")
            forced = f'command="sh {folder}/{name}.sh" ' if command else ""
            keys.append(forced + (folder / f"{name}.pub").read_text())
        _make_key(folder / "stranger")
        (folder / "authorized").write_text("".join(keys))
        (folder / "sshd_config").write_text(
            f"ListenAddress 127.0.0.1\nPort {self.port}\nHostKey {folder}/host\nPidFile none\nUsePAM no\n"
            f"StrictModes no\nAuthorizedKeysFile {folder}/authorized\nPasswordAuthentication no\n"
            f"SetEnv KDEPS_ROOT={machine.root}\nPermitRootLogin yes\n"
        )
        self._write_client()
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [str(SSHD), "-D", "-e", "-f", str(folder / "sshd_config")],
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        self._wait()

    def _write_client(self) -> None:
        user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
        text = (
            f"Host *\n User {user}\n HostName 127.0.0.1\n UserKnownHostsFile {self.folder}/known\n"
            " StrictHostKeyChecking no\n IdentitiesOnly yes\n IdentityAgent none\n LogLevel ERROR\n"
        )
        for name in (*ANSWERS, "stranger"):
            text += f"Host {name}\n Port {self.port}\n IdentityFile {self.folder}/{name}\n"
        (self.folder / "ssh_config").write_text(text)
        (self.folder / "bin").mkdir()
        wrapper = self.folder / "bin/ssh"
        wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {self.folder}/ssh_config "$@"\n')
        wrapper.chmod(0o755)

    def _wait(self) -> None:
        for _ in range(200):
            assert self.process.poll() is None, self.log.read_text()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        pytest.fail("sshd does not listen")

    def environment(self, tree: Miniature) -> dict[str, str]:
        """PATH with the ssh that knows these hosts in front."""
        return {"PATH": f"{self.folder}/bin:{tree.environment()['PATH']}"}


def _make_key(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Machine, Hosts]]:
    """One machine behind one sshd, for every test here."""
    if SSHD is None or shutil.which("ssh") is None:
        pytest.skip("needs openssh-server")
    Path("/run/sshd").mkdir(exist_ok=True)
    folder = tmp_path_factory.mktemp("ssh")
    machine = Machine(folder / "machine")
    hosts = Hosts(folder, machine)
    yield machine, hosts
    hosts.process.terminate()
    hosts.process.wait()


@pytest.fixture
def built(tree: Miniature, tmp_path: Path) -> Path:
    """The tree's module, as a real one."""
    return put_module(tree, build_module(tmp_path / "new", 2))


def test_another_machine_in_one_round_trip(
    tree: Miniature, built: Path, shared: tuple[Machine, Hosts], kdeps: RunKdeps
) -> None:
    """The user's own ssh runs the script once, and its answer is judged."""
    machine, hosts = shared
    machine.install("updates/nova-core.ko", built.read_bytes())
    machine.load(build_id_of(built))
    before = hosts.log.read_text().count("Accepted publickey")
    done = kdeps(tree, "loaded", "--host=honest", "--format=json", f"M={FOLDER}", env=hosts.environment(tree))
    assert (done.stderr, done.returncode) == ("", 0)
    document = json.loads(done.stdout)
    assert document["machine"]["name"] == "honest"
    assert [link["kind"] for link in document["modules"][0]["links"]][2:5] == [
        "same-link",
        "no-initramfs",
        "same-link",
    ]
    assert hosts.log.read_text().count("Accepted publickey") == before + 1


def test_an_old_module_on_another_machine(
    tree: Miniature, built: Path, shared: tuple[Machine, Hosts], kdeps: RunKdeps, tmp_path: Path
) -> None:
    """What mends it names the machine, and no path of this one."""
    machine, hosts = shared
    machine.install("updates/nova-core.ko", built.read_bytes())
    old = tmp_path / "old.ko"
    old.write_bytes(build_module(tmp_path / "old", 1))
    machine.load(build_id_of(old))
    done = kdeps(tree, "loaded", "--host=chatty", f"M={FOLDER}", env=hosts.environment(tree))
    assert done.returncode == 1
    assert "help: to load it in place of the old one, on chatty" in done.stdout
    assert done.stdout.endswith(
        "stale: nova_core: the loaded module is not the one that was built on chatty\n"
    )


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("stranger", "stranger: ssh failed: "),
        ("lying", "lying: no line `kdeps-facts 1`"),
        ("endless", "endless: "),
        ("binary", "binary: "),
        ("cut", "cut: cut off"),
        ("broken", "broken: no line `kdeps-facts 1`"),
        ("-oProxyCommand=touch_me", "not the name of a host"),
    ],
)
def test_hosts_that_are_no_help(
    tree: Miniature, built: Path, shared: tuple[Machine, Hosts], kdeps: RunKdeps, host: str, says: str
) -> None:
    """Each gives one clear line and exit 2."""
    assert built
    done = kdeps(tree, "loaded", f"--host={host}", f"M={FOLDER}", env=shared[1].environment(tree))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert done.stderr.startswith("kdeps: error: ")
    assert says in done.stderr


def test_a_host_that_hangs(
    tree: Miniature, built: Path, shared: tuple[Machine, Hosts], kdeps: RunKdeps
) -> None:
    """A login that answers nothing, and a port where nothing answers, end with the time limit."""
    assert built
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        config = shared[1].folder / "ssh_config"
        config.write_text(config.read_text() + f"Host deaf\n Port {deaf.getsockname()[1]}\n")
        for host in ("silent", "deaf"):
            done = kdeps(
                tree,
                "loaded",
                f"--host={host}",
                "--timeout=3",
                f"M={FOLDER}",
                env=shared[1].environment(tree),
            )
            assert (done.returncode, done.stderr) == (
                2, f"kdeps: error: {host}: no answer in time; `ssh {host} true` shows whether it can be reached\n",
            )  # fmt: skip


def test_a_host_that_cannot_be_reached(
    tree: Miniature, built: Path, shared: tuple[Machine, Hosts], kdeps: RunKdeps
) -> None:
    """ssh's own words say why."""
    assert built
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = shared[1].folder / "ssh_config"
    config.write_text(config.read_text() + f"Host gone\n Port {port}\n")
    done = kdeps(tree, "loaded", "--host=gone", f"M={FOLDER}", env=shared[1].environment(tree))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "Connection refused" in done.stderr


# -- facts --------------------------------------------------------------------------

WHOLE = b"""kdeps-facts 1
release 7.2.13
version #1 SMP now
boot-id 1-2-3
kernel-id aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
livepatch fix_one
folder 7.2.13
has-folder 1795950521
looked-for nova_core
has-loaded
loaded nova_core live 1496b6142a8afa9b6a2ea7e62f5a9c6e66bd8358
loaded printk built-in -
installed nova_core 0342b458a2bdf5dab866623b4981d8cd9b4c4e3b 1795950521 /lib/modules/7.2.13/with a blank/nova-core.ko
also nova_core /lib/modules/7.2.13/other/nova-core.ko
initramfs /boot/initrd.img-7.2.13
packed nova_core 0342b458a2bdf5dab866623b4981d8cd9b4c4e3b lib/modules/7.2.13/nova-core.ko
end
"""


def test_facts_of_a_serial_line() -> None:
    """Carriage returns and other lines around do not matter."""
    noise = b"[    1.0] Linux version 7\r\nlogin: \xff\xfe\x00\r\n"
    facts = parse_facts(noise + WHOLE.replace(b"\n", b"\r\n") + noise, "serial.log")
    assert facts == parse_facts(WHOLE, "facts")
    assert facts.livepatched == ("fix_one",)
    assert facts.loaded is not None
    assert facts.loaded["printk"].state is LoadState.BUILT_IN
    chosen = facts.installed["nova_core"].chosen
    assert chosen is not None
    assert chosen.path == "/lib/modules/7.2.13/with a blank/nova-core.ko"


def test_every_cut_is_noticed() -> None:
    """Facts that end early are never taken for a machine with less."""
    for length in range(len(WHOLE) - 4):
        with pytest.raises(Unreadable):
            parse_facts(WHOLE[:length], "facts")


@pytest.mark.parametrize(
    "line",
    [
        b"loaded ../../etc live -", b"loaded nova_core live 12zz", b"loaded nova_core", b"has-folder yesterday",
        b"has-folder 99999999999999999999999999", b"installed nova_core - -", b"unknown thing", b"\0", b"kernel-id \0",
        b"looked-for a;rm", b"installed nova_core - - /a\0b", b"version " + b"x" * 10_000, b"packed " + b"y" * 9000,
        b"initramfs-problem ", b"also x",
    ],
)  # fmt: skip
def test_hostile_lines(line: bytes) -> None:
    """A line of another form is one clear line, never a guess."""
    text = WHOLE.replace(b"initramfs /boot", line + b"\ninitramfs /boot")
    with pytest.raises(Unreadable, match=r"^facts:\d+: "):
        parse_facts(text, "facts")


def test_facts_that_are_too_large_or_no_facts() -> None:
    """The bound is said, and so is what a file lacks."""
    with pytest.raises(Unreadable, match="more than 16 MB"):
        parse_facts(bytes(MAX_BYTES + 1), "facts")
    with pytest.raises(Unreadable, match="no line `kdeps-facts 1`"):
        parse_facts(b"#!/bin/sh\n", "facts")


def test_facts_without_the_module(tree: Miniature, built: Path, kdeps: RunKdeps, tmp_path: Path) -> None:
    """The facts of another module do not count."""
    facts = tmp_path / "facts"
    facts.write_bytes(WHOLE.replace(b"looked-for nova_core", b"looked-for other"))
    done = kdeps(tree, "loaded", f"--facts={facts}", "--format=json", f"M={FOLDER}")
    kinds = {link["stage"]: link["kind"] for link in json.loads(done.stdout)["modules"][0]["links"]}
    assert (done.returncode, kinds["installed"]) == (1, "not-collected")
    assert built


@pytest.mark.parametrize(
    "words",
    [
        ("--facts=/nowhere",),
        ("--facts=/dev/null",),
        ("--facts=/",),
        ("--host=a", "--facts=b"),
        ("--script", "--host=a"),
    ],
)
def test_mistakes_of_the_user(tree: Miniature, built: Path, kdeps: RunKdeps, words: tuple[str, ...]) -> None:
    """Each is one line and exit 2."""
    assert built
    done = kdeps(tree, "loaded", *words, f"M={FOLDER}")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_the_script_takes_no_strange_names() -> None:
    """Nothing but a module's name gets into the script."""
    for name in ("", "a b", "$(touch x)", "a'b", "../x"):
        with pytest.raises(UsageError):
            render_script([name], "")
    with pytest.raises(UsageError):
        render_script(["a"], "7'")


def test_the_script_of_every_loaded_module(
    tree: Miniature, tmp_path: Path, kdeps: RunKdeps, built: Path
) -> None:
    """Without make's words the script looks at every loaded module."""
    machine = Machine(tmp_path / "all")
    machine.install("updates/nova-core.ko", built.read_bytes())
    machine.load(build_id_of(built))
    (machine.root / "proc/modules").write_text("nova_core 16384 0 - Live 0x0\n")
    script = kdeps(tree, "loaded", "--script", cwd=tmp_path)
    assert script.returncode == 0
    facts = subprocess.run(
        ["sh", "-s"], input=script.stdout, capture_output=True, text=True, check=True,
        env={**os.environ, "KDEPS_ROOT": str(machine.root)},
    ).stdout  # fmt: skip
    (tmp_path / "facts").write_text(facts)
    done = kdeps(tree, "loaded", f"--facts={tmp_path}/facts", f"M={FOLDER}")
    assert done.returncode == 0
