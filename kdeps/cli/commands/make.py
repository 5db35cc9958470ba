# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps make``: its options; ``kdeps.cli.make`` has the body."""

from __future__ import annotations

import click

from kdeps.cli.choices import OnStale, With
from kdeps.cli.make import run_make
from kdeps.cli.options import make_args_command, words_argument


@make_args_command
@click.option(
    "--on-stale", type=click.Choice([choice.value for choice in OnStale]),
    help="What to do about stale kernel artifacts: rebuild them first (the default), only warn, or fail.",
)  # fmt: skip
@click.option(
    "--with", "with_", type=click.Choice([choice.value for choice in With]), default="make", show_default=True,
    help="Which program refreshes. Ninja skips the steps behind an output that did not change; make runs what ninja cannot replay.",
)  # fmt: skip
@words_argument("make_args")
def make(on_stale: str | None, with_: str, make_args: tuple[str, ...]) -> int:
    """Refresh stale kernel artifacts, then run make.

    MAKE_ARGS is what you would give make, verbatim. If make would build a module (M=)
    on stale Rust crates, headers or configuration, kdeps refreshes them first, by
    `make modules_prepare` with your own options. Then it runs make. If nothing is
    stale, or no module is built, it only runs make.

    Artifacts that were built before from the same contents, by the same tools, are put
    back instead of built again: after a change of branch or of .config and back, or
    after make clean. KDEPS_STORE names a folder or an HTTP cache (https://…) with the
    steps that others have run (`kdeps ci --store`); they are taken as well.

    KDEPS_ON_STALE does what --on-stale does. For root in another user's tree the
    default is to warn. After a bug in kdeps itself it prints a warning, and make runs
    as asked.

    \b
    Exit status:
      as make exits; but
      1  stale and --on-stale=fail, or still stale after the refresh
      2  bad arguments to kdeps itself

    \b
    Examples:
      kdeps make LLVM=1 O=../build M=drivers/gpu/nova-core -j8
      kdeps make --on-stale=fail M=samples/rust
    """
    return run_make(make_args, on_stale=OnStale(on_stale) if on_stale else None, with_=With(with_))
