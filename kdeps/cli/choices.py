# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What the options of the commands can be set to. Imports no click: `check` and `make` read it."""

from __future__ import annotations

from enum import Enum


class CiFormat(str, Enum):
    """How to print a report."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    JUNIT = "junit"
    GITHUB = "github"
    GITLAB = "gitlab"


class Format(str, Enum):
    """How to print a verdict."""

    TEXT = "text"
    JSON = "json"


class Colour(str, Enum):
    """When to use colour."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class OnStale(str, Enum):
    """What to do about a stale build."""

    REBUILD = "rebuild"
    WARN = "warn"
    FAIL = "fail"


class With(str, Enum):
    """What carries a refresh out."""

    MAKE = "make"
    NINJA = "ninja"
    """Where it can replay every step from the record; else make."""


class By(str, Enum):
    """What decides about a file that changed."""

    CONTENT = "content"
    """What it holds, where the memory of builds knows; else its time."""
    TIME = "time"
    """Its time alone, as make has it."""
