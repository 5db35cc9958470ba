# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The other guest: a kernel of the lab with Rust, and a Rust module that is built inside the lab."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from pathlib import Path

from tests.lab.campaign import INSIDE, SHARED, enter
from tests.lab.overlay import Scratch
from tests.lab.qemu import boot

from .guest import guest_files, guest_script, judge_all
from .scenarios import NAME, Scenario, make_scenarios

TREES = "var/lib/kdeps-lab/trees"
SOURCE = """// SPDX-License-Identifier: GPL-2.0
//! The module of a guest.
use kernel::prelude::*;

module! {{
    type: Guest,
    name: "{name}",
    authors: ["kdeps"],
    description: "kdeps guest module",
    license: "GPL",
}}

struct Guest;

impl kernel::Module for Guest {{
    fn init(_module: &'static ThisModule) -> Result<Self> {{
        pr_info!("{{}}\\n", core::hint::black_box({value}));
        Ok(Guest)
    }}
}}
"""


def run_rust_guest(options: argparse.Namespace, folder: Path) -> list[str]:
    """Build inside the lab, boot outside of it, judge inside; return what is wrong with the answers."""
    again = [f"--tree={options.tree}"]
    if enter(options, "loaded", again, stage="build", exclusive=False, shared=folder):
        return ["the Rust module cannot be built"]
    tree = json.loads((options.lab / TREES / f"{options.tree}.json").read_text())
    objtree = options.lab / tree["objtree"][1:]
    release = (objtree / "include/config/kernel.release").read_text().strip()
    scenarios = rust_scenarios()
    files = guest_files(
        folder, release, (folder / "old.ko").read_bytes(), (folder / f"ext/{NAME}.ko").read_bytes()
    )
    script = guest_script(release, scenarios)
    result = boot(objtree / "arch/x86/boot/bzImage", script, files=files, append="quiet", timeout_s=1800)
    (folder / "output").write_text(result.output)
    if result.status != 0:
        return [f"the guest's script ended with {result.status}:\n{result.output}\n{result.console[-3000:]}"]
    if enter(options, "loaded", again, stage="judge", exclusive=False, shared=folder):
        return ["the answers cannot be judged"]
    failures: list[str] = json.loads((folder / "failures").read_text())
    return failures


def rust_scenarios() -> list[Scenario]:
    """The same steps; the tree has the guest's own vmlinux, and the module does not wait while it is loaded."""
    found = []
    for scenario in make_scenarios():
        if not scenario.is_passing():
            booted = {"booted": "same-kernel"} if "booted" in scenario.kinds else {}
            found.append(scenario._replace(name=f"rust, {scenario.name}", kinds={**scenario.kinds, **booted}))
    return found


def run_inside(options: argparse.Namespace) -> int:
    """Build the module, or judge what the guest printed."""
    tree = json.loads(Path("/", TREES, f"{options.tree}.json").read_text())
    words, source = (*tree["make"], f"M={SHARED}/ext"), SHARED / f"ext/{NAME}.rs"
    if os.environ[INSIDE] == "build":
        Scratch()
        source.parent.mkdir()
        (source.parent / "Makefile").write_text(f"obj-m := {NAME}.o\n")
        for value in (1, 2):
            source.write_text(SOURCE.format(name=NAME, value=value))
            status = subprocess.run(["make", "-s", *words], cwd=tree["cwd"], check=False).returncode
            if status:
                return status
            if value == 1:
                (SHARED / "old.ko").write_bytes(source.with_suffix(".ko").read_bytes())
        return 0
    scenarios = rust_scenarios()
    sections = (SHARED / "output").read_text().split("== scenario ")[1:]
    failures = [] if len(sections) == len(scenarios) else [f"{len(sections)} of {len(scenarios)} steps ran"]
    failures += judge_all(scenarios, sections, SHARED / "facts", words, tree["cwd"])
    source.write_text(SOURCE.format(name=NAME, value=3))
    edited = [scenario.after_edit() for scenario in scenarios]
    failures += judge_all(edited[::4], sections[::4], SHARED / "facts", words, tree["cwd"])
    (SHARED / "failures").write_text(json.dumps(failures))
    return 0
