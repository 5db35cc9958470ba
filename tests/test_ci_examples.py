# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The examples for pipelines: valid by the CI systems' own schemas, and run on a miniature kernel."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT
from tests.support.miniature import MODULE, Miniature
from tests.support.pipeline import PIPELINES, read_pipeline
from tests.support.schemas import read_gitlab, read_junit, read_sarif

EXAMPLES = CHECKOUT / "examples/ci"
ARGS = f"O=build M={MODULE}"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tree: Miniature, tmp_path: Path) -> Run:
    """Run a command in the source tree, with kdeps and git there, the miniature's tools first."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "kdeps").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m kdeps "$@"\n')
    (folder / "kdeps").chmod(0o755)
    env = tree.environment({"PYTHONPATH": str(CHECKOUT), "KERNEL": "O=build", "MODULE": f"M={MODULE}"})
    env["PATH"] = f"{folder}{os.pathsep}{env['PATH']}"
    for name in ("AUTHOR", "COMMITTER"):
        env |= {f"GIT_{name}_NAME": "a", f"GIT_{name}_EMAIL": "a@b"}
    env |= {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}

    def start(*command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command, cwd=tree.srctree, env=env, capture_output=True, text=True, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert not check or done.returncode == 0, (command, done.stdout, done.stderr)
        return done

    return start


@pytest.fixture
def inside(tree: Miniature, run: Run) -> Miniature:
    """A git repository whose object tree lies in it, as a pipeline has it."""
    tree.objtree.rename(tree.srctree / "build")
    moved = Miniature(tree.root, tree.srctree / "build")
    shutil.rmtree(moved.objtree)
    moved.objtree.mkdir()
    # The miniature links no vmlinux, which would make it.
    (moved.objtree / "Module.symvers").write_text("0x00000000\tkfree\tvmlinux\tEXPORT_SYMBOL\t\n")
    moved.build()
    commit_all(moved, run)
    return moved


def commit_all(tree: Miniature, run: Run) -> None:
    (tree.srctree / ".gitignore").write_text(
        "build/\n*.o\n*.ko\n.*.cmd\n*.mod\n*.mod.c\nmodules.order\nModule.symvers\n*.ledger\n"
    )
    run("git", "init", "-q", "-b", "main")
    run("git", "add", "-A")
    run("git", "commit", "-qm", "base")


def commit(tree: Miniature, run: Run, name: str, text: str) -> str:
    """Commit an edit, and return its hash."""
    tree.append(name, text)
    run("git", "add", "-A")
    run("git", "commit", "-qm", f"edit {name}")
    return run("git", "rev-parse", "HEAD").stdout.strip()


@pytest.mark.parametrize("name", ["github-workflow.yml", "gitlab-ci.yml", "pre-push", "bisect.sh"])
def test_an_example_says_what_for_how_and_what_comes(name: str) -> None:
    """Purpose, usage and output stand at its top."""
    head = (EXAMPLES / name).read_text()[:1500]
    assert re.search(r"# Purpose: .*(\n#.*)*\n# Usage.*(\n#.*)*\n# Output", head)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("github-workflow.yml", ["--builtin-schema", "vendor.github-workflows"]),
        ("gitlab-ci.yml", ["--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"]),
    ],
)
def test_a_pipeline_is_valid(name: str, words: list[str]) -> None:
    """By the schema of its CI system."""
    pytest.importorskip("check_jsonschema")
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", *words, str(EXAMPLES / name)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_installs_from_where_it_is_told(name: str) -> None:
    """kdeps is in no index of packages; what it is installed from is a variable that the user sets."""
    pipeline = read_pipeline(name)
    assert re.search(r"pip install \"\$KDEPS\"$", pipeline.install, re.MULTILINE)
    assert "python3 -m venv" in pipeline.install  # Debian's own Python takes no packages
    assert set(pipeline.variables) == {"KDEPS", "KERNEL", "MODULE", "OPTIONS"}


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_runs_twice(inside: Miniature, run: Run, name: str) -> None:
    """On a kernel that was built, then on the cached build after an edit of the core; its reports are valid."""
    for edit in (None, "rust/kernel/io.rs"):
        if edit:
            commit(inside, run, edit, "pub fn later() {}\n")
        for script in read_pipeline(name).scripts:
            run("bash", "-eo", "pipefail", "-c", script.text, check=script.must)
        tree = inside.srctree
        assert (tree / "kdeps.ledger.gz").exists()
        assert read_junit((tree / "kdeps.xml").read_text()).get("failures") == "0"
        if name.startswith("github"):
            assert read_sarif((tree / "kdeps.sarif").read_text())["results"] == []
        else:
            assert read_gitlab((tree / "gl-code-quality-report.json").read_text()) == []
    assert "later" in (inside.module / "nova-core.ko").read_text()


def test_the_hook_keeps_a_stale_build_from_being_pushed(inside: Miniature, run: Run, tmp_path: Path) -> None:
    """By a real git push: refused after an edit of the core, let through after the build."""
    run("git", "init", "-q", "--bare", str(tmp_path / "upstream"))
    run("git", "remote", "add", "upstream", str(tmp_path / "upstream"))
    shutil.copy(EXAMPLES / "pre-push", inside.srctree / ".git/hooks/pre-push")
    run("git", "push", "-q", "upstream", "main")  # not configured: it minds its own business
    run("git", "config", "kdeps.make", ARGS)
    commit(inside, run, "rust/kernel/io.rs", "pub fn later() {}\n")
    done = run("git", "push", "-q", "upstream", "main", check=False)
    assert done.returncode != 0
    assert "crate `kernel` is older than rust/kernel/io.rs" in done.stderr
    assert "pre-push: not pushed: what you tested is not what you push" in done.stderr
    run("git", "config", "kdeps.make", "M=no/such/module")
    done = run("git", "push", "-q", "upstream", "main", check=False)
    assert "pre-push: not pushed: kdeps could not tell" in done.stderr
    run("git", "config", "kdeps.make", ARGS)
    inside.make("modules_prepare")
    inside.make(f"M={MODULE}")
    run("git", "push", "-q", "upstream", "main")
    assert run("git", "rev-parse", "upstream/main").stdout == run("git", "rev-parse", "main").stdout


def test_the_bisection_finds_what_the_build_does_not_have(
    inside: Miniature, run: Run, tmp_path: Path
) -> None:
    """By a real git bisect run, over commits that touch nothing of it, and one that does."""
    good = run("git", "rev-parse", "HEAD").stdout.strip()
    ledger = str(tmp_path / "good.ledger")
    run("kdeps", "ci", "--record", ledger, *ARGS.split())
    guilty = ""
    for at in range(12):
        name = "rust/kernel/io.rs" if at == 7 else f"{MODULE}/Kconfig.notes"
        if at != 7:
            inside.edit(name, f"note {at}\n")
        made = commit(inside, run, name, f"// {at}\n")
        guilty = made if at == 7 else guilty
    done = run("sh", str(EXAMPLES / "bisect.sh"), good, "main", ledger, *ARGS.split())
    assert f"{guilty} is the first bad commit" in done.stdout
    assert run("git", "rev-parse", "--abbrev-ref", "HEAD").stdout.strip() == "main"


def test_a_bisection_skips_what_cannot_be_told(inside: Miniature, run: Run, tmp_path: Path) -> None:
    """A ledger that cannot be read says nothing about any commit; git then knows nothing, and says so."""
    good = run("git", "rev-parse", "HEAD").stdout.strip()
    for at in range(3):
        commit(inside, run, "rust/kernel/io.rs", f"// {at}\n")
    done = run(
        "sh", str(EXAMPLES / "bisect.sh"), good, "main", str(tmp_path / "none"), *ARGS.split(), check=False
    )
    assert done.returncode != 0
    assert "first bad commit" not in done.stdout or "could be any of" in done.stdout


def test_the_modules_of_a_range_split_into_parts(inside: Miniature, run: Run) -> None:
    """Each is in one part, and what the range does not affect is in none."""
    base = run("git", "rev-parse", "HEAD").stdout.strip()
    commit(inside, run, "rust/kernel/io.rs", "// later\n")
    everything = run("kdeps", "ci", "--since", base, "--shard", "1/1", "O=build").stdout.split()
    assert everything == [MODULE]
    parts = [
        run("kdeps", "ci", "--since", f"{base}..main", "--shard", f"{i}/2", "O=build").stdout.split()
        for i in (1, 2)
    ]
    assert sorted(parts[0] + parts[1]) == everything
    assert run("kdeps", "ci", "--since", "HEAD", "--shard", "1/1", "O=build").stdout == ""
    told = run("kdeps", "ci", "--since", base, "O=build").stdout
    assert "kernel" in told
    assert MODULE in told
    for wrong in (
        ["--shard", "1/2"],
        ["--since", base, "--shard", "3/2"],
        ["--since", base, "--format", "sarif"],
        ["--since", base, "--output", "json=since.json"],
        ["--since", base, "--scope", "tree"],
        ["--compare", "one", "two", "--format", "json"],
    ):
        done = run("kdeps", "ci", *wrong, "O=build", check=False)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
