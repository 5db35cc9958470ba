# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The one command of the lab: a campaign, or any command inside."""

from __future__ import annotations

import argparse
import sys

from . import __doc__ as usage
from .campaign import NAMES, add_lab_options, run_campaign
from .enter import run_in_lab
from .site import dependency_site


def main(arguments: list[str]) -> int:
    if arguments and arguments[0] in NAMES:
        return run_campaign(arguments[0], arguments[1:])
    parser = argparse.ArgumentParser(
        prog="python3 -m tests.lab",
        usage="%(prog)s CAMPAIGN [OPTION]…\n       %(prog)s [--lab DIR] -- COMMAND…",
        description=usage,
        epilog=f"Campaigns: {', '.join(NAMES)}.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_lab_options(parser)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)
    with dependency_site(options.site) as site:
        return run_in_lab(options.lab, options.command, site=site)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
