# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What can be chosen: light, for the command line knows it before anything else is loaded."""

from __future__ import annotations

from enum import Enum


class Extent(str, Enum):
    """What of a tree is judged."""

    MODULE = "module"
    """What the make arguments name: a module, several, or the kernel's own artifacts."""
    MODULES = "modules"
    """Those, and every module below the source tree that has a record of this object tree."""
    TREE = "tree"
    """What plain ``make`` builds: vmlinux and every module of its configuration; and what ``M=`` names."""


class CiFormat(str, Enum):
    """How to print a report."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    JUNIT = "junit"
    GITHUB = "github"
    GITLAB = "gitlab"
