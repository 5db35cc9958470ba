# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The referee: Kbuild's own answer to "what would you run?", running nothing.

make reads the files that ``MAKEFILES`` names before any makefile, in every
sub-make, and a variable that was set with ``override`` there keeps its value
whatever the makefiles assign.  So the macros that decide whether a recipe runs
are replaced by ones that evaluate Kbuild's own condition, in Kbuild's own
context, and print it.

``make -n`` cannot do this: the Rust rules are ``+``-prefixed and really compile.
Overrides on make's command line can, but they change what is asked: make
exports them to every recipe and expands them once more for it, and their
letters become part of MAKEFLAGS, in which ``scripts/Makefile.modpost`` looks for
an ``i`` (so ``if_changed=`` made every Module.symvers look stale).

More traps, each of which gave a wrong answer once:

* Under tools/ ``any-prereq`` of a fresh target is a single blank: hence ``$(strip)``.
* A target can be printed twice (build_error.o).
* ``.config`` newer than ``auto.conf`` makes make *really* run syncconfig while it
  reads the makefiles.  An empty ``may-sync-config`` prevents it, but alone it also
  empties ``need-compiler`` and with it the compiler's flags, and then every C
  command differs: that is put back.  Neither is for M=, where Kbuild empties
  may-sync-config itself, later.
* tools/objtool links, archives and generates with plain recipes; they begin with
  ``$(QUIET_LINK)``, ``$(call echo-cmd,…)`` and the like.  Behind ``exit 0;`` nothing
  of them happens, not even a redirection.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field

from .layout import Layout

TIMEOUT_S = 300

_IF_CHANGED = (
    "$(if $(strip $(newer-prereqs)$(cmd-check)$(any-prereq)$(arg-check)),"
    "$(info KD|$(CURDIR)|$@|$(or $(newer-prereqs),$(strip $(any-prereq)))"
    "|$(if $(strip $(cmd-check)$(arg-check)),CMD)))@:"
)
_TELL_PLAIN = "$(info KC|$(CURDIR)|$@|$(filter-out $(PHONY) FORCE,$?)|)"
_PLAIN = f"{_TELL_PLAIN}@: "
# These begin a recipe that goes on with the command itself, perhaps with && or >.
_QUIET = f"{_TELL_PLAIN}@exit 0; "
_ECHO_CMD = f"{_TELL_PLAIN}exit 0; "

# filechk runs whenever make comes by and replaces its target only if the content
# differs. Producing the content is harmless; so do, and compare.
_FILECHK = (
    "@{ $(filechk_$1); } > $$KDEPS_FILECHK 2>/dev/null; cmp -s $@ $$KDEPS_FILECHK && w=same || w=differs;"
    ' echo "KF|$(CURDIR)|$@|$(newer-prereqs)|$$w"'
)

_OVERRIDES = {
    **dict.fromkeys(("if_changed", "if_changed_dep", "if_changed_rule", "if_changed_except"), _IF_CHANGED),
    **dict.fromkeys((f"QUIET_{step}" for step in ("LINK", "AR", "CC", "GEN", "INSTALL")), _QUIET),
    "echo-cmd": _ECHO_CMD,
    "cmd": _PLAIN,
    "filechk": _FILECHK,
}
_NO_SYNC = {"may-sync-config": "", "need-compiler": "1"}

_ERROR = re.compile(r"\*\*\* |: error: | Error \d+$|No rule to make target")


@dataclass(frozen=True, slots=True)
class Listed:
    """One target whose recipe Kbuild would run."""

    newer: tuple[str, ...] = ()
    """Prerequisites newer than the target, or missing; as make names them."""
    command: bool = False
    """The command differs from the recorded one, or there is no record."""


@dataclass(slots=True)
class KbuildAnswer:
    """What Kbuild would run for one goal. Targets are absolute paths."""

    recorded: dict[str, Listed] = field(default_factory=dict)
    """Targets of the if_changed family: those that have records."""
    differing: dict[str, Listed] = field(default_factory=dict)
    """filechk targets whose content is not what it should be."""
    rechecked: dict[str, Listed] = field(default_factory=dict)
    """filechk targets with a newer prerequisite but the right content."""
    plain: dict[str, Listed] = field(default_factory=dict)
    """Targets of recipes that are no if_changed: wrappers, links under tools/."""
    errors: tuple[str, ...] = ()
    """What make complained about; the lists are then incomplete."""
    sync: str = ""
    """Not empty when make would run syncconfig first; says why."""


def ask_prepare(layout: Layout, *, extra: Sequence[str] = (), private: str) -> KbuildAnswer:
    answer = _ask(layout, [*extra, "modules_prepare"], _OVERRIDES | _NO_SYNC, private)
    answer.sync = why_sync(layout)
    return answer


def ask_module(
    layout: Layout, module_args: Sequence[str], *, extra: Sequence[str] = (), private: str
) -> KbuildAnswer:
    return _ask(layout, [*module_args, *extra], _OVERRIDES, private)


def ask_whole(layout: Layout, *, private: str) -> KbuildAnswer:
    answer = _ask(layout, ["all"], _OVERRIDES | _NO_SYNC, private)
    answer.sync = why_sync(layout)
    return answer


def ask_whole_prerequisites(layout: Layout, *, private: str) -> dict[str, set[str]]:
    """Return all prerequisites of every rule of plain ``make``."""
    return ask_prerequisites(layout, ["all"], private=private)


def _ask(layout: Layout, args: Sequence[str], overrides: dict[str, str], private: str) -> KbuildAnswer:
    done = _run_make(layout, args, overrides, private)
    answer = KbuildAnswer()
    for line in done.stdout.decode(errors="surrogateescape").splitlines():
        _take_line(answer, line)
    stderr = done.stderr.decode(errors="surrogateescape").splitlines()
    answer.errors = tuple(line for line in stderr if _ERROR.search(line))
    if done.returncode != 0 and not answer.errors:
        answer.errors = (f"make exited {done.returncode}", *stderr[-2:])
    return answer


def _run_make(
    layout: Layout, args: Sequence[str], overrides: dict[str, str], private: str
) -> subprocess.CompletedProcess[bytes]:
    makefile = f"{private}/override.mk"
    with open(makefile, "w", encoding="utf-8") as f:
        f.writelines(f"override {name} = {value}\n" for name, value in overrides.items())
    return subprocess.run(
        ["make", "-k", *layout.make, *args],
        cwd=layout.cwd,
        env={**os.environ, "MAKEFILES": makefile, "KDEPS_FILECHK": f"{private}/filechk"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def _take_line(answer: KbuildAnswer, line: str) -> None:
    tag, _, rest = line.partition("|")
    if tag not in ("KD", "KF", "KC"):
        return
    folder, target, newer, last = rest.split("|", 3)
    if not target:
        return
    path = canonical(folder, target)
    if tag == "KD":
        before = answer.recorded.get(path, Listed())
        answer.recorded[path] = Listed((*before.newer, *newer.split()), before.command or last == "CMD")
    elif tag == "KC":
        answer.plain[path] = Listed(tuple(newer.split()))
    elif last == "differs":
        answer.differing[path] = Listed(tuple(newer.split()))
    elif newer:
        answer.rechecked[path] = Listed(tuple(newer.split()))


def ask_prerequisites(layout: Layout, args: Sequence[str], *, private: str) -> dict[str, set[str]]:
    """Return all prerequisites, as make has them, of every rule of the if_changed family."""
    print_all = "$(info KP|$(CURDIR)|$@|$(filter-out $(PHONY) FORCE,$^)|)@:"
    overrides = _OVERRIDES | {name: print_all for name, value in _OVERRIDES.items() if value == _IF_CHANGED}
    if "modules_prepare" in args or "all" in args:
        overrides |= _NO_SYNC
    found: dict[str, set[str]] = {}
    for line in (
        _run_make(layout, args, overrides, private).stdout.decode(errors="surrogateescape").splitlines()
    ):
        if line.startswith("KP|"):
            _, folder, target, prerequisites, _ = line.split("|", 4)
            rule = found.setdefault(canonical(folder, target), set())
            rule.update(canonical(folder, name) for name in prerequisites.split())
    return found


def canonical(folder: str, target: str) -> str:
    """Make a target's name absolute, as seen from the folder make was in."""
    return os.path.normpath(os.path.join(folder, target))


def why_sync(layout: Layout) -> str:
    """Say why make would run syncconfig, as the rule of auto.conf has it.

    Only times are compared: no mutation here changes a variable that
    auto.conf.cmd holds.
    """
    auto_conf = f"{layout.objtree}/include/config/auto.conf"
    try:
        made = os.stat(auto_conf).st_mtime_ns
    except OSError:
        return "auto.conf is missing"
    for path in (f"{layout.objtree}/.config", *_kconfig_files(layout)):
        try:
            if os.stat(path).st_mtime_ns > made:
                return f"{path} is newer than auto.conf"
        except OSError:
            return f"{path} is missing"
    for name in (
        "include/config/auto.conf.cmd",
        "include/generated/autoconf.h",
        "include/generated/rustc_cfg",
    ):
        if not os.path.exists(f"{layout.objtree}/{name}"):
            return f"{name} is missing"
    return ""


def _kconfig_files(layout: Layout) -> list[str]:
    try:
        with open(
            f"{layout.objtree}/include/config/auto.conf.cmd", encoding="utf-8", errors="surrogateescape"
        ) as f:
            text = f.read()
    except OSError:
        return []
    listed = text.partition("deps_config := \\\n")[2].partition("\n\n")[0]
    return [
        canonical(layout.srctree, name.rstrip("\\").strip())
        for name in listed.splitlines()
        if name.strip(" \\")
    ]
