# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A target is found by every name that people give it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdeps.query.names import Names
from kdeps.staleness.check import check_build
from kdeps.system.errors import AmbiguousName, UnknownTarget
from tests.support.miniature import Miniature


@pytest.fixture(scope="module")
def names(pristine: Miniature) -> Names:
    result = check_build(
        (*pristine.tree_args, "M=drivers/gpu/nova-core"), str(pristine.srctree), pristine.environment()
    )
    return Names(result.tree, result.graph)


@pytest.mark.parametrize(
    ("name", "means"),
    [
        ("kernel", "{o}/rust/libkernel.rmeta"),
        ("libkernel.rmeta", "{o}/rust/libkernel.rmeta"),
        ("kernel.o", "{o}/rust/kernel.o"),
        ("rust/kernel.o", "{o}/rust/kernel.o"),
        ("./rust/kernel.o", "{o}/rust/kernel.o"),
        ("{o}/rust/kernel.o", "{o}/rust/kernel.o"),
        ("rust/.kernel.o.cmd", "{o}/rust/kernel.o"),
        ("macros", "{o}/rust/libmacros.so"),
        ("nova-core.ko", "{s}/drivers/gpu/nova-core/nova-core.ko"),
        ("nova-core", "{s}/drivers/gpu/nova-core/nova-core.ko"),
        ("nova_core", "{s}/drivers/gpu/nova-core/nova_core.o"),
        ("nova_core.o", "{s}/drivers/gpu/nova-core/nova_core.o"),
        ("drivers/gpu/nova-core/nova_core.o", "{s}/drivers/gpu/nova-core/nova_core.o"),
        ("rust/kernel/io.rs", "{s}/rust/kernel/io.rs"),
        ("kernel/io.rs", "{s}/rust/kernel/io.rs"),
        ("io.rs", "{s}/rust/kernel/io.rs"),
        ("CONFIG_PCI", "{o}/include/config/PCI"),
        ("target.json", "{o}/scripts/target.json"),
    ],
)
def test_names_of_one_thing(names: Names, pristine: Miniature, name: str, means: str) -> None:
    """Kbuild's name, a path, a crate, a module, a symbol and the end of a path are all understood."""
    places = {"o": str(pristine.objtree), "s": str(pristine.srctree)}
    assert names.resolve(name.format(**places), str(pristine.srctree)).path == means.format(**places)


def test_a_path_from_where_one_stands(names: Names, pristine: Miniature) -> None:
    """A relative path is taken from the user's folder, before anything else."""
    found = names.resolve("io.rs", str(pristine.srctree / "rust/kernel"))
    assert found.path == str(pristine.srctree / "rust/kernel/io.rs")
    assert found.rule is None


def test_a_path_through_a_link(names: Names, pristine: Miniature, tmp_path: Path) -> None:
    """A folder reached through a symbolic link is the same folder."""
    (tmp_path / "link").symlink_to(pristine.objtree)
    found = names.resolve("link/rust/kernel.o", str(tmp_path))
    assert found.path == str(pristine.objtree / "rust/kernel.o")


def test_an_ambiguous_name_is_refused(names: Names, pristine: Miniature) -> None:
    """Of several files with one name none is guessed; all are named."""
    with pytest.raises(AmbiguousName) as caught:
        names.resolve("lib.rs", str(pristine.root))
    assert "rust/kernel/lib.rs" in str(caught.value)
    assert str(caught.value).endswith("; give more of its path")


@pytest.mark.parametrize(
    ("name", "neighbour"),
    [("kernl", "kernel"), ("nova_cor.o", "nova_core.o"), ("rust/kernel/ioo.rs", "rust/kernel/io.rs"),
     ("CONFIG_PCJ", "CONFIG_PCI"), ("libkernel.rmet", "rust/libkernel.rmeta")],
)  # fmt: skip
def test_an_unknown_name_suggests_neighbours(
    names: Names, pristine: Miniature, name: str, neighbour: str
) -> None:
    """What is mistyped gets an answer that can be typed."""
    with pytest.raises(UnknownTarget, match="did you mean") as caught:
        names.resolve(name, str(pristine.srctree))
    assert neighbour in str(caught.value)
    assert names.resolve(neighbour, str(pristine.srctree))


def test_a_file_that_nothing_reads(names: Names, pristine: Miniature) -> None:
    """A file that exists and is no part of the build is told from one that does not exist."""
    with pytest.raises(UnknownTarget, match="it exists, but no recorded step"):
        names.resolve("drivers/gpu/nova-core/Makefile", str(pristine.srctree))
