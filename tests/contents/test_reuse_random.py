# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What is settled and put back after mutations is what one of two builds made of the same inputs."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz.reuse import World, run_case


def test_no_step_is_spared_whose_inputs_were_never_built(tmp_path: Path) -> None:
    """A sample; `python -m tests.fuzz.reuse` has as many cases as one likes."""
    world = World(tmp_path)
    results = [run_case(world, seed) for seed in range(30)]
    assert [line for _, wrong in results for line in wrong] == []
    assert sum(spared for spared, _ in results) > 60
