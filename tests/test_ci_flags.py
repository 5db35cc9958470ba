# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What was compiled so that it does not go together, behind times that are all right."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from kdeps.demo.miniature import MODULE, Miniature
from tests.conftest import RunKdeps
from tests.objects import configured, put
from tests.reports import read_json
from tests.test_ci_mixed import ONE, metadata


def stale_of(kdeps: RunKdeps, tree: Miniature) -> tuple[int, list[Any], list[str]]:
    """Exit status, what is wrong, and what helps."""
    done = kdeps(tree, "ci", "--format=json", f"M={MODULE}")
    report = read_json(done.stdout)
    return done.returncode, [i for i in report["issues"] if i["verdict"] == "stale"], report["cure"]


def reword(path: Path, pattern: str, new: str) -> None:
    """Change a record's command, and that only, behind its mtime."""
    head, line, rest = path.read_text().partition("\n")
    assert re.search(pattern, head), head
    put(path, (re.sub(pattern, new, head, count=1) + line + rest).encode())


@pytest.mark.parametrize("name", ["rustc_cfg", "autoconf.h"])
def test_a_generated_configuration_of_another_build(tree: Miniature, kdeps: RunKdeps, name: str) -> None:
    """One symbol more or less than auto.conf has, behind its mtime: named; and what was compiled with it goes, too."""
    path = tree.objtree / "include/generated" / name
    text = path.read_text()
    symbol = next(
        line.partition("=")[0] for line in (tree.objtree / "include/config/auto.conf").read_text().splitlines() if line.endswith("=y")
    )  # fmt: skip
    gone = "".join(line for line in text.splitlines(keepends=True) if not re.search(rf"{symbol}\b", line))
    assert gone != text
    put(path, gone.encode())
    assert kdeps(tree, "check", f"M={MODULE}").returncode == 0
    status, (issue,), cure = stale_of(kdeps, tree)
    assert status == 1
    assert issue["kind"] == "flags-differ"
    assert (
        f"include/generated/{name} is not the configuration of include/config/auto.conf: {symbol};"
        in issue["message"]
    )
    assert cure[0].startswith(f"rm -f {path}")
    assert ("kernel.o" in cure[0]) == (name == "rustc_cfg")
    more = (
        f'--cfg=CONFIG_MORE\n--cfg=CONFIG_MORE="y"\n{text}'
        if name == "rustc_cfg"
        else f"#define CONFIG_MORE 1\n{text}"
    )
    put(path, more.encode())
    assert "CONFIG_MORE" in stale_of(kdeps, tree)[1][0]["message"]
    put(path, re.sub(r"(CONFIG_LOG_BUF_SHIFT\W+)17", r"\g<1>18", text).encode())
    assert "CONFIG_LOG_BUF_SHIFT" in stale_of(kdeps, tree)[1][0]["message"]
    put(path, b"")
    assert symbol in stale_of(kdeps, tree)[1][0]["message"]
    put(path, text.encode())
    assert stale_of(kdeps, tree)[:2] == (0, [])


def test_a_crate_for_another_target(tree: Miniature, kdeps: RunKdeps) -> None:
    """A crate's metadata holds the target's file as it was; blanks at its ends are none of its."""
    rustc = configured(tree, "CONFIG_RUSTC_VERSION_TEXT")
    target = tree.objtree / "scripts/target.json"
    put(tree.objtree / "rust/libcore.rmeta", metadata(ONE, compiler=rustc))
    status, (issue,), cure = stale_of(kdeps, tree)
    assert status == 1
    assert "crate `core` was compiled for another target than scripts/target.json" in issue["message"]
    assert cure[0] == f"rm -f {tree.objtree}/rust/core.o"
    put(target, b'{\n    "arch": "x86_64"\n}\n\n')
    assert stale_of(kdeps, tree)[:2] == (0, [])


def add_object(tree: Miniature, stem: str, flags: str) -> None:
    """A C object of the module, as old as the module, with its record; the miniature builds none."""
    moment = os.stat(tree.module / "nova_core.o").st_mtime_ns
    texts = {
        f"{stem}.c": "",
        f"{stem}.o": "object",
        f".{stem}.o.cmd": f"savedcmd_{stem}.o := {flags} -c -o {stem}.o {stem}.c\n\nsource_{stem}.o := {stem}.c\n\n"
        f"deps_{stem}.o := \\\n\n{stem}.o: $(deps_{stem}.o)\n\n$(deps_{stem}.o):\n",
    }
    for name, text in texts.items():
        path = tree.module / name
        path.write_text(text)
        os.utime(path, ns=(moment, moment))


FLAGS = "gcc -m64 -fcf-protection=none -mretpoline-external-thunk -fno-common"


def c_records(tree: Miniature) -> tuple[Path, ...]:
    """Of the kernel's own C, and of what is compiled for every module."""
    own = (tree.module / ".nova-core.mod.o.cmd", tree.module / "..module-common.o.cmd")
    return (tree.objtree / "rust/helpers/.helpers.o.cmd", *own)


@pytest.fixture
def compiled(tree: Miniature) -> Miniature:
    """Records of C with the words that a real kernel has."""
    for record in c_records(tree):
        reword(record, "gcc ", f"{FLAGS} ")
    return tree


def test_flags_that_make_an_abi(compiled: Miniature, kdeps: RunKdeps) -> None:
    """What Kbuild compiles for every module, against the kernel's own C; harmless words and other compilers say nothing."""
    tree = compiled
    assert stale_of(kdeps, tree)[:2] == (0, [])
    record = tree.module / ".nova-core.mod.o.cmd"
    reword(record, " -fno-common", " -fno-common -fno-jump-tables -O3 -mcmodel=large")
    assert stale_of(kdeps, tree)[:2] == (0, [])
    reword(record, " -mretpoline-external-thunk", "")
    status, (issue,), cure = stale_of(kdeps, tree)
    assert status == 1
    assert issue["kind"] == "flags-differ"
    assert (
        "with nothing of that kind, the kernel (rust/helpers/helpers.o) with -mretpoline-external-thunk"
        in issue["message"]
    )
    assert cure[0] == f"rm -f {tree.module}/nova-core.mod.o"
    reword(record, r"gcc ", "clang ")
    assert stale_of(kdeps, tree)[0] == 0


def test_a_single_object_may_have_its_own(compiled: Miniature, kdeps: RunKdeps) -> None:
    """lkdtm's rodata.o is compiled without return thunks by its Makefile: a note."""
    tree = compiled
    add_object(tree, "nova-extra", f"{FLAGS} -mfunction-return=thunk-extern")
    reword(tree.module / ".nova-core.mod.cmd", r"nova_core\.o", "nova_core.o nova-extra.o")
    done = kdeps(tree, "ci", "--format=json", f"M={MODULE}")
    issues = [i for i in read_json(done.stdout)["issues"] if i["kind"] == "flags-differ"]
    assert done.returncode == 0
    (issue,) = issues
    assert issue["verdict"] == "fresh"
    assert issue["message"].startswith("nova-extra.o was compiled with -mfunction-return=thunk-extern, ")


@pytest.mark.parametrize(
    ("rust", "c"),
    [("-Zsanitizer=kcfi", "-fsanitize=kcfi"), ("-Zcf-protection=branch", "-fcf-protection=branch")],
)
def test_protections_that_both_languages_must_have(
    compiled: Miniature, kdeps: RunKdeps, rust: str, c: str
) -> None:
    """One of them alone breaks every call between the two."""
    tree = compiled
    for name in (*(tree.objtree / "rust").glob(".*.o.cmd"), *tree.module.glob(".nova_core.o.cmd")):
        if "--emit=" in name.read_text():
            reword(name, "--emit=", f"{rust} --emit=")
    status, issues, _ = stale_of(kdeps, tree)
    assert status == 1
    assert [i["kind"] for i in issues] == ["flags-differ"]
    assert issues[0]["message"].endswith("rust/helpers/helpers.o was not: they do not go together")
    for record in c_records(tree):
        reword(record, "gcc ", f"gcc {c} ")
    assert stale_of(kdeps, tree)[:2] == (0, [])
