# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Which error rustc will give the module for what is wrong with the kernel's crates.

rustc speaks of crates it cannot find or that do not fit, and its advice (``cargo
build``, ``rustup target add``) is not for a kernel. Each prediction was seen with
rustc 1.85 on Linux 7.2:

* metadata gone or empty, of any crate the module loads: E0463 for the crate the
  module *names* (``kernel``), not for the one that is gone (``bindings``);
* a crate rebuilt with other content below one that was not: E0463 for the latter
  (rustc has E0460 for this too, which was not seen here);
* crates of another compiler: E0514, if none of its flags is unknown to it;
* another target specification than the crates were built for: E0461.
"""

from __future__ import annotations

from kdeps import NamedTuple
from kdeps.kbuild.rule import Owner, Rule
from kdeps.staleness.reasons import Reason, ReasonKind
from kdeps.staleness.snapshot import Snapshot

_METADATA = (".rmeta", ".so", ".rlib")


class Prediction(NamedTuple):
    """What a module that has to be compiled now would end with."""

    code: str
    """``E0463``; ``rustc --explain`` knows them."""
    certain: bool
    """``False``: only if the content differs, which a time stamp does not tell."""
    message: str
    """What the error means here."""


WRONG_COMPILER = Prediction(
    "E0514", True, "a module fails with `compiled by an incompatible version of rustc`, or at a flag"
)  # fmt: skip


def predict_error(rule: Rule, reason: Reason, snapshot: Snapshot) -> Prediction | None:
    """Predict what rustc says of a module that uses what this stale rule of the kernel made.

    Returns None where the module compiles, if on old code.
    """
    if rule.owner is not Owner.KERNEL:
        return None
    metadata = [path for path in rule.outputs if path.endswith(_METADATA)]
    if not metadata:
        return None
    crate = _crate(metadata[0])
    if any(path not in snapshot.mtime_ns or path in snapshot.empty for path in metadata):
        named = crate if crate == "core" else "kernel"
        also = f", which needs `{crate}`" if named != crate else ""
        return Prediction("E0463", True, f"can't find crate for `{named}`{also}")
    if reason.kind is not ReasonKind.NEWER_PREREQUISITE:
        return None
    if reason.path.endswith("/scripts/target.json"):
        return Prediction("E0461", False, f"couldn't find crate `{crate}` with the expected target")
    if reason.path.endswith(_METADATA):
        other = _crate(reason.path)
        return Prediction(
            "E0463",
            False,
            f"can't find crate for `{crate}`: it was compiled against another `{other}` (E0460)",
        )
    return None


def _crate(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[0][3:]
