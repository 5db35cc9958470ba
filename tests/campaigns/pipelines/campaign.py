# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Run each pipeline in an overlay of its own."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.lab.campaign import INSIDE, SHARED, Campaign, enter
from tests.lab.overlay import COVERED, Scratch
from tests.lab.run import each_apart

_CHECKOUT = "/opt/checkout"
"""A copy for each job, because pip builds in the folder itself."""
_EDITED = "rust/kernel/print.rs"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", help="the name of one of the examples")
    parser.add_argument("--tree", default="small", help="a whole kernel of the lab (default %(default)s)")


def run(options: argparse.Namespace) -> int:
    """Enter the lab with what the jobs need, run every pipeline there, and return the exit status."""
    if INSIDE not in os.environ:
        with tempfile.TemporaryDirectory(prefix="kdeps-job-") as folder:
            _fill(Path(folder))
            words = ["--tree", options.tree, *(["--only", options.only] if options.only else [])]
            return enter(options, "pipelines", words, shared=Path(folder))
    tree = json.loads(Path(f"/var/lib/kdeps-lab/trees/{options.tree}.json").read_text())
    pipelines = json.loads((SHARED / "pipelines.json").read_text())
    inputs = [(name, pipeline, tree) for name, pipeline in pipelines.items() if options.only in (None, name)]
    failed = sum(each_apart(_run_pipeline, inputs, len(inputs)))
    print(f"pipelines: {len(inputs)} run, {failed} failed")
    return int(bool(failed))


def _fill(folder: Path) -> None:
    """Write what a job gets from outside: the scripts, and the packages that kdeps is built and run with."""
    from tests.support.pipeline import PIPELINES, read_pipeline

    texts = {name: read_pipeline(name)._asdict() for name in PIPELINES}
    (folder / "pipelines.json").write_text(json.dumps(texts))
    needed = [name for name in importlib.metadata.requires("kdeps") or () if "extra ==" not in name]
    pip = [sys.executable, "-m", "pip", "wheel", "-qq", "-w", str(folder)]
    subprocess.run([*pip, "setuptools>=77", "click-man", *needed], check=True)


class Failed(Exception):
    """A pipeline did not do what it is there for."""


def _run_pipeline(given: tuple[str, dict[str, object], dict[str, str]]) -> bool:
    name, pipeline, tree = given
    started = time.monotonic()
    try:
        Scratch((*COVERED, "/etc", "/opt", "/var"))
        Job(name, pipeline, tree).run()
    except Failed as failure:
        print(f"FAIL {name}: {failure}", flush=True)
        return True
    print(f"ok   {name}: {time.monotonic() - started:.0f} s", flush=True)
    return False


class Job:
    """One pipeline, in an overlay of its own."""

    def __init__(self, name: str, pipeline: dict[str, object], tree: dict[str, str]) -> None:
        self.github = name.startswith("github")
        self.install = str(pipeline["install"])
        self.scripts: list[tuple[str, str, bool]] = pipeline["scripts"]  # type: ignore[assignment]  # from JSON
        self.srctree, self.objtree = Path(tree["srctree"]), Path(tree["objtree"])
        self.paths = Path("/opt/github-path")
        variables: dict[str, str] = pipeline["variables"]  # type: ignore[assignment]  # from JSON
        kept = {key: os.environ[key] for key in ("HOME", "PATH", "LC_ALL", "TERM")}
        place = {"GITHUB_WORKSPACE": str(self.srctree), "GITHUB_PATH": str(self.paths)}
        here = place if self.github else {"CI_PROJECT_DIR": str(self.srctree)}
        packages = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(SHARED)}
        self.environ = {**kept, **variables, **here, **packages, "KDEPS": _CHECKOUT}

    def run(self) -> None:
        """Set the machine up, configure from nothing, then use a build that a cache has restored, after an edit.

        A workflow runs before that, too, because only its second run has a ledger to judge by.
        """
        shutil.copytree("/mnt/kdeps", _CHECKOUT)
        self.paths.write_text("")
        (self.srctree / "build").unlink(missing_ok=True)
        self.start("the set-up", self.install)
        added = self.paths.read_text().split() or ["/opt/kdeps/bin"]
        self.environ["PATH"] = ":".join([*added, self.environ["PATH"]])
        self.start("the configuration", self.configuration())
        text = (self.srctree / "build/.config").read_text()
        for line in ("CONFIG_RUST=y", "CONFIG_NOVA_CORE=m"):
            if f"{line}\n" not in text:
                raise Failed(f"the options do not give {line}")
        shutil.rmtree(self.srctree / "build")
        (self.srctree / "build").symlink_to(self.objtree)
        if self.github:
            self.start_all()
        with open(self.srctree / _EDITED, "a", encoding="ascii") as file:
            file.write("// edited\n")
        said = self.start_all()
        if self.github and f"::error file={_EDITED}" not in said:
            raise Failed("the restored build is stale, and no annotation says so")
        if "RUSTC L rust/kernel.o" not in said:
            raise Failed("the crate was not refreshed")

    def configuration(self) -> str:
        """Return the part of the scripts that makes the configuration."""
        (text,) = [text for _, text, _ in self.scripts if "rust.config" in text]
        head, brace, _ = text.partition("}\n")
        return head + brace

    def start_all(self) -> str:
        """Run all scripts; return what they said."""
        return "".join(self.start(name, text, must=must) for name, text, must in self.scripts)

    def start(self, name: str, text: str, *, must: bool = True) -> str:
        """Run one script as a runner does; return what it said."""
        command = ["bash", "-eo", "pipefail", "-c", text]
        done = subprocess.run(
            command, cwd=self.srctree, env=self.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", check=False,
        )  # fmt: skip
        if must and done.returncode != 0:
            raise Failed(f"{name} ended with status {done.returncode}:\n{done.stdout[-3000:]}")
        return done.stdout


CAMPAIGN = Campaign(add_options, run, in_lab=False)
