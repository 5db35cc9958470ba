# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Shell completion: the scripts that ``kdeps completion`` prints, and the answers they ask for.

A script calls ``_KDEPS_COMPLETE=SHELL kdeps WORD…``. The last word is the one at the
cursor, as far as it is typed. The answer is one candidate a line, followed by a tab and a
few words of help. Options and commands come from click's own
definitions, so they cannot be forgotten; the rest from ``kdeps.query.complete``.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click

    from kdeps.query.complete import Candidate

VARIABLE = "_KDEPS_COMPLETE"
SHELLS = ("bash", "zsh", "fish")


def run_completion(words: list[str]) -> int:
    """Print what can stand at the cursor. Never fails and prints no message, because the user is typing."""
    shell = os.environ.pop(VARIABLE)
    try:
        found = complete(words or [""], os.getcwd(), dict(os.environ))
        lines = [f"{c.value}\n" if shell == "bash" else f"{c.value}\t{c.help}\n" for c in found]
        sys.stdout.write("".join(lines))
        sys.stdout.flush()
    except Exception:  # a traceback would destroy the command line that the user types
        return 1
    return 0


def complete(words: list[str], cwd: str, environ: dict[str, str]) -> list[Candidate]:
    """Find what can stand at the cursor.

    Args:
        words: Everything behind ``kdeps`` up to the cursor; the last one is being typed.
        cwd: The folder the user stands in.
        environ: The environment make would get.
    """
    import click

    from kdeps.cli.dispatch import all_commands
    from kdeps.query.complete import Candidate, shown

    cli = all_commands()
    *before, typed = words
    name = next((word for word in before if not word.startswith("-")), None)
    if name is None:
        if typed.startswith("-"):
            return _options(cli, typed)
        return [
            Candidate(known, command.get_short_help_str(60))
            for known, command in cli.commands.items()
            if known.startswith(typed) and not command.hidden
        ]
    command = cli.commands.get(name)
    if command is None:
        return []
    rest = before[before.index(name) + 1 :]
    option = _open_option(command, rest)
    if option is not None:
        return shown(_values(option, typed, cwd))
    if typed.startswith("--") and "=" in typed:
        long, _, value = typed.partition("=")
        option = next((p for p in command.params if isinstance(p, click.Option) and long in p.opts), None)
        found = _values(option, value, cwd) if option is not None else []
        return shown([candidate._replace(value=f"{long}={candidate.value}") for candidate in found])
    if typed.startswith("-"):
        return _options(command, typed)
    return shown(_arguments(command, rest, typed, cwd, environ))


def _options(command: click.Command, typed: str) -> list[Candidate]:
    import click

    from kdeps.query.complete import Candidate

    with click.Context(command, info_name=command.name, help_option_names=["-h", "--help"]) as context:
        options = [p for p in command.get_params(context) if isinstance(p, click.Option) and not p.hidden]
    return [
        Candidate(name, (option.help or "").split(". ")[0].rstrip("."))
        for option in options
        for name in option.opts
        if name.startswith("--") and name.startswith(typed)
    ]


def _open_option(command: click.Command, rest: list[str]) -> click.Option | None:
    """The option that waits for its value right before the cursor."""
    import click

    last = rest[-1] if rest else ""
    for parameter in command.params:
        if isinstance(parameter, click.Option) and last in parameter.opts and not parameter.is_flag:
            return parameter
    return None


def _values(parameter: click.Parameter, typed: str, cwd: str) -> list[Candidate]:
    import click

    from kdeps.query.complete import Candidate, complete_path

    if isinstance(parameter.type, click.Choice):
        return [Candidate(str(c)) for c in parameter.type.choices if str(c).startswith(typed)]
    if parameter.name == "since":
        from kdeps.query.git import list_revisions

        return [
            Candidate(r, "revision") for r in list_revisions(cwd, dict(os.environ)) if r.startswith(typed)
        ]
    return complete_path(typed, cwd) if isinstance(parameter.type, click.Path) else []


def _arguments(
    command: click.Command, rest: list[str], typed: str, cwd: str, environ: dict[str, str]
) -> list[Candidate]:
    import click

    from kdeps.query.complete import complete_make, complete_name, complete_path

    positional = tuple(word for word in rest if not word.startswith("--"))
    if positional and positional[-1] == "-C":
        return complete_path(typed, cwd, folders_only=True)
    found: list[Candidate] = []
    for argument in command.params:
        if not isinstance(argument, click.Argument):
            continue
        if isinstance(argument.type, click.Choice):
            found += _values(argument, typed, cwd)
        elif argument.name == "words" and "=" not in typed:
            found += complete_name(positional, typed, cwd, environ)
        if argument.name in ("words", "make_args"):
            known = complete_make(positional, typed, cwd, environ)
            # Goals are make's; a question has none.
            found += [c for c in known if argument.name == "make_args" or "=" in c.value]
    return found


def script(shell: str) -> str:
    """The script that teaches a shell to complete ``kdeps``."""
    return {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}[shell]


_BASH = r"""# bash completion for kdeps; in ~/.bashrc:  eval "$(kdeps completion bash)"
_kdeps() {
    local line=${COMP_LINE:0:COMP_POINT} word rest blanks i n=0 reply
    local -a words=()
    # bash splits M=drivers/gpu at the = (COMP_WORDBREAKS); put such words together again.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        blanks=${line%%[![:blank:]]*}
        line=${line#"$blanks"}
        if ((n == 0)) || [[ -n $blanks ]]; then
            words[n++]=$word
        else
            words[n - 1]+=$word
        fi
        line=${line#"$word"}
    done
    # What stands behind the cursor is not yet typed, as far as this is concerned.
    word=${words[n - 1]}
    COMPREPLY=()
    # bash puts the answer behind the last of its word breaks.
    rest=${word##*[=:]}
    [[ $COMP_WORDBREAKS == *=* ]] || rest=$word
    while IFS= read -r reply; do
        COMPREPLY+=("${reply#"${word%"$rest"}"}")
    done < <(_KDEPS_COMPLETE=bash "$1" "${words[@]:1}" 2>/dev/null)
    if ((${#COMPREPLY[@]} == 1)) && [[ ${COMPREPLY[0]} == *[/=] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -F _kdeps kdeps
"""

_ZSH = r"""#compdef kdeps
# zsh completion for kdeps; in ~/.zshrc, after compinit:  eval "$(kdeps completion zsh)"
_kdeps() {
    local value help
    local -a ends open ends_shown open_shown
    while IFS=$'\t' read -r value help; do
        if [[ $value == *[/=] ]]; then
            open+=("$value")
            open_shown+=("$value${help:+  -- $help}")
        else
            ends+=("$value")
            ends_shown+=("$value${help:+  -- $help}")
        fi
    done < <(_KDEPS_COMPLETE=zsh "${(Q)words[1]}" "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)
    ((${#open})) && compadd -Q -l -S '' -d open_shown -a open
    ((${#ends})) && compadd -Q -l -d ends_shown -a ends
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _kdeps "$@"
else
    compdef _kdeps kdeps
fi
"""

_FISH = r"""# fish completion for kdeps; in ~/.config/fish/config.fish:  kdeps completion fish | source
function __kdeps_complete
    set -l words (commandline -opc)
    set -l program $words[1]
    set -e words[1]
    _KDEPS_COMPLETE=fish $program $words (commandline -ct) 2>/dev/null
end
complete --command kdeps --no-files --arguments '(__kdeps_complete)'
"""
