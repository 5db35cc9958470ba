# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Build the module twice, boot the guest once, judge every scenario."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from kdeps.running.module_file import read_module
from tests.lab.campaign import INSIDE, Campaign
from tests.lab.qemu import CloudKernel, boot, fetch_cloud_kernel

from .guest import guest_files, guest_script, judge_all
from .rust_guest import run_inside, run_rust_guest, rust_scenarios
from .scenarios import NAME, make_scenarios

SOURCE = """// SPDX-License-Identifier: GPL-2.0
#include <linux/delay.h>
#include <linux/module.h>
static int wait_ms;
module_param(wait_ms, int, 0444);
static int leave_ms;
module_param(leave_ms, int, 0444);
static int value = {value};
module_param(value, int, 0444);
static int __init guest_init(void)
{{
	msleep(wait_ms);
	return value ? 0 : -22;
}}
static void __exit guest_exit(void)
{{
	msleep(leave_ms);
}}
module_init(guest_init);
module_exit(guest_exit);
MODULE_DESCRIPTION("kdeps guest module");
MODULE_LICENSE("GPL");
"""
OF_DEBIAN = ("lib/crc7.ko", "lib/crc-itu-t.ko", "crypto/crc32_generic.ko")
"""Signed modules of the kernel package that need no other."""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tree", default="small", help="a tree of the lab that QEMU can boot")
    parser.add_argument("--kernel", type=Path, default=Path("/var/tmp/kdeps-cloud-kernel"))


def run(options: argparse.Namespace) -> int:
    if shutil.which("qemu-system-x86_64") is None:
        raise SystemExit("loaded: error: no qemu-system-x86_64; install qemu-system-x86")
    kernel = fetch_cloud_kernel(options.kernel)
    try:
        install_headers(kernel)
    except subprocess.CalledProcessError:  # the kernel is of an earlier run, and Debian has another one now
        shutil.rmtree(options.kernel)
        kernel = fetch_cloud_kernel(options.kernel)
        install_headers(kernel)
    with tempfile.TemporaryDirectory(prefix="kdeps-loaded-") as name:
        os.environ["XDG_CACHE_HOME"] = f"{name}/cache"
        return build_and_judge(Path(name), kernel)


def install_headers(kernel: CloudKernel) -> None:
    """Install the headers of the kernel, unless they are there."""
    if not Path(f"/lib/modules/{kernel.release}/build").exists():
        package = f"linux-headers-{kernel.release}"
        subprocess.run(["apt-get", "-qqy", "--no-install-recommends", "install", package], check=True)


def build_and_judge(folder: Path, kernel: CloudKernel) -> int:
    """Build, boot and judge in a folder; return the exit status."""
    words = ("-C", f"/lib/modules/{kernel.release}/build", f"M={folder}/ext")
    old = build(folder / "ext", words, 1)
    new = build(folder / "ext", words, 2)
    scenarios = make_scenarios()
    files = guest_files(folder, kernel.release, old, new)
    files |= {f"m/{Path(name).name}": (kernel.modules / "kernel" / name).read_bytes() for name in OF_DEBIAN}
    result = boot(
        kernel.image, guest_script(kernel.release, scenarios, debian_steps()), files=files, append="quiet", timeout_s=1800
    )  # fmt: skip
    if result.status != 0:
        print(f"the guest's script ended with {result.status}:\n{result.output}\n{result.console[-3000:]}")
        return 1
    sections = result.output.split("== scenario ")[1:]
    failures = [] if len(sections) == len(scenarios) else [f"{len(sections)} of {len(scenarios)} steps ran"]
    failures += judge_all(scenarios, sections, folder / "facts", words)
    (folder / f"ext/{NAME}.c").write_text(SOURCE.format(value=3))
    edited = [scenario.after_edit() for scenario in scenarios]
    failures += judge_all(edited[::4], sections[::4], folder / "facts", words)
    failures += compare_ids(kernel, result.output)
    answers = len(scenarios) + len(edited[::4])
    print("\n".join(failures) or f"loaded: {len(scenarios)} scenarios, {answers} answers, all right")
    return 1 if failures else 0


def run_in_both(options: argparse.Namespace) -> int:
    """Run with Debian's kernel, then with the lab's; inside the lab, build or judge."""
    if INSIDE in os.environ:
        return run_inside(options)
    status = run(options)
    with tempfile.TemporaryDirectory(prefix="kdeps-loaded-") as name:
        failures = run_rust_guest(options, Path(name))
    count = len(rust_scenarios())
    print(
        "\n".join(failures)
        or f"loaded: {count} scenarios with a Rust module, {count + len(rust_scenarios()[::4])} answers, all right"
    )
    return 1 if failures else status


def build(folder: Path, words: tuple[str, ...], value: int) -> bytes:
    folder.mkdir(exist_ok=True)
    (folder / "Makefile").write_text(f"obj-m := {NAME}.o\n")
    (folder / f"{NAME}.c").write_text(SOURCE.format(value=value))
    subprocess.run(["make", *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return (folder / f"{NAME}.ko").read_bytes()


def debian_steps() -> list[str]:
    """Load modules of Debian, and print their ids."""
    return [
        f"insmod /m/{Path(name).name} && echo '== id {module}' && od -An -v -tx1 /sys/module/{module}/notes/.note.gnu.build-id"
        for name in OF_DEBIAN
        for module in [Path(name).stem.replace("-", "_")]
    ]


def compare_ids(kernel: CloudKernel, output: str) -> list[str]:
    """Compare the ids of Debian's signed modules with those that the kernel shows."""
    failures = []
    for name in OF_DEBIAN:
        path = kernel.modules / "kernel" / name
        module = path.stem.replace("-", "_")
        wanted = read_module(str(path)).build_id
        _, _, after = output.partition(f"== id {module}\n")
        shown = "".join(after.partition("==")[0].split())
        if wanted is None or wanted not in shown:
            failures.append(f"{module}: the file has {wanted}, the kernel shows {shown}")
    return failures


CAMPAIGN = Campaign(add_options, run_in_both, in_lab=False)
