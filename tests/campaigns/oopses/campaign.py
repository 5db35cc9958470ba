# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The command line: builds and decodes inside the lab, boots outside of it."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.lab.campaign import INSIDE, SHARED, Campaign, enter
from tests.lab.overlay import Scratch
from tests.lab.qemu import boot

from .modules import Module, make_modules
from .referee import find_mistakes, read_answers, read_traces, without_ids

BUILDS = ("first", "second")
GUEST = 4
"""Modules in one guest: after many oopses a kernel may hang."""
TREES = "var/lib/kdeps-lab/trees"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tree", default="small", help="a tree of the lab that QEMU can boot")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=8, help="of modules")


def run(options: argparse.Namespace) -> int:
    """Build, boot, decode, and say how it went; inside the lab, build or decode."""
    modules = make_modules(options.seed, options.count)
    tree = json.loads(Path("/", TREES, f"{options.tree}.json").read_text()) if INSIDE in os.environ else {}
    if os.environ.get(INSIDE) == "build":
        Scratch()
        return _build(tree, modules)
    if os.environ.get(INSIDE) == "decode":
        return _decode(tree)
    with tempfile.TemporaryDirectory(prefix="kdeps-oopses-") as folder:
        return _run(options, Path(folder), modules)


def _run(options: argparse.Namespace, folder: Path, modules: list[Module]) -> int:
    again = [f"--tree={options.tree}", f"--seed={options.seed}", f"--count={options.count}"]
    for stage in ("build", "decode"):
        status = enter(options, "oopses", again, stage=stage, exclusive=False, shared=folder)
        if status:
            return status
        if stage == "build":
            objtree = json.loads((options.lab / TREES / f"{options.tree}.json").read_text())["objtree"]
            _boot(options.lab / objtree[1:] / "arch/x86/boot/bzImage", folder, modules)
    return _judge(folder, modules)


def _build(tree: dict[str, str], modules: list[Module]) -> int:
    """Build all modules, edit them, and build them again in the same folder."""
    folder = SHARED / "modules"
    folder.mkdir()
    (folder / "Makefile").write_text("".join(f"obj-m += {module.name}.o\n" for module in modules))
    for build in BUILDS:
        for module in modules:
            source = folder / f"{module.name}{module.suffix}"
            text = module.first if build == "first" else module.second
            if not source.exists() or source.read_text() != text:
                source.write_text(text)
        command = ["make", "-s", "-j2", *tree["make"], f"M={folder}"]
        status = subprocess.run(command, cwd=tree["cwd"], stdin=subprocess.DEVNULL, check=False).returncode
        if status:
            return status
        shutil.copytree(folder, SHARED / build)
    return 0


def _boot(kernel: Path, folder: Path, modules: list[Module]) -> None:
    """Load all modules of each build in guests, a few in each, and keep the kernels' logs one behind the other."""
    for build in BUILDS:
        log = ""
        for at in range(0, len(modules), GUEST):
            names = [f"{module.name}.ko" for module in modules[at : at + GUEST]]
            files = {name: (folder / build / name).read_bytes() for name in names}
            log += boot(kernel, "".join(f"insmod /{name}\n" for name in names), files=files).console
        (folder / f"{build}.log").write_text(log)
        (folder / f"{build}.plain.log").write_text(without_ids(log))


def _decode(tree: dict[str, str]) -> int:
    """Decode each log against each build, with build ids and without."""
    folder = SHARED / "modules"
    for build in BUILDS:
        shutil.rmtree(folder)
        shutil.copytree(SHARED / build, folder)
        for log in sorted(SHARED.glob("*.log")):
            replay = ["--no-replay"] * (".plain" in log.name)
            result = subprocess.run(
                ["python3", "-m", "kdeps", "decode", *replay, str(log), *tree["make"], f"M={folder}"],
                cwd=tree["cwd"], env={**os.environ, "PYTHONPATH": f"{os.getcwd()}:/mnt/site"},
                stdout=subprocess.PIPE, check=False,
            )  # fmt: skip
            if result.returncode not in (0, 1, 2):
                return result.returncode
            (SHARED / f"{log.name}.{build}.decoded").write_bytes(result.stdout)
    return 0


def _judge(folder: Path, modules: list[Module]) -> int:
    wrong = decided = alike = 0
    names = [module.name for module in modules]
    logs = {build: (folder / f"{build}.log").read_text() for build in BUILDS}
    for log in BUILDS:
        for ids in ("", ".plain"):
            for build in BUILDS:
                answers = read_answers((folder / f"{log}{ids}.log.{build}.decoded").read_text(), names)
                for module in modules:
                    files = [(folder / each / f"{module.name}.ko").read_bytes() for each in BUILDS]
                    traces = [read_traces(logs[each], module.name) for each in BUILDS]
                    is_same = log == build or files[0] == files[1]
                    is_decidable = not ids or traces[0] != traces[1]
                    decided += is_same or is_decidable
                    alike += not (is_same or is_decidable)
                    source = module.first if build == "first" else module.second
                    for mistake in find_mistakes(
                        source,
                        answers[module.name],
                        is_same=is_same,
                        is_decidable=is_decidable,
                        has_lines=not ids,
                    ):
                        wrong += 1
                        print(
                            f"{module.name}{module.suffix} ({module.edit}), log {log}{ids}, build {build}: {mistake}"
                        )
    print(
        f"{len(modules)} modules, {decided} answers that a log decides, {alike} that it does not; {wrong} wrong"
    )
    return 1 if wrong else 0


CAMPAIGN = Campaign(add_options, run, in_lab=False)
