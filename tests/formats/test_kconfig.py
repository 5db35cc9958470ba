# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What Kconfig left, read as Kconfig and make read it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdeps.formats.kconfig import (
    ConfigInputs,
    is_whole_config_inputs,
    parse_config_inputs,
    parse_symbols,
    parse_value,
)
from tests.conftest import CHECKOUT
from tests.support.gnu_make import MAKE, REASON

DATA = CHECKOUT / "tests/data" / "kconfig"
"""Captured from 7.2 (x86_64, LLVM=1), shortened."""

CLANG_FLAGS = (
    "--target=x86_64-linux-gnu -fintegrated-as -Werror=unknown-warning-option"
    " -Werror=ignored-optimization-argument -Werror=option-ignored -Werror=unused-command-line-argument"
)
FILES = (
    "Kconfig scripts/Kconfig.include init/Kconfig kernel/irq/Kconfig kernel/time/Kconfig kernel/bpf/Kconfig"
    " lib/kunit/Kconfig lib/crypto/tests/Kconfig Documentation/Kconfig io_uring/Kconfig"
)


def test_the_inputs_of_a_configuration_are_its_files_and_what_it_saw() -> None:
    """``auto.conf.cmd`` names every Kconfig file and every variable with its value, in order."""
    assert parse_config_inputs((DATA / "7.2-auto.conf.cmd").read_text()) == ConfigInputs(
        tuple(FILES.split()),
        (
            ("ARCH", "x86"),
            ("KERNELVERSION", "7.2.12"),
            ("CC", "clang"),
            ("LD", "ld.lld"),
            ("srctree", "/root/linux-7.2"),
            ("CLANG_FLAGS", CLANG_FLAGS),
            ("RUSTC", "rustc"),
            ("CC_VERSION_TEXT", "Debian clang version 19.1.7 (3+b1)"),
            ("NM", "llvm-nm"),
            ("OBJCOPY", "llvm-objcopy"),
            ("PAHOLE_VERSION", "130"),
            ("RUSTC_VERSION_TEXT", "rustc 1.85.1 (4eb161250 2025-03-15) (built from a source tarball)"),
            ("BINDGEN", "bindgen"),
            ("SRCARCH", "x86"),
            ("AR", "llvm-ar"),
            ("PYTHON3", "python3"),
        ),
    )


@pytest.mark.skipif(MAKE is None, reason=REASON)
def test_with_these_variables_make_would_not_sync(tmp_path: Path) -> None:
    """The values that were parsed are those with which no ``ifneq`` of the file is true, to make."""
    found = parse_config_inputs((DATA / "7.2-auto.conf.cmd").read_text())
    lines = [f"{name} := {value}\n" for name, value in found.variables]
    text = (
        "".join(lines)
        + f"include {DATA}/7.2-auto.conf.cmd\n{' '.join(found.files)} FORCE:\n$(autoconfig): ; $(info [$^])\n"
    )
    (tmp_path / "Makefile").write_text(text)
    assert MAKE is not None
    done = subprocess.run(
        [MAKE, "-rRs", "include/config/auto.conf"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.splitlines()[:1], done.stderr) == ([f"[{FILES}]"], "")


@pytest.mark.parametrize(
    ("symbol", "value"),
    [
        ("RUST", "y"),
        ("NOVA_CORE", "m"),
        ("64BIT", "y"),
        ("LOCALVERSION", ""),
        ("DEFAULT_HOSTNAME", "(none)"),
        ("RUSTC_VERSION_TEXT", "rustc 1.85.1 (4eb161250 2025-03-15) (built from a source tarball)"),
        ("RUSTC_VERSION", "108501"),
        ("NOVA", None),
        ("ODULES", None),
        ("", None),
    ],
)
def test_a_symbol_has_its_own_value_and_no_others(symbol: str, value: str | None) -> None:
    """Values stand without quotes in ``auto.conf`` (7.2); a symbol that begins another is not that one."""
    assert parse_value((DATA / "7.2-auto.conf").read_text(), symbol) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('CONFIG_A="text"\n', "text"),
        ('# CONFIG_A is not set\nCONFIG_AB=y\nCONFIG_A="second"\n', "second"),
        ("CONFIG_A=y", "y"),
        ('CONFIG_A=""\n', ""),
        ('CONFIG_A="\n', '"'),
        (r'CONFIG_A="a \"quoted\" \\ word"' + "\n", r"a "
         r'"quoted" \ word'),
        ("# CONFIG_A is not set\n", None),
        ("", None),
        (" CONFIG_A=y\n", None),
    ],
)  # fmt: skip
def test_a_value_in_a_dot_config(text: str, value: str | None) -> None:
    """Strings are quoted in ``.config`` (and in ``auto.conf`` before 5.14); what is not set has no value."""
    assert parse_value(text, "A") == value


@given(st.text(st.characters(codec="utf-8", exclude_characters="\n")))
def test_any_string_that_kconfig_escapes_comes_back(value: str) -> None:
    """``escape_string_value`` of scripts/kconfig/confdata.c, undone."""
    escaped = "".join(f"\\{char}" if char in '"\\' else char for char in value)
    assert parse_value(f'CONFIG_B=y\nCONFIG_A="{escaped}"\nCONFIG_C=y\n', "A") == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ConfigInputs((), ())),
        ("deps_config := \\\n", ConfigInputs((), ())),
        ("deps_config := \\\n\tKconfig \\\n\tinit/Kc", ConfigInputs(("Kconfig", "init/Kc"), ())),
        ('ifneq "$(A)" "b"\n', ConfigInputs((), (("A", "b"),))),
        ('\nifneq "$(A)" "b c" d"\n', ConfigInputs((), (("A", 'b c" d'),))),
        ('\nifneq "$(A)" ""\n', ConfigInputs((), (("A", ""),))),
        ('\nifneq "$(A)" "cut', ConfigInputs((), ())),
        ('\nifneq "$(A)" "$$x $(pound)1"\n', ConfigInputs((), (("A", "$x #1"),))),
    ],
)
def test_a_file_that_is_cut_off_gives_what_is_there(text: str, expected: ConfigInputs) -> None:
    """Nothing is guessed and nothing raises."""
    assert parse_config_inputs(text) == expected


@given(st.text())
def test_reading_never_raises(text: str) -> None:
    """Whatever the text is."""
    assert all(parse_config_inputs(text).files)
    parse_value(text, "A")


@pytest.mark.parametrize("value", ["", "a b", 'x"y', "back\\slash", '"quoted"', "a # b", "0x10"])
def test_a_string_is_the_same_in_both_files(value: str) -> None:
    """.config has it escaped and quoted, auto.conf as it is."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    assert parse_symbols(f'CONFIG_A="{escaped}"\n') == parse_symbols(f"CONFIG_A={value}\n")


@pytest.mark.parametrize("size", [0, 10, 100, 350, 420, 590, 597])
def test_inputs_that_are_cut_off_are_not_whole(size: int) -> None:
    """Within a line, within the list of files, within a condition."""
    text = (DATA / "7.2-auto.conf.cmd").read_text()
    assert is_whole_config_inputs(text)
    assert not is_whole_config_inputs(text[:size])


def test_inputs_of_an_older_kconfig_are_whole() -> None:
    """Until 6.6 the rule without a recipe stands at the end, and the configuration is named each time."""
    text = (
        "deps_config := \\\n\tKconfig \\\n\ninclude/config/auto.conf: $(deps_config)\n\n"
        'ifneq "$(ARCH)" "x86"\ninclude/config/auto.conf: FORCE\nendif\n\n$(deps_config): ;\n'
    )
    assert is_whole_config_inputs(text)
    assert not is_whole_config_inputs(text[:-20])
    assert not is_whole_config_inputs("\0" * len(text))
