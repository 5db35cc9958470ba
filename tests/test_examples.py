# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Every example does what it says, on a miniature kernel."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.commands.test_snippet import NEW, SNIPPET, edit_core, environment
from tests.conftest import CHECKOUT
from tests.support.miniature import MODULE, Miniature

EXAMPLES = CHECKOUT / "examples"


def run(
    command: list[str], cwd: Path, env: dict[str, str], text: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, env=env, input=text, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "path", ["in-tree-loop/loop.sh", "out-of-tree/Makefile", "dkms/dkms.conf", "dkms/Makefile"]
)
def test_an_example_says_what_for_how_and_what_comes(path: str) -> None:
    """Purpose, usage and output stand at its top."""
    head = (EXAMPLES / path).read_text()[:1500]
    assert re.search(r"# Purpose: .*(\n#.*)*\n# Usage.*(\n#.*)*\n# Output", head)


def test_the_loop_builds_an_edit_of_the_core_into_the_driver(tree: Miniature, tmp_path: Path) -> None:
    """Two rounds: the first builds, the second after an edit."""
    env = environment(tree, tmp_path)
    loop = ["sh", str(EXAMPLES / "in-tree-loop/loop.sh"), *tree.tree_args, f"M={MODULE}"]
    assert run(loop, tree.srctree, env).returncode == 0
    tree.append("rust/kernel/io.rs", f"pub fn {NEW}() {{}}\n")
    done = run(loop, tree.srctree, env, "\n")
    assert done.returncode == 0
    assert done.stdout.count("Enter builds again") == 2
    assert done.stderr.count("refreshed in") == 1
    assert NEW in (tree.module / "nova-core.ko").read_text()


def test_a_module_outside_the_tree_builds_on_fresh_crates(tree: Miniature, tmp_path: Path) -> None:
    """With the snippet in its Makefile, a plain ``make`` is enough."""
    module = tmp_path / "module"
    shutil.copytree(EXAMPLES / "out-of-tree", module)
    make = ["make", f"KDEPS_SNIPPET={SNIPPET}"]
    env = environment(tree, tmp_path)
    first = run(make, module, env)
    assert first.returncode == 0, first.stderr
    edit_core(tree)
    done = run(make, module, env)
    assert done.returncode == 0, done.stderr
    assert "kdeps: stale: crate `kernel` is older than" in done.stderr
    assert NEW in (module / "hello.ko").read_text()
    assert run([*make, "clean"], module, env).returncode == 0
    assert not (module / "hello.ko").exists()


@pytest.mark.parametrize("snippet", [True, False], ids=["with the snippet", "without it"])
def test_a_dkms_build_reports_and_leaves_the_kernel_alone(
    tree: Miniature, tmp_path: Path, snippet: bool
) -> None:
    """The MAKE line of dkms.conf, as DKMS runs it: as root, for a kernel that another user has built."""
    module = tmp_path / "var/lib/dkms/hello"
    shutil.copytree(EXAMPLES / "dkms", module)
    if snippet:
        shutil.copy(SNIPPET, module)
    conf = (module / "dkms.conf").read_text()
    lines = {key: re.search(rf'^{re.escape(key)}="(.*)"$', conf, re.M) for key in ("MAKE[0]", "CLEAN")}
    env = environment(tree, tmp_path, KDEPS_ON_STALE="" if os.geteuid() == 0 else "warn", KDIR="")
    edit_core(tree)
    if os.geteuid() == 0:
        os.chown(tree.objtree, 12345, 12345)
    kernel = tree.objtree / "rust/kernel.o"
    before = kernel.stat().st_mtime_ns
    for key in ("MAKE[0]", "CLEAN"):
        found = lines[key]
        assert found
        done = run(["sh", "-c", found[1].replace("${kernel_source_dir}", str(tree.objtree))], module, env)
        assert done.returncode == 0, done.stderr
        if key == "MAKE[0]":
            assert (module / "hello.ko").exists()
            assert ("kdeps: warning: stale" in done.stderr) == snippet
    assert kernel.stat().st_mtime_ns == before
