# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What a module says of itself, and of the clock it was built by."""

from __future__ import annotations

import os
import time

from tests.conftest import RunKdeps, paste_help
from tests.support.elf_objects import RELEASE, put, vermagic
from tests.support.miniature import Miniature
from tests.support.schemas import read_json
from tests.support.verdict import M, judged, kinds


def test_a_module_of_another_release(tree: Miniature, kdeps: RunKdeps) -> None:
    """Headers of another release, older than the module: make does nothing, and it would not load. The help cures it."""
    other = b"\0vermagic=7.1.9 SMP mod_unload \0"
    for name in (".module-common.o", "nova-core.ko"):
        put(tree.module / name, (tree.module / name).read_bytes() + other)
    assert tree.rebuilds(M) == set()
    verdict = judged(kdeps, tree, M)
    assert verdict["verdict"] == "stale"
    assert kinds(verdict) == ["other-kernel"]
    issues = read_json(kdeps(tree, "ci", "--format=json", M).stdout)["issues"]
    assert [issue["kind"] for issue in issues] == ["other-kernel"]
    done = kdeps(tree, "check", M)
    assert "was built for 7.1.9" in done.stdout
    paste_help(tree, done.stdout)
    assert judged(kdeps, tree, M)["verdict"] == "fresh"


def test_headers_with_two_releases(tree: Miniature, kdeps: RunKdeps) -> None:
    """In the headers of Debian 12 kernel.release is not what modules are compiled with; utsrelease.h is."""
    put(tree.objtree / "include/config/kernel.release", b"6.1.192\n")
    words = [w for w in vermagic(tree).split() if w != RELEASE]
    own = f"\0vermagic={' '.join([RELEASE, *words])} \0".encode()
    for name in (".module-common.o", "nova-core.ko"):
        put(tree.module / name, (tree.module / name).read_bytes() + own)
    assert "other-kernel" not in kinds(judged(kdeps, tree, M))


def test_a_build_dated_in_the_future(tree: Miniature, kdeps: RunKdeps) -> None:
    """What is edited before that date is old to make: nobody can tell, and the clock is named."""
    ahead = time.time_ns() + 3_600_000_000_000
    for folder in (tree.objtree, tree.module):
        for path in folder.rglob("*"):
            if path.is_file():
                os.utime(path, ns=(ahead, ahead))
    tree.touch("rust/kernel/io.rs")
    assert tree.kernel_answer("modules_prepare") == []
    verdict = judged(kdeps, tree, M)
    assert verdict["verdict"] == "unknown"
    assert kinds(verdict)[0] == "clock"
    assert "min in the future by this machine's clock" in verdict["findings"][0]["message"]
    assert kdeps(tree, "make", "--on-stale=fail", M).returncode == 1
