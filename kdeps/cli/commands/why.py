# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps why``: what makes a target stale, how it is made from a source, and who uses a file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

import click

from kdeps.cli.choices import Colour, Format
from kdeps.cli.exits import Exit, exit_of
from kdeps.cli.options import colour_option, format_option, make_args_command, refuse_slips, words_argument
from kdeps.cli.output import make_result_text, print_json, print_lines, split_names
from kdeps.cli.terminal import current_folder
from kdeps.contents.recall import judge_contents
from kdeps.kbuild.modules import find_modules, is_built_against, read_whole
from kdeps.kbuild.rule import Owner
from kdeps.kbuild.slips import Goals
from kdeps.kbuild.tree import module_argument
from kdeps.query.names import Named, Names
from kdeps.query.why import Chain, User, choose, explain, find_chain, find_state, find_users, judge_target
from kdeps.report.query_json import users_json, why_json
from kdeps.report.why_text import write_chain, write_users, write_why
from kdeps.staleness.check import CheckResult, check_build, check_modules
from kdeps.staleness.reasons import ReasonKind
from kdeps.system.errors import AmbiguousName, UnknownTarget, UsageError
from kdeps.system.text import list_some

if TYPE_CHECKING:
    from collections.abc import Callable


class _Asked(NamedTuple):
    """A question, and what its answer is found in."""

    result: CheckResult
    known: Names
    target: Named
    names: tuple[str, ...]
    """The target's, and perhaps a source's, as the user wrote them."""
    cwd: str
    output: Format
    colour: Colour
    every: bool


def _resolve(result: CheckResult, known: Names, name: str, cwd: str) -> Named:
    """Find what a name means. If M= names a folder that builds nothing, the error says so."""
    try:
        return known.resolve(name, cwd)
    except UnknownTarget:
        for finding in result.verdict.findings:
            if finding.kind is ReasonKind.NO_OBJECTS:
                raise UnknownTarget(f"{name}: {finding.message}; {finding.help}") from None
        for problem in result.verdict.problems:
            message = f"{name}: nothing that could be read has this name; {problem.path}: {problem.message}"
            raise UnknownTarget(message) from None
        raise


def _usage(names: tuple[str, ...], *, used_by: bool) -> str:
    if not names:
        return "why: which target? A crate (kernel), an object (nova_core.o), a module (nova-core.ko), a path"
    if used_by:
        return f"{names[1]}: --used-by takes one file"
    return f"{names[2]}: why takes one target and at most one source"


def _find_build(
    name: str, words: tuple[str, ...], cwd: str, environ: dict[str, str], *, used_by: bool
) -> tuple[CheckResult, Names]:
    """Check the build that is meant; without a module, one that has the name, or for its users all of them."""
    result = check_build(words, cwd, environ)
    known = Names(result.tree, result.graph)
    if result.tree.module is not None:
        return result, known
    if not used_by:
        if known.find(name, cwd) is not None:
            return result, known
        folders = find_modules(result.tree)
        for folder in folders:
            other = check_build((*words, f"M={module_argument(result.tree, folder)}"), cwd, environ)
            own = [rule for rule in other.graph.rules if rule.owner is Owner.MODULE]
            names = Names(other.tree, other.graph)
            if is_built_against(other.tree.objtree, own) and names.find(name, cwd) is not None:
                _refuse_namesakes(name, [f for f in folders if os.path.exists(f"{f}/{name}")])
                return other, names
    # A name that none of them has may have its neighbours in any.
    whole = read_whole(words, cwd, environ)
    everything = check_modules(whole, environ)._replace(tree=result.tree)
    return everything, Names(result.tree, whole.graph, whole.folders)


def _refuse_namesakes(name: str, folders: list[str]) -> None:
    """Raise if several modules have a file of that name."""
    if len(folders) > 1:
        raise AmbiguousName(f"{name}: may be of {list_some(folders, 3)}; name the module with M=")


def _answer_why(asked: _Asked) -> int:
    result, target, every = asked.result, asked.target, asked.every
    chains = explain(result, target)
    state = find_state(result, target)
    if asked.output is Format.JSON:
        print_json(why_json(result, target, chains if every else choose(chains), _count_causes(chains)))
    else:
        writer = make_result_text(result, asked.cwd, asked.colour)
        write_why(writer, target, state, chains, every=every)
        if target.rule is None:
            write_users(writer, asked.names[0], _users(asked), every=every)
        print_lines(writer.lines, asked.colour)
    return exit_of(judge_target(result, target))


def _users(asked: _Asked) -> list[User]:
    target = asked.target
    return find_users(asked.result.graph, asked.known.same_file(target.path) or (target.path,), target.symbol)


def _count_causes(chains: list[Chain]) -> int:
    """One cause may have two chains: see ``explain``."""
    return len({(chain.cause.reason.kind, chain.cause.paths) for chain in chains if chain.cause is not None})


def _answer_chain(asked: _Asked) -> int:
    result, known, target, names, cwd = asked.result, asked.known, asked.target, asked.names, asked.cwd
    is_source, shown = _source(known, names[1], cwd)
    chain: Chain | None = find_chain(result, target, is_source)
    if chain is None:
        other = known.find(names[1], cwd)
        is_target, _ = _source(known, names[0], cwd)
        turned = (
            other is not None and other.rule is not None and find_chain(result, other, is_target) is not None
        )
        hint = f"; {names[1]} is made from it: name that first" if turned and names[0] != names[1] else ""
        raise UnknownTarget(f"{names[0]}: is not made from {shown}, not even indirectly{hint}")
    if asked.output is Format.JSON:
        print_json(why_json(result, target, [chain], 1))
    else:
        writer = make_result_text(result, cwd, asked.colour)
        write_chain(writer, target, shown, chain)
        print_lines(writer.lines, asked.colour)
    return Exit.FRESH


def _source(known: Names, name: str, cwd: str) -> tuple[Callable[[str], bool], str]:
    """What a chain must lead to: a file, a symbol, or any file of a folder."""
    if name.endswith("/") or known.find(name, cwd) is None:
        for base in (cwd, *known.bases):
            folder = os.path.realpath(os.path.join(base, name))
            if os.path.isdir(folder):
                return frozenset(known.read_in(folder)).__contains__, f"{name.rstrip('/')}/"
    source = known.resolve(name, cwd)
    if source.symbol:
        stamp = f"/include/config/{source.symbol}"
        return (lambda path: path.endswith(stamp)), name
    if source.rule is None:
        paths = frozenset((source.path, *known.same_file(source.path)))
        return paths.__contains__, name
    outputs = frozenset(known.graph.rules[source.rule].outputs)
    return outputs.__contains__, name


def _answer_users(asked: _Asked) -> int:
    users = _users(asked)
    if asked.output is Format.JSON:
        print_json(users_json(asked.result, asked.target, users))
    else:
        writer = make_result_text(asked.result, asked.cwd, asked.colour)
        write_users(writer, asked.names[0], users, every=asked.every)
        print_lines(writer.lines, asked.colour)
    return Exit.FRESH


@make_args_command
@click.option("--used-by", is_flag=True, help="The reverse: everything that is made from the file.")
@click.option(
    "--all",
    "every",
    is_flag=True,
    help="Every root cause, nearest first; with --used-by, every user of the file.",
)
@click.option(
    "--exact", is_flag=True, help="Ask Kbuild itself what is stale; adds changed commands. Executes nothing."
)
@format_option("How to print the answer.")
@colour_option
@words_argument("words", "TARGET [SOURCE] [MAKE_ARGS]...")
def why(
    used_by: bool, every: bool, exact: bool, output: Format, colour: Colour, words: tuple[str, ...]
) -> int:  # fmt: skip
    """Show the chain from a target to the file that makes it stale, or to SOURCE.

    Each line is one step, with its reason and its times; a drawn line marks where
    `make M=…` stops looking. With SOURCE (a file, a folder, a CONFIG_ symbol) the
    chain shows how TARGET is made from it, stale or not.

    Both are named as you like: a crate (kernel), a file (nova_core.o,
    libkernel.rmeta, nova-core.ko), a path from here or from the root of any tree.
    Without M= the module that has TARGET is found by its records.

    \b
    Exit status:
      0  TARGET is fresh; with SOURCE: the chain is shown, stale or not
      1  TARGET is stale
      2  cannot tell, no such target, or not made from SOURCE

    \b
    Examples:
      kdeps why nova-core.ko LLVM=1 O=../build M=drivers/gpu/nova-core
      kdeps why nova_core.o include/linux/pci.h M=drivers/gpu/nova-core
      kdeps why rust/kernel/io.rs --used-by
    """
    refuse_slips(words, Goals.NAMES)
    names, make_words = split_names(words)
    if not 1 <= len(names) <= (1 if used_by else 2):
        raise UsageError(_usage(names, used_by=used_by))
    cwd, environ = current_folder(), dict(os.environ)
    result, known = _find_build(names[0], make_words, cwd, environ, used_by=used_by)
    if exact:
        from kdeps.staleness.exact import ask_kbuild

        result = ask_kbuild(result, environ)
    result = judge_contents(result, environ).result
    target = _resolve(result, known, names[0], cwd)
    asked = _Asked(result, known, target, names, cwd, output, colour, every)
    if used_by:
        return _answer_users(asked)
    return _answer_chain(asked) if len(names) == 2 else _answer_why(asked)
