# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Which part of make's arguments and environment a build can depend on.

* make's arguments and ``MAKEFLAGS``, without those that only say how fast or how
  loud to work (``-j``, ``-s``; a job server);
* the environment, because Makefiles, probes and ``$(shell …)`` may read any name;
  without the names that only shells, terminals and desktops read.
"""

from __future__ import annotations

from kdeps.system.cache import fingerprint

TYPE_CHECKING = False  # typing itself is not imported on the way of a fresh build
if TYPE_CHECKING:
    from collections.abc import Iterable

_NOISE = frozenset(
    (
        "_", "OLDPWD", "SHLVL", "TERM", "COLORTERM", "TERMCAP", "COLUMNS", "LINES", "WINDOWID", "DISPLAY",
        "WAYLAND_DISPLAY", "STY", "WINDOW", "LS_COLORS", "LS_OPTIONS", "PAGER", "LESS", "LESSOPEN", "LESSCLOSE",
        "MANPAGER", "EDITOR", "VISUAL", "PS1", "PS2", "PS4", "PROMPT_COMMAND", "MAIL", "INVOCATION_ID",
        "JOURNAL_STREAM", "GPG_TTY", "GPG_AGENT_INFO", "SESSION_MANAGER", "DBUS_SESSION_BUS_ADDRESS",
        "DESKTOP_SESSION", "XAUTHORITY", "NO_COLOR", "CLICOLOR", "MEMORY_PRESSURE_WATCH", "MEMORY_PRESSURE_WRITE",
        "MFLAGS", "MAKEFLAGS", "GNUMAKEFLAGS", "MAKELEVEL", "MAKE_TERMOUT", "MAKE_TERMERR", "MAKEOVERRIDES",
    )
)  # fmt: skip
"""Names whose value no command is made from. ``MAKEFLAGS`` is looked at word by word instead."""
_NOISE_PREFIXES = ("SSH_", "TMUX", "XDG_", "KDEPS_", "VTE_", "KITTY_", "ALACRITTY_", "WEZTERM_", "ITERM_", "GNOME_", "KDE_",
                   "QT_", "GTK_", "HIST", "LC_TERMINAL", "TERM_PROGRAM", "VSCODE_")  # fmt: skip
_HOW = (
    "-j",
    "--jobs",
    "--jobserver",
    "-l",
    "--load-average",
    "-O",
    "--output-sync",
    "--sync-mutex",
    "--no-print",
)
"""Options that say how to work, not what to make."""
_QUIET = frozenset(
    ("-s", "--silent", "--quiet", "-k", "--keep-going", "-w", "--print-directory", "--", "V=0", "V=1", "V=2")
)


def fingerprint_environment(parts: Iterable[str]) -> str:
    """Something short that is equal for equal parts: an environment may hold secrets, and those are not to be kept."""
    return fingerprint("\0".join(parts).encode("utf-8", "surrogateescape"))


def settings(environ: dict[str, str]) -> list[str]:
    """The environment, without ``MAKEFLAGS`` and without what no build depends on; sorted."""
    return sorted(
        f"{name}={value}"
        for name, value in environ.items()
        if name not in _NOISE and not name.startswith(_NOISE_PREFIXES)
    )


def inherited_flags(environ: dict[str, str]) -> list[str]:
    """The words of ``MAKEFLAGS`` that say what to make."""
    texts = [text for text in map(environ.get, ("GNUMAKEFLAGS", "MAKEFLAGS")) if text]
    if not texts:
        return []  # and no parser is needed
    from kdeps.formats.makeflags import split_flags

    return [word for text in texts for word in split_flags(text) if says_what(word)]


def says_what(word: str) -> bool:
    """Whether an argument of make says what to make, not only how."""
    return not word.startswith(_HOW) and word not in _QUIET
