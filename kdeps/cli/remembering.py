# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Remember after a command, in a process that the user does not wait for."""

from __future__ import annotations

from kdeps.system.background import run_in_background

TYPE_CHECKING = False  # typing itself is not imported on the way of a fresh build
if TYPE_CHECKING:
    from kdeps.contents.memory import Memory
    from kdeps.staleness.check import CheckResult

_SETTLED_S = 0.06
"""A little more than the clock of a file system may be behind: what changed before is not racy."""
_MOST_LINKED = 500
"""A kernel with thousands of modules would leave no room for other builds."""


def remember_later(
    words: tuple[str, ...], cwd: str, environ: dict[str, str], since_ns: int, *, whole: bool = False
) -> None:
    """Remember a build once this process, and the make it becomes, has ended.

    What changed after ``since_ns``, when kdeps began, is not remembered. ``whole`` is all that plain ``make`` builds.
    """
    run_in_background(lambda: _remember(words, cwd, environ, since_ns, whole=whole), environ)


def _remember(
    words: tuple[str, ...], cwd: str, environ: dict[str, str], since_ns: int, *, whole: bool
) -> None:
    import time

    from kdeps.cli.settling import check_module_or_tree
    from kdeps.contents.steps import remember_build
    from kdeps.kbuild.make_command import read_kernel_make, read_request

    time.sleep(_SETTLED_S)
    kernel_words = None if whole else read_kernel_make(words, cwd, environ)
    if kernel_words is not None:
        remember_kernel(kernel_words, cwd, environ, since_ns)
        return
    request = None if whole else read_request(words, cwd, environ)
    result = check_module_or_tree(request.words if request else words, cwd, environ, whole=whole)
    remember_modules(result, remember_build(result, environ, since_ns), environ)


def remember_modules(result: CheckResult, memory: Memory | None, environ: dict[str, str]) -> None:
    """Remember by its build id from what each module was built that is up to date: an older one is not of this
    commit.

    The verdict is by time, and the memory of the same build, if there is one.
    """
    from kdeps.contents.memory import find_built_from
    from kdeps.kbuild.rule import Owner
    from kdeps.running.provenance import Sources, hash_sources, remember_origins
    from kdeps.staleness.reasons import Status

    tree, verdict = result.tree, result.verdict
    if tree.module is None or verdict.status is Status.UNKNOWN:
        return

    def find_sources(path: str) -> Sources | None:
        contents = find_built_from(memory, path) if memory is not None else None
        if contents is None:
            return None
        edited = {name: digest for name, digest in contents.items() if name.startswith(places)}
        return Sources(hash_sources(contents, roots), edited)

    roots = tuple(sorted({tree.srctree, tree.objtree, tree.module}, key=len, reverse=True))
    places = tuple(f"{root}/" for root in roots)
    owned = (rule for rule in result.graph.rules if rule.owner is Owner.MODULE)
    old = verdict.states
    modules = [rule.target for rule in owned if rule.target.endswith(".ko") and rule.target not in old]
    remember_origins({path: find_sources(path) for path in modules}, tree.module, environ)


def remember_kernel(words: tuple[str, ...], cwd: str, environ: dict[str, str], since_ns: int) -> None:
    """Remember by build id from which commit vmlinux and its modules are that a make of the whole tree linked.

    What is older than ``since_ns``, when that make began, may be of another commit.
    """
    from kdeps.kbuild.modules import list_modules
    from kdeps.kbuild.tree import find_tree
    from kdeps.running.provenance import remember_origins
    from kdeps.staleness.snapshot import find_mtime_ns

    tree = find_tree(words, cwd, environ)
    files = (f"{tree.objtree}/vmlinux", *list_modules(tree.objtree))
    linked = [path for path in files if (find_mtime_ns(path) or 0) >= since_ns]
    remember_origins(dict.fromkeys(linked[:_MOST_LINKED]), tree.srctree, environ)
