# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The mistakes: what is written into which file, and what has to be found."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.layout import Layout

FOLDER = "/root/planted"
"""Of the external module that most mistakes are planted into."""
MARK = re.compile(r"//@(\w+)")


@dataclass(slots=True)
class Planted:
    """What was written, and what has to be found."""

    make: tuple[str, ...]
    """What make gets besides the layout's own arguments."""
    object: str
    """The file in which the assertion is left."""
    texts: set[str]
    drivers: set[tuple[str, int]]
    """File and line of each mistake."""
    callers: set[tuple[str, int]] = field(default_factory=set)
    """Lines that the inline chains have to have as well."""
    goals: tuple[str, ...] = ()
    """Goals of make."""


HEAD = """// SPDX-License-Identifier: GPL-2.0
//! A planted mistake.
use kernel::prelude::*;
use core::hint::black_box;
mod part;
module! {
    type: Planted,
    name: "planted",
    license: "GPL",
}
struct Planted;
"""
PART = """// SPDX-License-Identifier: GPL-2.0
use kernel::prelude::*;
"""
WINDOW = """
#[inline(always)]
pub(crate) fn window(n: usize) -> usize {
    build_assert!(n < 8); //@driver
    n
}
"""


def _module(body: str, part: str, texts: set[str], rng: random.Random, more: str = "") -> Planted:
    """Write the external module. Lines marked ``//@driver`` and ``//@caller`` are what has to be found."""
    init = "impl kernel::Module for Planted {\n    fn init(_m: &'static ThisModule) -> Result<Self> {\n"
    text = HEAD + noise(rng) + init + noise(rng) + body + "\n        Ok(Planted)\n    }\n}\n" + more
    folder = Path(FOLDER)
    folder.mkdir(exist_ok=True)
    (folder / "Makefile").write_text("obj-m := planted.o\n")
    (folder / "planted.rs").write_text(text)
    (folder / "part.rs").write_text(PART + noise(rng) + part)
    planted = Planted((f"M={FOLDER}",), f"{FOLDER}/planted.o", texts, set())
    read_marks(planted, folder / "planted.rs", folder / "part.rs")
    return planted


def read_marks(planted: Planted, *paths: Path) -> None:
    """Note the lines that are marked ``//@driver`` and ``//@caller``."""
    for path in paths:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for mark in MARK.findall(line):
                (planted.drivers if mark == "driver" else planted.callers).add((path.name, number))


def noise(rng: random.Random) -> str:
    """Some lines of comment, so that no two cases have the same numbers."""
    return "".join(f"    // line {n}\n" for n in range(rng.randrange(40)))


def literal(rng: random.Random, _layout: Layout) -> Planted:
    """A constant beyond the bound, in another file of the module."""
    body = f'        pr_info!("{{}}\\n", part::window({rng.randrange(8, 500)})); //@caller'
    return _module(body, WINDOW, {"assertion failed: n < 8"}, rng)


def not_constant(rng: random.Random, _layout: Layout) -> Planted:
    """A value that rustc cannot know."""
    body = f'        pr_info!("{{}}\\n", part::window(black_box({rng.randrange(8)}))); //@caller'
    return _module(body, WINDOW, {"assertion failed: n < 8"}, rng)


def closure(rng: random.Random, _layout: Layout) -> Planted:
    """The assertion is in a closure, with a text of its own."""
    word = "".join(rng.choice("abcdefg {}'ß") for _ in range(20))
    body = f"""        let f = |n: usize| {{
            build_assert!(n > 3, "text {word}"); //@driver
            n
        }};
        pr_info!("{{}}\\n", f(black_box(1))); //@caller"""
    return _module(body, "", {f"text {word}"}, rng)


def two_crates(rng: random.Random, _layout: Layout) -> Planted:
    """A function of the crate ``kernel`` has the assertion."""
    number = rng.randrange(0x100, 0x1000)
    body = f'        pr_info!("{{}}\\n", kernel::ioctl::_IO(black_box({number:#x}), 1)); //@driver'
    return _module(body, "", {"assertion failed: ty <= uapi::_IOC_TYPEMASK"}, rng)


def two_functions(rng: random.Random, _layout: Layout) -> Planted:
    """Two functions of the module have one mistake each."""
    body = '        pr_info!("{}\\n", part::window(black_box(2))); //@caller'
    more = f"""
{noise(rng)}
#[no_mangle]
pub extern "C" fn planted_other(n: usize) -> usize {{
    build_assert!(n != {rng.randrange(100)}, "never that number"); //@driver
    n
}}
"""
    return _module(body, WINDOW, {"assertion failed: n < 8", "never that number"}, rng, more)


def deep(rng: random.Random, _layout: Layout) -> Planted:
    """Three functions and a generic type are between the mistake and the assertion."""
    size = rng.choice([16, 64, 4096])
    part = f"""
pub(crate) struct Window<const SIZE: usize>;
impl<const SIZE: usize> Window<SIZE> {{
    #[inline(always)]
    pub(crate) fn offset(&self, at: usize) -> usize {{
        build_assert!(at + 4 <= SIZE); //@driver
        at
    }}
    #[inline(always)]
    pub(crate) fn read(&self, at: usize) -> usize {{
        self.offset(at) + 1 //@caller
    }}
}}
#[inline(always)]
pub(crate) fn outer(at: usize) -> usize {{
    Window::<{size}>.read(at) //@caller
}}
"""
    body = f'        pr_info!("{{}}\\n", part::outer(black_box({size}))); //@caller'
    return _module(body, part, {"assertion failed: at + 4 <= SIZE"}, rng)


def branches(rng: random.Random, _layout: Layout) -> Planted:
    """Several branches of one function end in the same assertion: LLVM merges the calls."""
    arms = "".join(
        f"            {n} => kernel::ioctl::_IO(black_box({n + 0x200:#x}), 1), //@driver\n"
        for n in range(rng.randrange(2, 5))
    )
    body = f'        let v = match black_box(0u32) {{\n{arms}            _ => 0,\n        }};\n        pr_info!("{{}}\\n", v);'
    return _module(body, "", {"assertion failed: ty <= uapi::_IOC_TYPEMASK"}, rng)
