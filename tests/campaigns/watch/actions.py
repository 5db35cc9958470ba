# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What is done to a tree while somebody watches.

A deed is a function of the world and a random number generator that returns what it did, in
words. Before it changes a file it has the ``Keeper`` keep it.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.lab.operations import apply_step

from .git_actions import bisect, checkout, rebase, stash
from .world import World

MAKE_TIMEOUT_S = 900


# -- editors -----------------------------------------------------------------


def mutate(world: World, rng: random.Random) -> str:
    """One mutation of the conformance suite."""
    case = world.planner.plan(rng.randrange(1 << 30), rng.randrange(1 << 16))
    said = []
    for step in case.steps[:1]:
        for path in (step.path, step.path + ".kdeps~"):
            world.keeper.keep(path)
        if apply_step(step):
            said.append(str(step))
    return "; ".join(said) or "(nothing to mutate)"


def save_as_vim(world: World, rng: random.Random) -> str:
    """A swap file, a probe, the old file renamed away, a new one written, the backup deleted."""
    path = rng.choice(world.sources)
    if not os.path.isfile(path):
        return "(gone)"
    folder, name = os.path.split(path)
    world.keeper.keep(path)
    swap, probe, backup = f"{folder}/.{name}.swp", f"{folder}/4913", f"{path}~"
    Path(swap).write_bytes(b"b0VIM 9.1\0" * 400)
    Path(probe).touch()
    os.unlink(probe)
    text, mode = Path(path).read_bytes(), os.stat(path).st_mode
    os.rename(path, backup)
    Path(path).write_bytes(text + b"// edited\n")
    os.chmod(path, mode & 0o7777)
    os.unlink(backup)
    os.unlink(swap)
    return f"vim saves {path}"


def save_by_rename(world: World, rng: random.Random) -> str:
    """A temporary file, renamed over the old one; sometimes with the old content and the old time."""
    path = rng.choice(world.sources)
    if not os.path.isfile(path):
        return "(gone)"
    world.keeper.keep(path)
    before = os.stat(path)
    temporary = f"{os.path.dirname(path)}/sed{rng.randrange(1 << 30):x}"
    Path(temporary).write_bytes(Path(path).read_bytes())
    os.chmod(temporary, before.st_mode & 0o7777)
    old = rng.random() < 0.3
    if old:
        os.utime(temporary, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.rename(temporary, path)
    return f"{path} replaced by rename{', with its old time' if old else ''}"


def save_many(world: World, rng: random.Random) -> str:
    """A script edits forty files."""
    return edit(world, *rng.sample(world.sources, min(40, len(world.sources))))


def edit(world: World, *paths: str) -> str:
    """A newline is put at the end of some files, where they are."""
    there = [path for path in paths if os.path.isfile(path)]
    for path in there:
        world.keeper.keep(path)
        with open(path, "ab") as file:
            file.write(b"\n")
    return f"{there[0]} edited" if len(there) == 1 else f"{len(there)} files edited"


def save_again(world: World, rng: random.Random) -> str:
    """A file is edited and, while somebody may be looking at that, put back as it was, or another one edited."""
    first, second = rng.sample(world.sources, 2)
    if not os.path.isfile(first):
        return "(gone)"
    before, found = Path(first).read_bytes(), os.stat(first)
    said = edit(world, first)
    pause_s = rng.uniform(0, 0.3)
    time.sleep(pause_s)
    world.unsure = True
    if rng.random() < 0.5:
        Path(first).write_bytes(before)
        os.utime(first, ns=(found.st_atime_ns, found.st_mtime_ns))
        return f"{said}, and {pause_s * 1000:.0f} ms later as it was"
    return f"{said}, and {pause_s * 1000:.0f} ms later {edit(world, second)}"


def leave_swap(world: World, rng: random.Random) -> str:
    """An editor opens a file and closes it again."""
    folder, name = os.path.split(rng.choice(world.sources))
    if not os.path.isdir(folder):
        return "(gone)"
    swap = f"{folder}/.{name}.swp"
    Path(swap).write_bytes(b"b0VIM")
    os.unlink(swap)
    return f"{swap} came and went"


# -- folders and links -------------------------------------------------------

_FOLDERS = (
    "{src}/rust/kernel", "{src}/rust/pin-init", "{src}/include/linux", "{obj}/rust", "{obj}/include", "{obj}/include/config",
    "{obj}/scripts", "{obj}", "{src}/drivers/gpu", "{src}/rust", "{src}/rust/macros", "{obj}/tools",
)  # fmt: skip


def _folder(world: World, rng: random.Random) -> str:
    name = rng.choice(_FOLDERS)
    return name.format(src=world.layout.srctree, obj=world.layout.objtree)


def move_folder(world: World, rng: random.Random) -> str:
    """A folder is renamed; it may come back."""
    path = _folder(world, rng)
    aside = f"{path}.moved~"
    if not os.path.isdir(path) or os.path.islink(path):
        return "(gone)"
    try:
        os.rename(path, aside)
    except OSError:
        return "(an overlay cannot rename it)"
    if rng.random() < 0.5:
        world.unsure = True
        time.sleep(rng.choice((0.0, 0.05, 0.6)))
        _move_back(aside, path)
        return f"{path} moved away and back"
    world.keeper.later(lambda: _move_back(aside, path))
    return f"{path} moved away"


def _move_back(aside: str, path: str) -> None:
    """Put a folder back; what a later deed has put in its place goes."""
    if not os.path.isdir(aside):
        return
    if os.path.islink(path) or os.path.isfile(path):
        os.unlink(path)
    elif os.path.isdir(path):
        shutil.rmtree(path)
    os.rename(aside, path)


def link_folder(world: World, rng: random.Random) -> str:
    """A folder is moved and a symbolic link put in its place; then something behind the link changes."""
    path = _folder(world, rng)
    aside = f"{path}.moved~"
    if not os.path.isdir(path) or os.path.islink(path):
        return "(gone)"
    try:
        os.rename(path, aside)
    except OSError:
        return "(an overlay cannot rename it)"

    def undo() -> None:
        _move_back(aside, path)

    os.symlink(os.path.basename(aside), path)
    world.keeper.later(undo)
    world.unsure = True
    inside = [name for name in world.sources if name.startswith(path + "/")]
    if inside:
        time.sleep(rng.choice((0.0, 0.3, 1.0)))
        name = rng.choice(inside)
        if os.path.isfile(name):
            world.keeper.keep(name)
            os.utime(name)
            return f"{path} became a link, and {name} behind it was touched"
    return f"{path} became a link"


def replace_folder(world: World, rng: random.Random) -> str:
    """A folder is replaced by a copy of itself, with all times kept or all new."""
    path = f"{world.layout.srctree}/rust/{rng.choice(('kernel', 'macros', 'pin-init', 'helpers'))}"
    if not os.path.isdir(path) or os.path.islink(path):
        return "(gone)"
    copy, aside = f"{path}.copy~", f"{path}.moved~"
    keep = rng.random() < 0.5
    shutil.copytree(path, copy, symlinks=True, copy_function=shutil.copy2 if keep else shutil.copyfile)
    try:
        os.rename(path, aside)
    except OSError:
        shutil.rmtree(copy)
        return "(an overlay cannot rename it)"
    os.rename(copy, path)

    def undo() -> None:
        _move_back(aside, path)

    world.keeper.later(undo)
    world.unsure = True
    return f"{path} replaced by a copy{' with the old times' if keep else ''}"


# -- make --------------------------------------------------------------------


def run_make(world: World, *goals: str) -> int:
    """Run make with the stand-ins."""
    return subprocess.run(
        ["make", "-j2", *world.layout.make, *goals],
        cwd=world.layout.cwd, env=world.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, timeout=MAKE_TIMEOUT_S, check=False,
    ).returncode  # fmt: skip


def prepare(world: World, rng: random.Random) -> str:
    """The kernel's own artifacts are refreshed."""
    del rng
    return f"make modules_prepare: exit {run_make(world, 'modules_prepare')}"


def build(world: World, rng: random.Random) -> str:
    """A module is built."""
    module = rng.choice(world.modules)
    return f"make {module.make[0]}: exit {run_make(world, *module.make)}"


def clean(world: World, rng: random.Random) -> str:
    """A module is cleaned, and its files put back later."""
    module = rng.choice(world.modules)
    aside = world.private / f"clean-{rng.randrange(1 << 30):x}"
    shutil.copytree(module.output, aside, symlinks=True)

    def undo() -> None:
        for where, _, files in os.walk(aside):
            for name in files:
                path = os.path.join(where, name)
                back = os.path.join(module.output, os.path.relpath(path, aside))
                if not os.path.lexists(back):
                    shutil.copy2(path, back, follow_symlinks=False)
        shutil.rmtree(aside)

    world.keeper.later(undo)
    return f"make {module.make[0]} clean: exit {run_make(world, *module.make, 'clean')}"


def kill_make(world: World, rng: random.Random) -> str:
    """A make is broken off."""
    path = rng.choice([name for name in world.sources if "/rust/kernel/" in name] or world.sources)
    if os.path.isfile(path):
        world.keeper.keep(path)
        os.utime(path)
    process = subprocess.Popen(
        ["make", "-j2", *world.layout.make, "modules_prepare"], cwd=world.layout.cwd, env=world.env,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    time.sleep(rng.uniform(0.2, 4))
    number = rng.choice((signal.SIGTERM, signal.SIGINT, signal.SIGKILL))
    if number is signal.SIGKILL:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    process.wait()
    world.unsure = True
    return f"make modules_prepare, ended by {number.name}"


DEEDS: tuple[tuple[Callable[[World, random.Random], str], int], ...] = (
    (mutate, 24), (save_as_vim, 8), (save_by_rename, 8), (save_again, 8), (save_many, 3), (leave_swap, 2), (move_folder, 5), (link_folder, 4),
    (replace_folder, 2), (checkout, 4), (rebase, 2), (bisect, 1), (stash, 2), (prepare, 4), (build, 3), (clean, 1), (kill_make, 2),
)  # fmt: skip
"""Each with its weight."""

QUICK = (
    mutate,
    save_as_vim,
    save_by_rename,
    save_again,
    save_many,
    leave_swap,
    move_folder,
    link_folder,
    replace_folder,
    checkout,
    stash,
)
"""Deeds that take less than a second: for long runs at a low load."""


def choose(rng: random.Random, *, quick: bool = False) -> Callable[[World, random.Random], str]:
    """Draw a deed."""
    deeds = [(deed, weight) for deed, weight in DEEDS if not quick or deed in QUICK]
    return rng.choices([deed for deed, _ in deeds], [weight for _, weight in deeds])[0]
