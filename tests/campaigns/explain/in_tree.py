# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Mistakes in the kernel's own sources: nova-core, a sample, a crate, a driver that is built into vmlinux."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

from tests.lab.layout import Layout, Module

from . import plants
from .plants import Planted, noise, read_marks

TYPE = "assertion failed: ty <= uapi::_IOC_TYPEMASK"
_OFFSET = re.compile(r"build_assert!\((offset_valid::<U>\(.*\))\);")
_TAKES_BAR = re.compile(r"fn \w+[^;{]*\bbar: (?:Bar0<'_>|&Bar0)[^;{]*\{\n")
_SAMPLE = "samples/rust/rust_minimal"


def crate(rng: random.Random, layout: Layout) -> Planted:
    """The crate ``kernel`` itself, which is in the kernel and no module."""
    path = Path(layout.srctree, "rust/kernel/lib.rs")
    text = path.read_text()
    text += f"""
{noise(rng)}
/// Planted.
#[no_mangle]
pub extern "C" fn planted(n: usize) -> usize {{
    build_assert!(n < {rng.randrange(1, 90)}, "planted in the crate"); //@driver
    n
}}
"""
    if "build_assert::build_assert" in text or "pub mod build_assert" in text:
        text = text.replace("    build_assert!(n <", "    crate::prelude::build_assert!(n <")
    path.write_text(text)
    planted = Planted((), f"{layout.objtree}/rust/kernel.o", {"planted in the crate"}, set())
    planted.goals = ("modules_prepare",)
    read_marks(planted, path)
    return planted


def register(rng: random.Random, layout: Layout) -> Planted:
    """A write past the register window of nova-core."""
    return _in_nova(rng, layout, lambda: f"bar.write32({rng.randrange(99)}, {_beyond(rng)}); //@driver")


def register_not_constant(rng: random.Random, layout: Layout) -> Planted:
    """A write to a register that rustc cannot know."""
    return _in_nova(
        rng, layout, lambda: f"bar.write32(1, core::hint::black_box({4 * rng.randrange(99)})); //@driver"
    )


def register_closure(rng: random.Random, layout: Layout) -> Planted:
    """A write past the register window in a closure."""
    return _in_nova(
        rng, layout,
        lambda: f"let planted = |at: usize| bar.write32(1, at); //@driver\n        planted({_beyond(rng)}); //@caller",
    )  # fmt: skip


def register_twice(rng: random.Random, layout: Layout) -> Planted:
    """One mistake each in two functions of nova-core."""
    return _in_nova(rng, layout, lambda: f"bar.write32(1, {_beyond(rng)}); //@driver", count=2)


def sample(rng: random.Random, layout: Layout) -> Planted:
    """A constant beyond the bound, in a sample."""
    return _in_sample(layout, f'pr_info!("{{}}\\n", kernel::ioctl::_IO({_type(rng)}, 1)); //@driver')


def sample_closure(rng: random.Random, layout: Layout) -> Planted:
    """A value that rustc cannot know, in a closure of a sample."""
    return _in_sample(
        layout,
        f"let planted = |ty: u32| kernel::ioctl::_IO(ty, 1); //@driver\n"
        f'        pr_info!("{{}}\\n", planted(core::hint::black_box({_type(rng)}))); //@caller',
    )


def built_in(rng: random.Random, layout: Layout) -> Planted:
    """A driver that is linked into vmlinux: the linker fails, and make is given no module."""
    configuration = Path(layout.objtree, ".config")
    symbol = "CONFIG_SAMPLE_RUST_MINIMAL"
    configuration.write_text(configuration.read_text().replace(f"{symbol}=m", f"{symbol}=y"))
    planted = _in_sample(
        layout, f'pr_info!("{{}}\\n", kernel::ioctl::_IO(core::hint::black_box({_type(rng)}), 1)); //@driver'
    )
    planted.make, planted.object = (), f"{layout.objtree}/{_SAMPLE}.o"
    return planted


def find_module(layout: Layout, plant: str) -> Module | None:
    """Find the module of a layout that a plant needs; None if the layout has no such module."""
    name = "nova" if plant.startswith("register") else "samples"
    return next((module for module in layout.modules if module.name == name), None)


def _beyond(rng: random.Random) -> str:
    return hex(0x1000000 + 4 * rng.randrange(1000))


def _type(rng: random.Random) -> str:
    return hex(rng.randrange(0x100, 0x1000))


def _in_nova(rng: random.Random, layout: Layout, statement: Callable[[], str], *, count: int = 1) -> Planted:
    """Write statements into functions of nova-core that take the register window."""
    module = find_module(layout, "register")
    assert module is not None
    sources = Path(layout.srctree, "drivers/gpu/nova-core")
    below = "" if module.folder.endswith("nova-core") else "nova-core/"
    asserted = _OFFSET.search(Path(layout.srctree, "rust/kernel/io.rs").read_text())
    assert asserted is not None
    planted = Planted(
        tuple(word for word in module.make if "MODPOST" not in word), f"{module.output}/{below}nova_core.o",
        {f"assertion failed: {asserted[1]}"}, set(),
    )  # fmt: skip
    for path in rng.sample(
        sorted(p for p in sources.rglob("*.rs") if _TAKES_BAR.search(p.read_text())), count
    ):
        text = path.read_text()
        at = rng.choice([match.end() for match in _TAKES_BAR.finditer(text)])
        path.write_text(f"{text[:at]}        {statement()}\n{text[at:]}")
        read_marks(planted, path)
    return planted


def _in_sample(layout: Layout, statement: str) -> Planted:
    path = Path(layout.srctree, f"{_SAMPLE}.rs")
    text = path.read_text()
    at = text.index("{\n", text.index("fn init(")) + 2
    path.write_text(f"{text[:at]}        {statement}\n{text[at:]}")
    module = find_module(layout, "sample")
    words = tuple(word for word in module.make if "MODPOST" not in word) if module is not None else ()
    output = module.output if module is not None else layout.objtree
    planted = Planted(words, f"{output}/rust_minimal.o", {TYPE}, set())
    read_marks(planted, path)
    return planted


PLANTS: dict[str, Callable[[random.Random, Layout], Planted]] = {
    plant.__name__: plant
    for plant in (
        plants.literal, plants.not_constant, plants.closure, plants.two_crates, plants.two_functions, plants.deep,
        plants.branches, crate, register, register_not_constant, register_closure, register_twice, sample,
        sample_closure, built_in,
    )
}  # fmt: skip
