# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Complete a parameter that is typed: what click calls for make's words, names and revisions."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click
    from click.shell_completion import CompletionItem

    from kdeps.query.complete import Candidate


def complete_argument(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete one of make's words, or one of the names that a command takes among them (``words``)."""
    from kdeps.query.complete import complete_make, complete_name, complete_path

    with_names = param.name == "words"
    before = tuple(word for word in ctx.params.get(param.name or "") or () if not word.startswith("--"))
    cwd, environ = os.getcwd(), dict(os.environ)
    if before and before[-1] == "-C":
        return _as_items(complete_path(incomplete, cwd, folders_only=True))
    found: list[Candidate] = []
    if with_names and "=" not in incomplete:
        found += complete_name(before, incomplete, cwd, environ)
    # Goals are make's; a question has none.
    known = complete_make(before, incomplete, cwd, environ)
    return _as_items([*found, *(word for word in known if "=" in word.value or not with_names)])


def complete_revision(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete a branch or a tag."""
    from kdeps.query.complete import Candidate
    from kdeps.query.git import list_revisions

    del ctx, param
    names = list_revisions(os.getcwd(), dict(os.environ))
    return _as_items([Candidate(name, "revision") for name in names if name.startswith(incomplete)])


def _as_items(candidates: list[Candidate]) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(candidate.value, help=candidate.help) for candidate in candidates]
