# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps doctor``: what is well is called well, and each thing that is broken is named."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kdeps.system.cache import Store
from tests.conftest import RunKdeps
from tests.support.miniature import Miniature

NOVA = "M=drivers/gpu/nova-core"

Observations = dict[tuple[str, str], tuple[str, str]]


def _examine(
    kdeps: RunKdeps, tree: Miniature, *words: str, cwd: Path | None = None, env: dict[str, str] | None = None
) -> tuple[int, Observations]:
    done = kdeps(tree, "doctor", "--format=json", *words, cwd=cwd, env=env)
    document = json.loads(done.stdout)
    assert document["schema"] == "kdeps.doctor/1"
    assert document["able"] == (done.returncode == 0)
    found: Observations = {}
    for o in document["observations"]:
        found.setdefault((o["section"], o["name"]), (o["state"], o["text"]))
    return done.returncode, found


def test_a_healthy_tree(tree: Miniature, kdeps: RunKdeps) -> None:
    """Nothing is bad, and the trees, tools and records are named."""
    status, found = _examine(kdeps, tree, NOVA)
    assert status == 0
    assert [key for key, (state, _) in found.items() if state == "bad"] == []
    assert found["tree", "source tree"] == ("ok", f"{tree.srctree} (Linux 7.2)")
    assert found["tree", "module"] == ("ok", str(tree.module))
    assert found["tools", "rustc"][1].startswith("rustc 1.97.1")
    assert "kernel" in found["records", "crates"][1].split(", ")
    assert found["verdict", "fresh"][0] == "ok"
    assert found["not seen", "symbols"][0] == "note"
    assert "no Module.symvers" in found["not seen", "exported symbols"][1]


def test_a_stale_tree_can_be_judged(tree: Miniature, kdeps: RunKdeps) -> None:
    """Stale is an answer, not an illness of kdeps: exit 0."""
    tree.touch("rust/kernel/io.rs")
    status, found = _examine(kdeps, tree, NOVA)
    assert status == 0
    assert found["verdict", "stale"][0] == "bad"


def _cut_record(tree: Miniature) -> None:
    record = tree.objtree / "rust/.kernel.o.cmd"
    record.write_bytes(record.read_bytes()[:200])


def _delete_record(tree: Miniature) -> None:
    (tree.objtree / "rust/.kernel.o.cmd").unlink()


def _record_is_a_folder(tree: Miniature) -> None:
    _delete_record(tree)
    (tree.objtree / "rust/.kernel.o.cmd").mkdir()


def _other_rustc(tree: Miniature) -> None:
    tree.set_version("rustc", "1.98.0")


def _no_bindgen(tree: Miniature) -> None:
    (tree.toolchain / "bin/bindgen").unlink()


def _future(tree: Miniature) -> None:
    later = time.time() + 9999
    os.utime(tree.srctree / "rust/kernel/io.rs", (later, later))


def _config_edited(tree: Miniature) -> None:
    tree.set_config(PCI="n")


def _rustc_fails(tree: Miniature) -> None:
    """As rustup's, where no toolchain is chosen."""
    rustc = tree.toolchain / "bin/rustc"
    rustc.write_text(
        "#!/bin/sh\necho 'error: no default is configured' >&2\necho 'help: run rustup' >&2\nexit 1\n"
    )


def test_debian_names_its_compiler(tree: Miniature, kdeps: RunKdeps) -> None:
    """Its headers set a compiler with a version in its name; an option chooses ccache."""
    (tree.objtree / ".kernelvariables").write_text(
        "override ARCH = x86\nCCACHE = ccache\n"
        "CC = $(if $(DEBIAN_KERNEL_USE_CCACHE),$(CCACHE)) $(CROSS_COMPILE)gcc-12\n"
    )
    gcc = tree.toolchain / "bin/gcc-12"
    gcc.write_text("#!/bin/sh\necho 'gcc-12 (Debian) 12.2.0'\n")
    gcc.chmod(0o755)
    assert _examine(kdeps, tree, NOVA)[1]["tools", "gcc-12"][1].startswith("gcc-12 (Debian) 12.2.0")


def _configured_with_clang(tree: Miniature) -> None:
    """The records name another compiler than this make would use; it is asked as well."""
    inputs = tree.objtree / "include/config/auto.conf.cmd"
    tree.edit(inputs, re.sub(r'CC\)" "\w+"', 'CC)" "clang-99"', inputs.read_text()))
    clang = tree.toolchain / "bin/clang-99"
    clang.write_text("#!/bin/sh\necho 'clang version 99'\n")
    clang.chmod(0o755)


@pytest.mark.parametrize(
    ("break_it", "section", "name", "text", "status"),
    [
        (_cut_record, "records", "incomplete", "/rust/.kernel.o.cmd: ", 0),
        (_delete_record, "records", "incomplete", "/rust/kernel.o: its .cmd file is gone", 0),
        (_record_is_a_folder, "records", "unreadable", "/rust/.kernel.o.cmd: ", 0),
        (_other_rustc, "tools", "rustc", "rustc 1.98.0", 0),
        (_no_bindgen, "tools", "bindgen", "not found; the kernel was built with bindgen 0.72.1", 0),
        (
            _rustc_fails,
            "tools",
            "rustc",
            "fails: `error: no default is configured`; the kernel was built with rustc",
            0,
        ),
        (_configured_with_clang, "tools", "clang-99", "clang version 99", 0),
        (_future, "records", "clock", "rust/kernel/io.rs: changed in the future", 0),
        (_config_edited, "verdict", "config-not-synced", ".config: ", 0),
    ],
)
def test_a_broken_tree(
    break_it: Callable[[Miniature], None],
    section: str,
    name: str,
    text: str,
    status: int,
    tree: Miniature,
    kdeps: RunKdeps,
) -> None:
    """Each thing that can be wrong is named where it belongs."""
    break_it(tree)
    got, found = _examine(kdeps, tree, NOVA)
    assert found[section, name][0] == "bad"
    assert text in found[section, name][1]
    assert got == status


FAILING = """
import os
from kdeps.system.background import run_in_background

def fail():
    raise KeyError("ours")

run_in_background(fail, dict(os.environ))
"""


def test_what_failed_in_the_background_is_told(tree: Miniature, kdeps: RunKdeps, tmp_path: Path) -> None:
    """Nobody waits for what remembers a build, and nobody reads what it prints."""
    environ = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", FAILING], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout + done.stderr == ""
    deadline = time.monotonic() + 30
    while Store("failures", environ).load("background") is None and time.monotonic() < deadline:
        time.sleep(0.05)
    _, found = _examine(kdeps, tree, NOVA, env=environ)
    assert "could not be remembered: KeyError: 'ours' at <string>:6" in found["caches", "failure"][1]


def test_no_tree_at_all(tree: Miniature, kdeps: RunKdeps, tmp_path: Path) -> None:
    """Where there is no kernel the rest is examined all the same: exit 2."""
    status, found = _examine(kdeps, tree, cwd=tmp_path)
    assert status == 2
    assert found["tree", "kernel"][0] == "bad"
    assert ("caches", "folder") in found


def test_a_tree_that_was_never_prepared(tree: Miniature, kdeps: RunKdeps) -> None:
    """Configured, and nothing built: that is stale, and kdeps can say so."""
    tree.make("clean")
    status, found = _examine(kdeps, tree, NOVA)
    assert status == 0
    assert found["verdict", "missing-output"][0] == "bad"
    assert "the Rust crates are not built here" in found["verdict", "missing-output"][1]


def test_the_environment_that_steers_is_shown(tree: Miniature, kdeps: RunKdeps) -> None:
    """Somebody who reads the report elsewhere must see what was in the environment."""
    _, found = _examine(kdeps, tree, NOVA, env={"KBUILD_MODPOST_WARN": "1", "PASSWORD": "secret"})
    assert found["kdeps", "environment"] == ("note", "KBUILD_MODPOST_WARN=1")
    assert "secret" not in str(found)


def test_it_can_be_read(tree: Miniature, kdeps: RunKdeps) -> None:
    """In words: sections, states, and a last line that sums up."""
    done = kdeps(tree, "doctor", NOVA)
    lines = done.stdout.splitlines()
    assert lines[0] == "kdeps"
    assert lines[-1] == "kdeps can judge this build"
    assert max(map(len, lines)) < 200
