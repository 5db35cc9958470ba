# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What a campaign is, and the way it goes into the lab."""

from __future__ import annotations

import argparse
import importlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .enter import run_in_lab
from .site import dependency_site

NAMES = (
    "conformance", "whole", "refresh", "replay", "moves", "explain", "questions", "ledger", "oopses", "systemd",
    "loaded", "watch", "savedcmd", "pipelines",
)  # fmt: skip
INSIDE = "KDEPS_LAB_INSIDE"
"""Set in the environment of a run inside the lab, to the name of the stage."""
SHARED = Path("/mnt/out")
"""Where a folder of the host is inside the lab."""


@dataclass(frozen=True)
class Campaign:
    """One campaign: ``CAMPAIGN`` in ``tests/campaigns/NAME/campaign.py``; its package's docstring is its help."""

    add_options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
    in_lab: bool = True
    """Whether ``run`` is called inside the lab; outside, ``run`` may itself ``enter``."""
    exclusive: bool = True
    """Whether it needs the lab for itself."""
    shared: Callable[[argparse.Namespace], Path | None] = lambda _options: None
    """A folder of the host that is to be ``SHARED`` inside."""


def run_campaign(name: str, arguments: Sequence[str]) -> int:
    """Parse the arguments of a campaign and run it where it belongs; return its exit status."""
    package = importlib.import_module(f"tests.campaigns.{name}")
    campaign: Campaign = importlib.import_module(f"{package.__name__}.campaign").CAMPAIGN
    parser = argparse.ArgumentParser(
        prog=f"python3 -m tests.lab {name}",
        description=package.__doc__,
        epilog="Exit status: 0 as it must be, 1 it is not, 2 the campaign could not run.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_lab_options(parser)
    campaign.add_options(parser)
    options = parser.parse_args(arguments)
    if not campaign.in_lab or INSIDE in os.environ:
        return campaign.run(options)
    shared = campaign.shared(options)
    return enter(options, name, arguments, exclusive=campaign.exclusive, shared=shared)


def add_lab_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which lab, and with which Python packages."""
    parser.add_argument(
        "--lab", type=Path, default=Path("/var/tmp/kdeps-lab"), help="the chroot made by make-lab.sh"
    )
    parser.add_argument("--site", type=Path, help="folder with the Python packages that kdeps needs; default: a copy of this Python's")  # fmt: skip


def enter(
    options: argparse.Namespace,
    name: str,
    arguments: Sequence[str],
    *,
    stage: str = "1",
    exclusive: bool = True,
    shared: Path | None = None,
) -> int:
    """Run the same campaign with the same arguments inside the lab; return its exit status."""
    with dependency_site(options.site) as site:
        return run_in_lab(
            options.lab,
            ["python3", "-m", "tests.lab", name, *arguments],
            site=site,
            mounts={SHARED.name: shared} if shared else {},
            environ={INSIDE: stage},
            exclusive=exclusive,
        )
