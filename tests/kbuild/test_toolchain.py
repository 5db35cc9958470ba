# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Which compiler a build would use: asked once for each binary, and again whenever it could be another one."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kdeps.kbuild.toolchain import chooses_by_folder, describe_silence, shows_changes, version_text

SWITCH = r"""
#include <stdio.h>
#include <stdlib.h>
int main(void)
{
    char line[200];
    FILE *asked = fopen(getenv("ASKED"), "a"), *version = fopen(getenv("VERSION"), "r");
    fputs("x", asked);
    puts(fgets(line, sizeof(line), version));
    return 0;
}
"""
"""A compiler that is a binary, and whose version lies elsewhere, as that of a switch does."""


class Toolchain:
    """A folder in ``PATH`` with one program in it, which counts how often it is started."""

    def __init__(self, root: Path, binary: Path) -> None:
        self.root, self.binary = root, binary
        self.environ = {
            "PATH": f"{root}/bin",
            "HOME": str(root),
            "XDG_CACHE_HOME": f"{root}/cache",
            "ASKED": f"{root}/asked",
            "VERSION": f"{root}/version",
        }
        (root / "bin").mkdir()
        self.set_version("rustc 1.85.1")

    def set_version(self, text: str) -> None:
        """What it says of itself from now on."""
        (self.root / "version").write_text(text + "\n")

    def asked(self) -> int:
        """How often it was started."""
        file = self.root / "asked"
        return file.stat().st_size if file.exists() else 0

    def install(self, name: str, real: str | None = None) -> Path:
        """Put it into ``PATH`` under a name; ``real``: as a link to a program of that name."""
        path = self.root / "bin" / name
        if real is None:
            shutil.copy(self.binary, path)
        else:
            shutil.copy(self.binary, self.root / real)
            path.symlink_to(self.root / real)
        return path

    def version(self, name: str, **more: str) -> str:
        """What kdeps takes it for."""
        return version_text(name, {**self.environ, **more}, str(self.root))


@pytest.fixture(scope="session")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, compiled once."""
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    folder = tmp_path_factory.mktemp("switch")
    (folder / "switch.c").write_text(SWITCH)
    subprocess.run(["gcc", "-w", "-o", "switch", "switch.c"], cwd=folder, check=True)
    return folder / "switch"


@pytest.fixture
def toolchain(tmp_path: Path, binary: Path) -> Toolchain:
    return Toolchain(tmp_path, binary)


@pytest.mark.parametrize(
    "name", ["rustc", "x86_64-linux-gnu-gcc-12", "clang-19", "bindgen", "make", "pahole"]
)
def test_a_binary_is_asked_once(name: str, toolchain: Toolchain) -> None:
    """Starting a compiler costs as much as a whole check; an answer that rests on others is not kept."""
    toolchain.install(name)

    assert [toolchain.version(name) for _ in range(3)] == ["rustc 1.85.1"] * 3
    assert toolchain.asked() == 1
    assert shows_changes(name, toolchain.environ, str(toolchain.root))


def test_another_binary_of_that_name_is_asked(toolchain: Toolchain) -> None:
    """An upgrade writes a new file."""
    path = toolchain.install("rustc")
    toolchain.version("rustc")
    toolchain.set_version("rustc 1.96.0")
    path.unlink()
    toolchain.install("rustc")

    assert toolchain.version("rustc") == "rustc 1.96.0"


def _default(toolchain: Toolchain) -> None:
    (toolchain.root / ".rustup/settings.toml").write_text('default_toolchain = "beta"\n')


def _update(toolchain: Toolchain) -> None:
    (toolchain.root / ".rustup/update-hashes/stable").write_text("hash\n")


def _file(toolchain: Toolchain) -> None:
    (toolchain.root / "rust-toolchain.toml").write_text('[toolchain]\nchannel = "1.96"\n')


@pytest.mark.parametrize("change", [_default, _update, _file])
def test_rustup_is_asked_when_its_choice_could_be_another(
    change: Callable[[Toolchain], None], toolchain: Toolchain
) -> None:
    """``rustup default``, ``rustup update``, a toolchain file: the rustc in PATH is the same binary all along."""
    for name in ("update-hashes", "toolchains"):
        (toolchain.root / ".rustup" / name).mkdir(parents=True)
    _default(toolchain)
    toolchain.install("rustc", "rustup")
    assert toolchain.version("rustc") == toolchain.version("rustc") == "rustc 1.85.1"
    assert toolchain.asked() == 1
    toolchain.set_version("rustc 1.96.0")

    change(toolchain)

    assert toolchain.version("rustc") == "rustc 1.96.0"


def test_rustup_is_asked_for_another_toolchain_of_the_environment(toolchain: Toolchain) -> None:
    """``RUSTUP_TOOLCHAIN`` decides before everything else."""
    toolchain.install("rustc", "rustup")
    toolchain.version("rustc")
    toolchain.set_version("rustc 1.96.0")

    assert toolchain.version("rustc", RUSTUP_TOOLCHAIN="nightly") == "rustc 1.96.0"


def test_a_compiler_cache_under_the_compilers_name_is_asked_every_time(toolchain: Toolchain) -> None:
    """Debian's /usr/lib/ccache/clang is ccache, which stays the same while clang is upgraded."""
    toolchain.install("clang", "ccache")
    toolchain.version("clang")
    toolchain.set_version("clang version 21")

    assert toolchain.version("clang") == "clang version 21"


def test_a_script_is_asked_every_time(toolchain: Toolchain) -> None:
    """It may run whatever it likes."""
    script = toolchain.root / "bin/rustc"
    script.write_text('#!/bin/sh\nread line < "$VERSION"; echo "$line"\n')
    script.chmod(0o755)
    toolchain.version("rustc")
    toolchain.set_version("rustc 1.96.0")

    assert toolchain.version("rustc") == "rustc 1.96.0"


def test_no_such_compiler_is_no_version(toolchain: Toolchain) -> None:
    """As Kbuild has it then; and nothing is remembered."""
    assert toolchain.version("rustc") == ""
    toolchain.install("rustc")

    assert toolchain.version("rustc") == "rustc 1.85.1"


@pytest.mark.parametrize("switch", ["snap", "mise", "sccache", "shim"])
def test_a_switch_that_is_not_known_is_asked_every_time(switch: str, toolchain: Toolchain) -> None:
    """snap and mise put themselves behind the compiler's name; what they choose shows in no file of theirs."""
    toolchain.install("rustc", switch)
    toolchain.version("rustc")
    toolchain.set_version("rustc 1.96.0")

    assert toolchain.version("rustc") == "rustc 1.96.0"
    assert chooses_by_folder("rustc", toolchain.environ, str(toolchain.root))


@pytest.mark.parametrize("name", ["clang-19", "x86_64-linux-gnu-gcc-14", "rustc-1.85", "bindgen"])
def test_a_compiler_with_a_version_in_its_name_is_itself(name: str, toolchain: Toolchain) -> None:
    """/usr/bin/gcc leads to x86_64-linux-gnu-gcc-14, which is a compiler: it is asked once."""
    toolchain.install("cc", name)

    assert [toolchain.version("cc") for _ in range(2)] == ["rustc 1.85.1"] * 2
    assert toolchain.asked() == 1
    assert not chooses_by_folder("cc", toolchain.environ, str(toolchain.root))


def test_a_linked_toolchain_that_was_built_again_is_asked(toolchain: Toolchain) -> None:
    """``rustup toolchain link``: only the files of the linked folder change."""
    linked = toolchain.root / ".rustup/toolchains/mine/bin"
    linked.mkdir(parents=True)
    (linked / "rustc").write_text("one")
    toolchain.install("rustc", "rustup")
    toolchain.version("rustc")
    toolchain.set_version("rustc 1.96.0")
    (linked / "rustc").write_text("built again")

    assert toolchain.version("rustc") == "rustc 1.96.0"


def test_a_relative_compiler_is_found_from_where_make_stands(toolchain: Toolchain) -> None:
    """``RUSTC=bin/rustc`` with ``-C``, and an empty entry in PATH: both mean make's folder, not ours."""
    toolchain.install("rustc")

    assert toolchain.version("bin/rustc") == "rustc 1.85.1"
    folder = str(toolchain.root / "bin")
    assert version_text("rustc", {**toolchain.environ, "PATH": "/nowhere:"}, folder) == "rustc 1.85.1"


def test_what_a_compiler_complains_of_is_kept(toolchain: Toolchain) -> None:
    """One that is there and fails is not called missing."""
    script = toolchain.root / "bin/rustc"
    root = str(toolchain.root)
    assert describe_silence("rustc", toolchain.environ, root) == "is not found"
    script.write_text("#!/bin/sh\necho 'error: no default is configured' >&2\nexit 1\n")
    script.chmod(0o755)
    assert describe_silence("rustc", toolchain.environ, root) == "fails: `error: no default is configured`"
