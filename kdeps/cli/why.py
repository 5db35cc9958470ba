# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps why``: what makes a target stale, how it is made from a source, and who uses a file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from kdeps.cli.check import STATUS_EXITS, Colour, Format, Source
from kdeps.cli.query import make_writer, print_json, print_lines, split_names
from kdeps.cli.start import Exit, where
from kdeps.errors import UnknownTarget, UsageError
from kdeps.query.names import Named, Names
from kdeps.query.why import Chain, choose, explain, find_chain, find_state, find_users, judge_target
from kdeps.survey import Survey, survey
from kdeps.verdict import ReasonKind

if TYPE_CHECKING:
    from collections.abc import Callable


def run_why(
    words: tuple[str, ...],
    *,
    output: Format = Format.TEXT,
    source: Source = Source.RECORD,
    colour: Colour = Colour.AUTO,
    used_by: bool = False,
    every: bool = False,
) -> int:
    """Answer one question about one target, and return the exit status.

    Args:
        words: The target, perhaps a source, and make's arguments.
        output: How to print the answer.
        source: Whom to ask what is stale.
        colour: When to use colour.
        used_by: Ask who uses the first name, instead of what it is made from.
        every: Show every root cause, not only the nearest; the whole tree of users.
    """
    names, make_words = split_names(words)
    if not 1 <= len(names) <= (1 if used_by else 2):
        raise UsageError(_usage(names, used_by=used_by))
    cwd = where()
    environ = dict(os.environ)
    found, known = _find_build(names[0], make_words, cwd, environ, used_by=used_by)
    if source is Source.KBUILD:
        from kdeps.exact import ask_kbuild

        found = ask_kbuild(found, environ)
    target = _resolve(found, known, names[0], cwd)
    if used_by:
        return _answer_users(found, known, target, names[0], cwd, output, colour, every=every)
    if len(names) == 2:
        return _answer_chain(found, known, target, names, cwd, output, colour)
    return _answer_why(found, target, cwd, output, colour, every=every)


def _resolve(found: Survey, known: Names, name: str, cwd: str) -> Named:
    """Find what a name means; where M= names a folder that builds nothing, that is why there is none."""
    try:
        return known.resolve(name, cwd)
    except UnknownTarget:
        for finding in found.verdict.findings:
            if finding.kind is ReasonKind.NO_OBJECTS:
                raise UnknownTarget(f"{name}: {finding.message}; {finding.help}") from None
        raise


def _usage(names: tuple[str, ...], *, used_by: bool) -> str:
    if not names:
        return "why: which target? A crate (kernel), an object (nova_core.o), a module (nova-core.ko), a path"
    if used_by:
        return f"{names[1]}: --used-by takes one file"
    return f"{names[2]}: why takes one target and perhaps one source"


def _find_build(
    name: str, words: tuple[str, ...], cwd: str, environ: dict[str, str], *, used_by: bool
) -> tuple[Survey, Names]:
    """Survey the build that is meant; without a module, one that has the name, or for its users all of them."""
    found = survey(words, cwd, environ)
    known = Names(found.tree, found.graph)
    if found.tree.module is not None:
        return found, known
    if not used_by:
        if known.find(name, cwd) is not None:
            return found, known
        from kdeps.query.modules import find_modules, is_built_against
        from kdeps.rules import Scope
        from kdeps.tree import module_argument

        for folder in find_modules(found.tree):
            other = survey((*words, f"M={module_argument(found.tree, folder)}"), cwd, environ)
            own = [rule for rule in other.graph.rules if rule.scope is Scope.MODULE]
            names = Names(other.tree, other.graph)
            if is_built_against(other.tree.objtree, own) and names.find(name, cwd) is not None:
                return other, names
    # A name that none of them has may have its neighbours in any.
    from kdeps.query.modules import read_whole, survey_whole

    whole = read_whole(words, cwd, environ)
    everything = survey_whole(whole, environ)._replace(tree=found.tree)
    return everything, Names(found.tree, whole.graph, whole.folders)


def _answer_why(
    found: Survey, target: Named, cwd: str, output: Format, colour: Colour, *, every: bool
) -> int:
    chains = explain(found, target)
    state = None if target.rule is None else find_state(found, found.graph.rules[target.rule])
    if output is Format.JSON:
        from kdeps.report.query_json import why_json

        print_json(why_json(found, target, chains if every else choose(chains), _count_causes(chains)))
    else:
        from kdeps.report.why import write_why

        writer = make_writer(found, cwd, colour)
        write_why(writer, target, state, chains, every=every)
        print_lines(writer.lines, colour)
    return STATUS_EXITS[judge_target(found, target)]


def _count_causes(chains: list[Chain]) -> int:
    """One cause may have two chains: see ``explain``."""
    return len({(chain.cause.reason.kind, chain.cause.paths) for chain in chains if chain.cause is not None})


def _answer_chain(
    found: Survey,
    known: Names,
    target: Named,
    names: tuple[str, ...],
    cwd: str,
    output: Format,
    colour: Colour,
) -> int:
    is_source, shown = _source(known, names[1], cwd)
    chain: Chain | None = find_chain(found, target, is_source)
    if chain is None:
        other = known.find(names[1], cwd)
        is_target, _ = _source(known, names[0], cwd)
        turned = (
            other is not None and other.rule is not None and find_chain(found, other, is_target) is not None
        )
        hint = f"; {names[1]} is made from it: name that first" if turned and names[0] != names[1] else ""
        raise UnknownTarget(f"{names[0]}: is not made from {shown}, however indirectly{hint}")
    if output is Format.JSON:
        from kdeps.report.query_json import why_json

        print_json(why_json(found, target, [chain], 1))
    else:
        from kdeps.report.why import write_chain

        writer = make_writer(found, cwd, colour)
        write_chain(writer, target, shown, chain)
        print_lines(writer.lines, colour)
    return Exit.FRESH


def _source(known: Names, name: str, cwd: str) -> tuple[Callable[[str], bool], str]:
    """What a chain shall lead to: a file, a symbol, or any file of a folder."""
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


def _answer_users(
    found: Survey,
    known: Names,
    target: Named,
    name: str,
    cwd: str,
    output: Format,
    colour: Colour,
    *,
    every: bool,
) -> int:
    users = find_users(found.graph, known.same_file(target.path) or (target.path,), target.symbol)
    document: dict[str, Any]
    if output is Format.JSON:
        from kdeps.report.query_json import users_json

        document = users_json(found, target, users)
        print_json(document)
    else:
        from kdeps.report.why import write_users

        writer = make_writer(found, cwd, colour)
        write_users(writer, name, users, every=every)
        print_lines(writer.lines, colour)
    return Exit.FRESH
