# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps demo``: the bug and its cure, on a miniature kernel, in a few seconds.

Nothing is staged: each line behind a ``$`` is run by a shell in the miniature,
and what stands below it is what it printed, shortened. Where the story claims
something (make did nothing, the module holds the old code) it looks, and
stops if it is not so.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from kdeps.demo.miniature import MODULE, Miniature, create, gnu_make
from kdeps.system.errors import KdepsError
from kdeps.system.scratch import scratch_folder

SOURCE = "rust/kernel/io.rs"
CONSTANT = "RESET_TIMEOUT_MS"
OLD, NEW = "u32 = 100;", "u32 = 500;"

WIDTH = 78

CHATTER = re.compile(r"make(\[\d+\])?: |\s+(SYNC|UPD|HOST\w+|EXPORTS|RSCPP|CC|LDS|MODPOST|BINDGEN) ")
"""Lines of make that say nothing about Rust."""


TROUBLE = re.compile(r"error|\*\*\*|denied|not found")


class DemoFailed(KdepsError):
    """A command of the demo did not end as it must, so the machine lacks something."""


@dataclass(frozen=True, slots=True)
class Output:
    """What one command did."""

    status: int
    text: str
    """Standard output and standard error, as they came."""


def run(*, keep: Path | None = None, colour: bool = False, out: TextIO | None = None) -> int:
    """Tell the story; return 0.

    `keep` is where to build and leave the miniature, a new or empty folder. Without it a temporary folder is gone at
    the end, however it ends. Raises KdepsError: no make, no room, or `keep` is not empty.
    """
    make = os.path.basename(gnu_make()[0])
    with _place(keep) as root:
        told = _Stage(_create(root), colour, out or sys.stdout)
        _tell(told, make)
        _close(told, keep)
    return 0


@contextlib.contextmanager
def _place(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with contextlib.ExitStack() as stack:
            try:
                name = stack.enter_context(scratch_folder("kdeps-demo-"))
            except OSError as error:
                raise _cannot_use(Path(os.environ.get("TMPDIR", "/tmp")), error) from None
            yield Path(name)
        return
    try:
        if keep.exists() and any(keep.iterdir()):
            raise KdepsError(f"{keep}: not empty; name a new folder for the demo")
    except NotADirectoryError:
        raise KdepsError(f"{keep}: not a folder; name a new one for the demo") from None
    except OSError as error:
        raise _cannot_use(keep, error) from None
    yield keep


def _create(root: Path) -> Miniature:
    try:
        return create(root)
    except OSError as error:
        raise _cannot_use(root, error) from None


def _cannot_use(folder: Path, error: OSError) -> KdepsError:
    return KdepsError(
        f"{folder}: the demo cannot be built there: {error.strerror}; name another folder with --keep"
    )


def _tell(told: _Stage, make: str) -> None:
    build = f"{make} M={MODULE}"
    check = f"kdeps check M={MODULE}"
    look = f"grep {CONSTANT}: {MODULE}/nova-core.ko"

    told.title("kdeps demo: how a kernel module gets built against code that is gone")
    told.say(
        "The tree is a miniature kernel: GNU make, Kbuild's rules and Kbuild's records "
        "are real, the compilers are stand-ins that write text."
    )

    told.step(1, "Build the kernel's Rust crates, then a driver with M=, as in daily work.")
    told.run(f"{make} defconfig", show=_nothing)
    told.run(make, show=_shortened)
    told.run(build, show=_shortened)
    told.say("The driver has compiled code of the crate `kernel` into itself:")
    told.run(look, must=OLD)

    told.step(2, "That crate changes: you edit it, or a pull or rebase does.")
    told.run(f"sed -i 's/{OLD}/{NEW}/' {SOURCE}")
    told.tree.touch(SOURCE)

    told.step(3, "Build the driver again.")
    told.run(f'{build}; echo "exit status $?"', show=_shortened, must="exit status 0")
    told.say("make is content, and rebuilt nothing. The driver is the old one:")
    told.run(look, must=OLD, mark="31")
    told.say(
        "With M= Kbuild takes the kernel as it is and never looks at rust/. What you test "
        "now is not what you wrote, and nothing has said so."
    )

    told.step(4, "Ask kdeps. It compares what Kbuild recorded with the files; it runs nothing.")
    told.run(f'{check}; echo "exit status $?"', must=SOURCE, also="exit status 1")

    told.step(5, "Do what it says.")
    told.run(f"{make} modules_prepare", show=_shortened, must="RUSTC L rust/kernel.o")
    told.run(build, show=_shortened, must="RUSTC [M] nova_core.o")
    told.run(look, must=NEW, mark="32")
    told.run(f'{check}; echo "exit status $?"', must="fresh", also="exit status 0")


def _close(told: _Stage, keep: Path | None) -> None:
    told.title("That is all: put `kdeps check` where you would put `make`.")
    if keep is None:
        told.say("To try more on this tree: kdeps demo --keep DIR")
    else:
        told.say("The tree is yours now; its tools must come first on PATH:")
        told.show(f"  cd {told.tree.srctree}")
        told.show(f"  export PATH={told.tree.toolchain}/bin:$PATH")


def _shortened(lines: list[str]) -> list[str]:
    """The first and the last lines of what make did with Rust and modules."""
    kept = [line for line in lines if not CHATTER.match(line)]
    if len(kept) > 5:
        kept[2:-2] = ["  ..."]
    return kept


def _nothing(lines: list[str]) -> list[str]:
    return lines[:0]


class _Stage:
    """Prints the story and runs its commands."""

    def __init__(self, tree: Miniature, colour: bool, out: TextIO) -> None:
        self.tree = tree
        self.colour = colour
        self.out = out

    def show(self, text: str = "", style: str = "") -> None:
        if style and self.colour:
            text = f"\x1b[{style}m{text}\x1b[0m"
        print(text, file=self.out, flush=True)

    def title(self, text: str) -> None:
        self.show(text, "1")
        self.show()

    def say(self, text: str) -> None:
        for line in textwrap.wrap(text, WIDTH, break_on_hyphens=False):
            self.show(line)
        self.show()

    def step(self, number: int, text: str) -> None:
        self.show(f"{number}. {text}", "1")
        self.show()

    def run(
        self,
        command: str,
        *,
        show: Callable[[list[str]], list[str]] = list,
        must: str = "",
        also: str = "",
        mark: str = "",
    ) -> None:
        """Run a command as shown, print what `show` keeps of its output, styled `mark`.

        Raises:
            DemoFailed: It failed, where no ``echo`` takes that up.
            RuntimeError: `must` or `also` is not in what it printed.
        """
        self.show(f"  $ {command}", "36")
        done = self._execute(command)
        if done.status != 0:
            lines = [line for line in done.text.splitlines() if TROUBLE.search(line)]
            raise DemoFailed(f"`{command}` failed in the demo: {(lines or ['no message'])[0].strip()}")
        for line in show(done.text.splitlines()):
            self.show(f"  {line}".rstrip(), mark)
        self.show()
        plain = re.sub(r"\x1b\[[\d;]*m", "", done.text)
        for needed in (must, also):
            if needed not in plain:
                raise RuntimeError(f"demo: `{command}` did not print {needed!r}:\n{plain}")

    def _execute(self, command: str) -> Output:
        """Run a command in the miniature's source tree; ``kdeps`` is this very kdeps.

        In a process group of its own, so that an interrupt ends make and all its children
        before the folder under them is removed.
        """
        encoding = self.out.encoding or "ascii"
        package = Path(__file__).parents[2]
        paths = [str(package), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = self.tree.environment(
            {
                "DEMO_PYTHON": sys.executable,
                "PYTHONPATH": os.pathsep.join(paths),
                "PYTHONIOENCODING": f"{encoding}:replace",
            }
        )
        options = f"--color {'always' if self.colour else 'never'}"
        kdeps = f'kdeps() {{ shift; "$DEMO_PYTHON" -m kdeps check {options} "$@"; }}'
        with subprocess.Popen(
            ["sh", "-c", f"{kdeps}\n{command}"],
            cwd=self.tree.srctree,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding=encoding,
            errors="replace",
            start_new_session=True,
        ) as shell:
            try:
                text, _ = shell.communicate()
            except BaseException:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(shell.pid, signal.SIGTERM)
                shell.communicate()
                raise
        return Output(shell.returncode, text)
