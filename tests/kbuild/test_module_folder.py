# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What a module folder's own Makefile names."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdeps.kbuild.module_folder import builds_objects

# -- the folder's own Makefile -------------------------------------------------


@pytest.mark.parametrize(
    ("text", "builds"),
    [
        ("obj-m := a.o\n", True),
        ("obj-m += a.o b.o\n", True),
        ("obj-$(CONFIG_A) += a.o\n", True),
        ("obj-${CONFIG_A} += a.o\n", True),
        ("obj-y += sub/\n", True),
        ("ifneq ($(KERNELRELEASE),)\n  obj-m := a.o\nelse\nall:\n\t$(MAKE) -C x M=$(PWD)\nendif\n", True),
        ("# obj-m := a.o\n", False),
        ("all: a.o\n", False),
        ("", False),
    ],
)
def test_a_folder_builds_modules_if_its_makefile_says_so(tmp_path: Path, text: str, builds: bool) -> None:
    """``obj-m`` and its kin, in any of the forms in use."""
    (tmp_path / "Makefile").write_text(text)
    assert builds_objects(str(tmp_path)) is builds


def test_kbuild_wins_over_makefile(tmp_path: Path) -> None:
    """Where both are there, Kbuild reads the file called Kbuild."""
    (tmp_path / "Makefile").write_text("obj-m := a.o\n")
    (tmp_path / "Kbuild").write_text("# nothing\n")
    assert not builds_objects(str(tmp_path))
    (tmp_path / "Kbuild").write_text("obj-m := a.o\n")
    (tmp_path / "Makefile").write_text("all:\n")
    assert builds_objects(str(tmp_path))
    assert not builds_objects(str(tmp_path / "nowhere"))
