# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Values of the configuration that Rust reads from the bindings, as it must for a number or a text.

bindgen makes a constant of every symbol, and Kbuild runs it again only for those that a header names.
"""

from __future__ import annotations

import pytest

from tests.conftest import RunKdeps, paste_help
from tests.contents.test_steps import build, keep, kept
from tests.support.miniature import MODULE, Miniature, ko
from tests.support.verdict import judged, kinds

__all__ = ["kept"]

M = f"M={MODULE}"
READS = "pub const SHIFT: i32 = bindings::CONFIG_LOG_BUF_SHIFT;\n"
GENERATED = "rust/bindings/bindings_generated.rs"


def constant(tree: Miniature) -> str:
    text = (tree.objtree / GENERATED).read_text()
    return next(line for line in text.splitlines() if "CONFIG_LOG_BUF_SHIFT" in line)


@pytest.mark.parametrize("reader", ["rust/kernel/io.rs", f"{MODULE}/gpu.rs"])
def test_a_constant_that_rust_reads(reader: str, tree: Miniature, kdeps: RunKdeps) -> None:
    """No make renews it, nor does modules_prepare; the help does."""
    tree.append(reader, READS)
    tree.make("modules_prepare")
    tree.make(M)
    assert judged(kdeps, tree, M)["verdict"] == "fresh"
    tree.set_config(LOG_BUF_SHIFT="19")
    tree.make("modules_prepare")
    tree.make(M)
    assert '"17"' in constant(tree)
    verdict = judged(kdeps, tree, M)
    assert verdict["verdict"] == "stale"
    assert kinds(verdict) == ["config-not-followed"]
    said = kdeps(tree, "check", M).stdout
    assert f"{GENERATED} has the value of CONFIG_LOG_BUF_SHIFT from before it changed" in said
    paste_help(tree, said)
    assert '"19"' in constant(tree)
    assert '= "19"' in ko(tree)
    assert judged(kdeps, tree, M)["verdict"] == "fresh"


@pytest.mark.parametrize("symbol", ["LOG_BUF_SHIFT", "RUST_OVERFLOW_CHECKS"])
def test_a_constant_that_no_rust_reads_is_left_alone(symbol: str, tree: Miniature, kdeps: RunKdeps) -> None:
    """Neither a number that only a comment names, for fixdep to find it, nor what is read by ``cfg``."""
    tree.append("rust/kernel/io.rs", "#[cfg(CONFIG_RUST_OVERFLOW_CHECKS)]\npub fn checked() {}\n")
    tree.append("rust/kernel/io.rs", "// fixdep finds CONFIG_LOG_BUF_SHIFT here.\n")
    tree.make("modules_prepare")
    tree.make(M)
    tree.set_config(**{symbol: "19" if symbol == "LOG_BUF_SHIFT" else "n"})
    tree.make("modules_prepare")
    tree.make(M)
    assert judged(kdeps, tree, M)["verdict"] == "fresh"


def test_bindings_of_another_configuration_are_neither_settled_nor_put_back(
    kept: Miniature, kdeps: RunKdeps
) -> None:
    """A touched header makes bindgen run, which reads the value of today."""
    kept.set_config(LOG_BUF_SHIFT="19")
    kept.touch("include/linux/pci.h")
    build(kept, kdeps)
    assert '"19"' in constant(kept)
    kept.set_config(LOG_BUF_SHIFT="17")
    kept.touch("include/linux/pci.h")
    build(kept, kdeps)
    assert '"17"' in constant(kept)


def test_bindings_that_were_remembered_late(tree: Miniature, kdeps: RunKdeps) -> None:
    """Which configuration they were made in is not known, so nothing proves them."""
    tree.set_config(LOG_BUF_SHIFT="19")
    tree.make("modules_prepare")
    tree.make(M)
    keep(tree)
    assert '"17"' in constant(tree)
    tree.touch("include/linux/pci.h")
    build(tree, kdeps)
    assert '"19"' in constant(tree)
