# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""From what an old module was built, in words: for a machine that has it, and for a log that is of it."""

from __future__ import annotations

from collections.abc import Callable

from kdeps.report.sentences import clock_time
from kdeps.running.provenance import Origin
from kdeps.system.text import counted, printable


def origin_text(origin: Origin, show: Callable[[str], str], now_s: float) -> str:
    """Say when and from what something was built: "built at 14:02:11 from v7.2-rc3, before a.rs was edited"."""
    commit = f" from {printable(origin.commit)}" if origin.commit else ""
    if origin.linked_s is None:
        ledger = f"ledger {show(origin.ledger)} records"
        return f"built{commit}, as {ledger}" if commit else f"the build that {ledger}"
    text = f"built {clock_time(origin.linked_s, now_s=now_s)}{commit}"
    if origin.edited:
        more = len(origin.edited) - 1
        others = f" and {counted(more, 'more file')}" if more else ""
        text += f", before {show(origin.edited[0])}{others} {'were' if more else 'was'} edited"
    elif origin.edited is not None:
        text += ", from the sources as they are now"
    return text
