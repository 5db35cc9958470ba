# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Read what Kconfig left: ``auto.conf`` and ``auto.conf.cmd``.

Source: linux ``scripts/kconfig/confdata.c`` (``conf_write_autoconf``,
``conf_write_autoconf_cmd``).
"""

from __future__ import annotations

import re

from kdeps import NamedTuple
from kdeps.formats.words import split_words

_ESCAPED = re.compile(r"""\\(["\\])""")


class ConfigInputs(NamedTuple):
    """``include/config/auto.conf.cmd``: what the synced configuration was made from."""

    files: tuple[str, ...]
    """Every Kconfig file that was read, as written: relative to the source tree, or absolute."""
    variables: tuple[tuple[str, str], ...]
    """Environment values Kconfig saw; make syncs again when one of them differs."""


def parse_value(text: str, symbol: str) -> str | None:
    """Find the value of ``CONFIG_<symbol>``, without its quotes, in an ``auto.conf`` or ``.config``; None if it is
    not set.
    """
    key = f"CONFIG_{symbol}="
    if text.startswith(key):
        start = len(key)
    else:
        at = text.find("\n" + key)
        if at < 0:
            return None
        start = at + 1 + len(key)
    end = text.find("\n", start)
    value = text[start : end if end >= 0 else len(text)]
    if len(value) >= 2 and value[0] == value[-1] == '"':
        value = _ESCAPED.sub(r"\1", value[1:-1])
    return value


def parse_symbols(text: str) -> dict[str, str]:
    """Every symbol that an ``auto.conf`` or ``.config`` gives a value, by its whole name (``CONFIG_PCI``).

    Without the quotes and backslashes of strings: they stand in .config and (since 5.14) not in auto.conf.
    """
    pairs = (line.partition("=") for line in text.split("\n") if line.startswith("CONFIG_"))
    return {name: _unescaped(value).strip('"') for name, _, value in pairs}


def _unescaped(value: str) -> str:
    if value[:1] != '"' or "\\" not in value:
        return value
    return re.sub(r"\\(.)", r"\1", value)


def is_whole_config_inputs(text: str) -> bool:
    """Tell whether an ``auto.conf.cmd`` was written to its end; one that is empty, or of NULs, was not.

    The rule without a recipe stands behind the list of files, and until 6.6 at the very end.
    A file that was cut off between two conditions looks whole.
    """
    lines = text.split("\n")
    opened = sum(line.startswith("ifneq ") for line in lines)
    return "$(deps_config): ;" in lines and lines[-1] == "" and opened == lines.count("endif")


def parse_config_inputs(text: str) -> ConfigInputs:
    """Parse an ``auto.conf.cmd``.

    Shapes::

        deps_config := \\
        \tKconfig \\
        ifneq "$(RUSTC)" "rustc"
    """
    files: list[str] = []
    start = text.find("deps_config := \\\n")
    if start >= 0:
        end = text.find("\n\n", start)
        body = text[start + 17 : end if end >= 0 else len(text)]
        files = [word for word in split_words(body.replace("\\\n", " ")) if word != "\\"]
    variables: list[tuple[str, str]] = []
    for line in text[text.find("\nifneq ") + 1 :].split("\n"):
        if line.startswith('ifneq "$(') and line.endswith('"'):
            name, _, value = line[9:-1].partition(')" "')
            # Kconfig writes the value as it is; what make then compares is its expansion.
            variables.append((name, value.replace("$$", "$").replace("$(pound)", "#")))
    return ConfigInputs(tuple(files), tuple(variables))
