# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Seeded questions about the miniature, each put to the command and to brute force.

On real kernels the same is done by ``python -m tests.lab questions``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.campaigns.questions.ask import KINDS, Asker, Plan
from tests.campaigns.questions.brute_force_graph import read_brute
from tests.conftest import CHECKOUT
from tests.lab.layout import Layout, Module
from tests.support.miniature import Miniature

NOVA = "drivers/gpu/nova-core"
COUNT = 42


@pytest.fixture(scope="module")
def asker(pristine: Miniature, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asker]:
    """Brute force's view of a miniature of one's own, and whom to ask."""
    tree = pristine.copy_to(tmp_path_factory.mktemp("questions") / "tree")
    module = Module("nova", ("rust",), str(tree.module), str(tree.module), (f"M={NOVA}",))
    layout = Layout(
        "mini", "", str(tree.srctree), str(tree.srctree), str(tree.objtree), True, tree.tree_args, (module,)
    )
    with pytest.MonkeyPatch.context() as patch:
        for name, value in tree.environment({"PYTHONPATH": str(CHECKOUT)}).items():
            patch.setenv(name, value)
        private = tmp_path_factory.mktemp("private")
        brute = read_brute(layout, module, str(private))
        yield Asker(Plan(layout, module, 1, ()), brute)


def test_brute_force_sees_the_build(asker: Asker) -> None:
    """The referee is no straw man: it knows the crates, their metadata and the module."""
    names = {Path(path).name for path in asker.brute.targets}
    assert {"kernel.o", "libmacros.so", "bindings_generated.rs", "nova_core.o", "nova-core.ko"} <= names
    assert {"libkernel.rmeta", "nova-core.mod.c"} <= {Path(path).name for path in asker.brute.sides}
    assert asker.brute.filechk


@pytest.mark.parametrize("index", range(COUNT))
def test_a_question(index: int, asker: Asker) -> None:
    """The command's answer is that of brute force."""
    question, wrong = asker.ask(index)
    assert wrong == [], question


def test_the_questions_were_not_empty(asker: Asker) -> None:
    """Every kind was asked, and most answers had something to tell."""
    assert len(KINDS) <= COUNT
    assert asker.told > COUNT // 2
