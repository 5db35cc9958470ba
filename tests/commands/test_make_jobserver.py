# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps make`` from inside another make."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.make_wrapper import KDEPS, NEW, M, Wrapped
from tests.support.miniature import has_deletion_sense

# -- from inside another make ------------------------------------------------------


@pytest.mark.parametrize("style", ["pipe", "fifo"])
def test_inside_a_make_the_refresh_shares_its_jobs(make: Wrapped, tmp_path: Path, style: str) -> None:
    """No ``-j`` of its own, no lost job server, and steps of the refresh run side by side."""
    if style == "fifo" and not has_deletion_sense():
        pytest.skip("this make has no fifo job server (4.4 and later have)")
    make.tree.append("rust/compiler_builtins.rs", "// x\n")
    outer = tmp_path / "Makefile"
    words = " ".join(make.tree.tree_args)
    outer.write_text(f"all:\n\t+{' '.join(KDEPS)} -C {make.tree.srctree} {words} {M} -j2\n")
    probe = make.tree.toolchain / "bin/rustc"
    make.tree.replace(
        probe,
        "\nclass Options:",
        '\nif os.environ.get("SPANS") and any(a.startswith("--emit=obj") for a in sys.argv):\n'
        "    import time\n    start = time.time()\n    time.sleep(0.4)\n"
        '    open(os.environ["SPANS"], "a").write(f"{start} {time.time()}\\n")\n\n\nclass Options:',
    )
    spans = tmp_path / "spans"
    done = subprocess.run(
        ["make", "-j3", f"--jobserver-style={style}" if has_deletion_sense() else "-j3"],
        cwd=tmp_path, env=make.environment({"SPANS": str(spans)}), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "jobserver unavailable" not in done.stderr
    assert f"refreshing: make -C {make.tree.srctree} {words} modules_prepare" in done.stderr
    times = [tuple(map(float, line.split())) for line in spans.read_text().splitlines()]
    assert any(a is not b and a[0] < b[0] < a[1] for a in times for b in times), "one after the other"
    make.assert_fresh()


def test_assignments_of_an_outer_make_count(make: Wrapped, tmp_path: Path) -> None:
    """``make O=…`` around it is seen, and its ``M=`` does not leak into the refresh."""
    make.add_code()
    outer = tmp_path / "Makefile"
    outer.write_text(f"all:\n\t+{' '.join(KDEPS)} -C {make.tree.srctree}\n")
    done = subprocess.run(
        ["make", *make.tree.tree_args, M], cwd=tmp_path, env=make.environment(), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert NEW in make.module()
    make.assert_fresh()


def test_a_dry_run_of_an_outer_make_changes_nothing(make: Wrapped, tmp_path: Path) -> None:
    """``make -n`` reaches kdeps through a ``+`` line."""
    make.add_code()
    kernel = make.tree.objtree / "rust/kernel.o"
    before = kernel.stat().st_mtime_ns
    outer = tmp_path / "Makefile"
    outer.write_text(
        f"all:\n\t+{' '.join(KDEPS)} -C {make.tree.srctree} {' '.join(make.tree.tree_args)} {M}\n"
    )
    subprocess.run(
        ["make", "-n"], cwd=tmp_path, env=make.environment(), capture_output=True, text=True, check=False
    )
    assert kernel.stat().st_mtime_ns == before
