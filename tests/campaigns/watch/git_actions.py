# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Deeds of git's, in a repository of what matters of the source tree."""

from __future__ import annotations

import os
import random
import shutil
import subprocess

from .world import World, put_times_back, read_times

TRACKED = ("rust", "include/linux", "drivers/gpu/nova-core", "scripts/Makefile.build")
BRANCHES = 4


def git(world: World, *words: str) -> str:
    """Run git in the source tree; a lab without git knows no branches, and every deed of git's does nothing."""
    if shutil.which("git") is None:
        return ""
    done = subprocess.run(
        ["git", "-c", "user.name=k", "-c", "user.email=k@k", "-c", "gc.auto=0", *words],
        cwd=world.layout.srctree, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=600,
    )  # fmt: skip
    return done.stdout.decode(errors="replace").strip()


def make_repository(world: World) -> None:
    """A repository of what matters, with some branches of some commits each."""
    rng = random.Random("branches")
    top = world.layout.srctree
    times = read_times(world.sources)
    git(world, "init", "-q", "-b", "base", ".")
    git(world, "add", "-f", "--", *[name for name in TRACKED if os.path.exists(f"{top}/{name}")])
    git(world, "commit", "-q", "-m", "base")
    for branch in range(BRANCHES):
        git(world, "checkout", "-q", "-b", f"b{branch}", "base")
        for commit in range(3):
            for path in rng.sample(world.sources, rng.choice((1, 5, 40))):
                if path.startswith(f"{top}/") and os.path.isfile(path):
                    with open(path, "ab") as file:
                        file.write(f"// {branch}.{commit}\n".encode())
            git(world, "commit", "-q", "-a", "-m", f"{branch}.{commit}")
    git(world, "checkout", "-q", "base")
    put_times_back(times)


def _keep_times(world: World) -> None:
    """Have the branches and the files put back, with their times."""
    times = read_times(world.sources)

    def undo() -> None:
        git(world, "rebase", "--abort")
        git(world, "reset", "-q", "--hard")
        git(world, "checkout", "-q", "-f", "base")
        for branch in range(BRANCHES):
            git(world, "branch", "-q", "-f", f"b{branch}", f"b{branch}.keep")
        put_times_back(times)

    for branch in range(BRANCHES):
        if not git(world, "branch", "--list", f"b{branch}.keep"):
            git(world, "branch", f"b{branch}.keep", f"b{branch}")
    world.keeper.later(undo)


def checkout(world: World, rng: random.Random) -> str:
    """Another branch."""
    _keep_times(world)
    branch = f"b{rng.randrange(BRANCHES)}"
    git(world, "checkout", "-q", "-f", branch)
    return f"git checkout {branch}"


def rebase(world: World, rng: random.Random) -> str:
    """A branch of three commits is put upon another one."""
    _keep_times(world)
    one, other = rng.sample(range(BRANCHES), 2)
    git(world, "checkout", "-q", "-f", f"b{one}")
    git(world, "rebase", "-q", "-X", "theirs", f"b{other}")
    return f"git rebase b{one} onto b{other}"


def bisect(world: World, rng: random.Random) -> str:
    """git checks out one commit after the other."""
    _keep_times(world)
    branch = f"b{rng.randrange(BRANCHES)}"
    git(world, "checkout", "-q", "-f", branch)
    git(world, "bisect", "start", branch, "base")
    git(world, "bisect", "run", "false")
    git(world, "bisect", "reset")
    return f"git bisect of {branch}"


def stash(world: World, rng: random.Random) -> str:
    """An edit is stashed."""
    _keep_times(world)
    path = rng.choice([name for name in world.sources if name.startswith(f"{world.layout.srctree}/rust/")])
    if not os.path.isfile(path):
        return "(gone)"
    with open(path, "ab") as file:
        file.write(b"// to be stashed\n")
    git(world, "stash", "-q")
    world.unsure = True
    return f"git stash of {path}"
