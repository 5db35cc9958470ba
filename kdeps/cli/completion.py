# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Shell completion: the scripts that ``kdeps completion`` prints, and the answers they ask for.

A script calls ``_KDEPS_COMPLETE=SHELL kdeps WORD…``. The last word is the one at the
cursor, as far as it is typed. The answer is one candidate a line, followed by a tab and a
few words of help. click finds which parameter the word belongs to, and completes commands,
options and choices; ``cli.completers`` completes make's words, names and revisions.

The scripts are not click's, because bash splits ``M=drivers/gpu`` at the ``=``, and because
no blank may follow a candidate that ends in ``=`` or ``/``.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kdeps.query.complete import Candidate

VARIABLE = "_KDEPS_COMPLETE"


def run_completion(words: list[str]) -> int:
    """Print what can stand at the cursor. Never fails and prints no message, because the user is typing."""
    shell = os.environ.pop(VARIABLE)
    try:
        found = complete(words or [""])
        lines = [f"{c.value}\n" if shell == "bash" else f"{c.value}\t{c.help}\n" for c in found]
        sys.stdout.write("".join(lines))
        sys.stdout.flush()
    except Exception:  # a traceback would destroy the command line that the user types
        return 1
    return 0


def complete(words: list[str]) -> list[Candidate]:
    """Find what can stand at the cursor; the last word is being typed."""
    from click.shell_completion import ShellComplete

    from kdeps.cli.dispatch import all_commands
    from kdeps.query.complete import Candidate, complete_path, shown

    *before, typed = words
    option = f"{typed.partition('=')[0]}=" if typed.startswith("--") and "=" in typed else ""
    found: list[Candidate] = []
    for item in ShellComplete(all_commands(), {}, "kdeps", VARIABLE).get_completions(before, typed):
        if item.type == "plain":
            found.append(Candidate(f"{option}{item.value}", (item.help or "").split(". ")[0].rstrip(".")))
        else:
            paths = complete_path(item.value, os.getcwd(), folders_only=item.type == "dir")
            found += [path._replace(value=f"{option}{path.value}") for path in paths]
    return shown(found)


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

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
"""Shell → what teaches it to complete ``kdeps``."""
