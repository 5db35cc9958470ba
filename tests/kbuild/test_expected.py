# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What Makefiles say is always made, under which configuration."""

from __future__ import annotations

import os
import time

import pytest

from kdeps.kbuild.expected import find_always, list_always
from kdeps.kbuild.tree import find_tree
from kdeps.staleness.module_checks import compare_vermagic
from tests.conftest import RunKdeps
from tests.support.miniature import MODULE, Miniature

MAKEFILE = """
always-y += plain.h two.o
always-$(CONFIG_RUST) += rust.h \\
    continued.h
hostprogs-always-$(CONFIG_NOT_SET) += tool
always-$(subst y,$(CONFIG_RUST),$(CONFIG_BUG)) += kernel/generated_arch_warn_asm.rs
always-$(subst y,$(CONFIG_RUST),$(CONFIG_NOT_SET)) += kernel/generated_arch_static_branch_asm.rs
ifdef CONFIG_NOT_SET
always-$(CONFIG_RUST) += helpers/helpers.bc
else
always-$(CONFIG_RUST) += exports_helpers_generated.h
endif
ifndef CONFIG_RUST
always-y += without_rust.h
ifdef CONFIG_BUG
always-y += nested.h
endif
endif # CONFIG_RUST
ifneq ($(quiet),)
always-y += undecided.h
else
always-y += undecided_too.h
endif
always-y += $(libmacros_name) last.h
"""


def test_lists_are_read_under_their_conditions() -> None:
    """Symbols decide; what anything else decides is left out, and so are names that are variables."""
    names = [name for _, name in find_always(MAKEFILE, "\nCONFIG_RUST=y\nCONFIG_BUG=y\nCONFIG_NOT=m\n")]
    assert names == [
        "plain.h", "two.o", "rust.h", "continued.h", "kernel/generated_arch_warn_asm.rs",
        "exports_helpers_generated.h", "last.h",
    ]  # fmt: skip


def test_damaged_makefiles_and_no_configuration() -> None:
    """Ends without beginnings, and nothing configured: only what needs nothing is named."""
    assert list(find_always("\nendif\nelse\nalways-y += a\nifdef\nalways-y += b\n", "")) == [("always", "a")]
    assert list(find_always("", "")) == []


def test_what_is_always_made_is_there_after_a_build(tree: Miniature) -> None:
    """Nothing is expected that this configuration does not make: that would never be fresh."""
    found = find_tree((*tree.tree_args, f"M={MODULE}"), str(tree.srctree), tree.environment())
    names = list_always(found)
    assert "rust/kernel/generated_arch_warn_asm.rs" in names
    assert [name for name in names if not os.path.exists(tree.objtree / name)] == []


@pytest.mark.parametrize(
    ("said", "differs"),
    [
        ("7.2.12 SMP mod_unload ", []),
        ("7.2.11 SMP mod_unload ", ["for 7.2.11"]),
        ("7.2.12 SMP mod_unload modversions ", ["with modversions"]),
        ("7.2.12 mod_unload ", ["without SMP"]),
        ("", ["for no release", "without SMP", "without mod_unload"]),
    ],
)
def test_what_the_loader_would_compare(said: str, differs: list[str]) -> None:
    """Release and the configuration's own words; the architecture's are left alone."""
    configuration = "CONFIG_SMP=y\nCONFIG_MODULE_UNLOAD=y\n"
    assert compare_vermagic(f"{said} x86-64-v1".split() if said else [], "7.2.12", configuration) == differs


def test_a_chain_stops_at_a_target_that_is_gone_with_its_record(tree: Miniature, kdeps: RunKdeps) -> None:
    """The cause is the target, and what is made from it is named."""
    for name in ("generated_arch_warn_asm.rs", ".generated_arch_warn_asm.rs.cmd"):
        (tree.objtree / "rust/kernel" / name).unlink()
    done = kdeps(tree, "check", f"M={MODULE}")
    assert done.returncode == 1
    assert "rust/kernel/generated_arch_warn_asm.rs is missing" in done.stdout
    assert "kernel.o" in done.stdout


def test_a_configuration_dated_in_the_future(tree: Miniature, kdeps: RunKdeps) -> None:
    """An edited .config is older than that, so nothing would sync it."""
    ahead = time.time_ns() + 600_000_000_000
    os.utime(tree.objtree / "include/config/auto.conf", ns=(ahead, ahead))
    done = kdeps(tree, "check", f"M={MODULE}")
    assert "include/config/auto.conf is dated" in done.stdout
    assert "in the future" in done.stdout
    assert done.returncode in (1, 2)
