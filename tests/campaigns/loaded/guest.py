# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What a guest has and does, and whether the answers about it are right."""

from __future__ import annotations

import gzip
import json
import lzma
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from kdeps.running.script import render_script
from tests.lab.qemu import pack_cpio

from .scenarios import NAME, PRELUDE, Scenario

COLLECT = "su -s /bin/sh nobody -c 'sh /m/collect.sh'"


def guest_files(folder: Path, release: str, old: bytes, new: bytes) -> dict[str, bytes]:
    """What is in a guest's root: the module in every form."""
    (folder / "stripped.ko").write_bytes(new)
    subprocess.run(["strip", "--strip-debug", str(folder / "stripped.ko")], check=True)
    files = {
        "new.ko": new, "old.ko": old, "stripped.ko": (folder / "stripped.ko").read_bytes(),
        "signed.ko": new + b"a signature" * 50 + b"~Module signature appended~\n",
        "new.ko.xz": lzma.compress(new), "old.ko.xz": lzma.compress(old), "new.ko.gz": gzip.compress(new),
        "new.ko.zst": b"\x28\xb5\x2f\xfd" + new[:64], "none": b"",
    }  # fmt: skip
    files |= images(release, old, new)
    files["collect.sh"] = render_script([NAME], release).encode()
    users = b"root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n"
    return {"etc/passwd": users, **{f"m/{name}": data for name, data in files.items()}}


def images(release: str, old: bytes, new: bytes) -> dict[str, bytes]:
    """Files of ``/boot`` that busybox cannot make: packed by xz, one archive behind another, one that is cut off."""
    path = f"lib/modules/{release}/x/kdeps_guest.ko"
    archives = {
        name: pack_cpio({"etc/hosts": b"hosts", path: data}) for name, data in (("old", old), ("new", new))
    }
    microcode = pack_cpio({"kernel/x86/microcode/GenuineIntel.bin": b"\1" * 700})
    behind = gzip.compress(archives["new"]) + bytes(4) + lzma.compress(archives["old"])
    return {
        "new.img.xz": microcode + lzma.compress(archives["new"], check=lzma.CHECK_CRC32),
        "behind.img": microcode + behind,
        "cut.img": gzip.compress(archives["new"])[:-100],
    }


def guest_script(release: str, scenarios: list[Scenario], more: Sequence[str] = ()) -> str:
    """Every step with the collection of facts behind it, which needs no root."""
    lines = [PRELUDE, f'[ "$(uname -r)" = {release} ] || exit 9']
    for scenario in scenarios:
        lines += ["reset", f"echo '== scenario {scenario.name}'", scenario.script, COLLECT]
    return "\n".join([*lines, *more, "exit 0"])


def judge_all(
    scenarios: list[Scenario],
    sections: list[str],
    facts: Path,
    words: tuple[str, ...],
    cwd: str | None = None,
) -> list[str]:
    """Judge the facts of each scenario, and return what is wrong with the answers."""
    failures = []
    for scenario, section in zip(scenarios, sections, strict=False):
        facts.write_text(section)
        failures += judge(scenario, facts, words, section, cwd)
    return failures


def judge(
    scenario: Scenario, facts: Path, words: tuple[str, ...], section: str, cwd: str | None
) -> list[str]:
    """Ask kdeps, and return what is wrong with its answer."""
    done = subprocess.run(
        [sys.executable, "-m", "kdeps", "loaded", f"--facts={facts}", "--format=json", *words],
        capture_output=True, text=True, check=False, cwd=cwd,
    )  # fmt: skip
    if done.stderr or done.returncode not in (0, 1, 2):
        return [f"{scenario.name}: {done.returncode}: {done.stderr}\n{section}"]
    links = json.loads(done.stdout)["modules"][0]["links"]
    kinds = {link["stage"]: link["kind"] for link in links}
    wrong = {stage: kinds.get(stage) for stage, kind in scenario.kinds.items() if kinds.get(stage) != kind}
    if done.returncode == scenario.status and not wrong:
        return []
    return [f"{scenario.name}: status {done.returncode}, not {scenario.status}; {wrong}\n{section}"]
