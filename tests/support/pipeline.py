# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The pipelines of ``examples/ci``, as the shell scripts that a runner would start."""

from __future__ import annotations

from typing import Any, NamedTuple

import yaml

from tests.conftest import CHECKOUT

PIPELINES = ("github-workflow.yml", "gitlab-ci.yml")


class Script(NamedTuple):
    """What one shell runs."""

    name: str
    text: str
    must: bool
    """The pipeline ends where it fails."""


class Pipeline(NamedTuple):
    """One job."""

    install: str
    """What sets the machine up: the first script of a workflow, ``before_script`` of a GitLab job."""
    scripts: tuple[Script, ...]
    """All others, in their order."""
    variables: dict[str, str]


def read_pipeline(name: str) -> Pipeline:
    """Read one of the examples."""
    document: Any = yaml.safe_load((CHECKOUT / "examples/ci" / name).read_text())
    if name.startswith("gitlab"):
        job = document["kdeps"]
        script = Script("script", "\n".join(job["script"]), True)
        return Pipeline("\n".join(job["before_script"]), (script,), job["variables"])
    steps = [step for step in document["jobs"]["module"]["steps"] if "run" in step]
    scripts = [Script(step["name"], step["run"], not step.get("continue-on-error", False)) for step in steps]
    return Pipeline(scripts[0].text, tuple(scripts[1:]), document["env"])
