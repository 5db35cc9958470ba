# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Manual pages, made from what ``--help`` is made from.

One page for kdeps, one for each command. The macros are those of man(7), which
groff and mandoc both know. What stands under "Exit status:" and "Examples:" in a
command's help gets a section of its own.
"""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click

from kdeps import __version__
from kdeps.errors import KdepsError

SECTIONS = {"Exit status": "EXIT STATUS", "Examples": "EXAMPLES"}
_VERBATIM = "\b\n"
_CODE = re.compile(r"`([^`\n]+)`")

ENVIRONMENT: dict[str, str] = {
    "KDEPS_ON_STALE": "What `kdeps make` does about a stale build: rebuild, warn or fail.",
    "KBUILD_OUTPUT, KBUILD_EXTMOD, KBUILD_EXTMOD_OUTPUT, LLVM, ARCH, CROSS_COMPILE": "As for make.",
    "KDIR, KERNEL_SRC": "The kernel that an external module is built against.",
    "XDG_CACHE_HOME": "Where what kdeps remembers is kept, in a folder kdeps; ~/.cache if it is not set.",
    "NO_COLOR": "No colour, whatever the terminal.",
}
STATUSES = (
    "0  fresh; done",
    "1  stale: `make M=…` would silently use it",
    "2  cannot tell, or wrong arguments; one line says which and what to do",
    "3  a bug in kdeps, with a report ready to paste",
    "130  interrupted",
)


def pages(group: click.Group) -> dict[str, str]:
    """Every manual page by its name (``kdeps-check``), in the order of the commands."""
    found = {"kdeps": _group_page(group)}
    for name, command in group.commands.items():
        if not command.hidden:
            found[f"kdeps-{name}"] = _command_page(name, command, group)
    return found


def install(group: click.Group, folder: Path) -> list[Path]:
    """Write every page below a folder of manuals (``share/man``), and return their paths."""
    section = folder / "man1"
    written = []
    try:
        section.mkdir(parents=True, exist_ok=True)
        for name, text in pages(group).items():
            path = section / f"{name}.1"
            path.write_text(text, encoding="utf-8")
            written.append(path)
    except OSError as error:
        raise KdepsError(f"{error.filename}: {error.strerror}; name another folder with --install") from error
    return written


def show(page: str) -> int:
    """Show a page: with man on a terminal, else as it is, for whoever formats it."""
    if sys.stdout.isatty():
        try:
            # groff's and mandoc's man both take a page from standard input that way.
            return subprocess.run(["man", "-l", "-"], input=page.encode(), check=False).returncode
        except OSError:
            pass
    sys.stdout.write(page)
    return 0


# -- one page ----------------------------------------------------------------


def _command_page(name: str, command: click.Command, group: click.Group) -> str:
    title = f"kdeps-{name}"
    with click.Context(command, info_name=f"kdeps {name}", help_option_names=["-h", "--help"]) as context:
        usage = " ".join(command.collect_usage_pieces(context))
        options = list(_options(command, context))
    summary, sections = _read_help(command)
    lines = [*_head(title), ".SH NAME", f"{_escape(title)} \\- {_escape(summary)}", ".SH SYNOPSIS"]
    lines += [f".B kdeps {_escape(name)}", _escape(usage), ".SH DESCRIPTION", *sections.pop("")]
    lines += [".SH OPTIONS", *options]
    for heading, body in sections.items():
        lines += [f".SH {heading}", *body]
    others = [f"kdeps-{other}" for other in group.commands if other != name]
    return "\n".join([*lines, *_see_also(["kdeps", *others])]) + "\n"


def _group_page(group: click.Group) -> str:
    summary, sections = _read_help(group)
    lines = [*_head("kdeps"), ".SH NAME", f"kdeps \\- {_escape(summary)}", ".SH SYNOPSIS"]
    lines += [".B kdeps", _escape("COMMAND [OPTIONS] [MAKE_ARGS]..."), ".SH DESCRIPTION", *sections.pop("")]
    lines.append(".SH COMMANDS")
    for name, command in group.commands.items():
        if not command.hidden:
            lines += [".TP", f".BR kdeps\\-{_escape(name)} (1)", _escape(_read_help(command)[0])]
    lines.append(".SH EXIT STATUS")
    lines += _filled("The same for every command but `kdeps make`, which exits as make does.")
    for status in STATUSES:
        number, _, text = status.partition("  ")
        lines += [".TP", f".B {number}", *_filled(text)]
    lines.append(".SH ENVIRONMENT")
    for name, text in ENVIRONMENT.items():
        lines += [".TP", f".B {_escape(name)}", *_filled(text)]
    pages = [f"kdeps-{name}" for name, command in group.commands.items() if not command.hidden]
    return "\n".join([*lines, *_see_also([*pages, "make"])]) + "\n"


def _head(title: str) -> list[str]:
    return [
        '.\\" Made from the help texts of kdeps; SPDX-License-Identifier: GPL-2.0-only OR MIT',
        f'.TH {_escape(title.upper())} 1 "" "kdeps {__version__}" "kdeps"',
    ]


def _see_also(names: list[str]) -> list[str]:
    last = len(names) - 1
    return [
        ".SH SEE ALSO",
        *(f".BR {_escape(n)} (1){',' if at < last else ''}" for at, n in enumerate(names)),
    ]


def _read_help(command: click.Command) -> tuple[str, dict[str, list[str]]]:
    """Part a help text into its first line and sections in man's language; the description is section ``""``."""
    text = inspect.cleandoc(command.help or "").partition("\f")[0]
    first, _, rest = text.partition("\n\n")
    sections: dict[str, list[str]] = {"": [*_paragraph(first)]}
    for paragraph in re.split(r"\n{2,}", rest.strip("\n")):
        heading = paragraph.removeprefix(_VERBATIM).partition(":\n")[0]
        if heading in SECTIONS:
            body = inspect.cleandoc(paragraph.removeprefix(_VERBATIM).partition(":\n")[2])
            sections[SECTIONS[heading]] = [*_verbatim(body)]
        elif paragraph:
            sections[""] += [".PP", *_paragraph(paragraph)]
    summary = " ".join(first.split()).rstrip(".")
    return summary, sections


def _paragraph(text: str) -> Iterator[str]:
    if text.startswith(_VERBATIM):
        yield from _verbatim(text.removeprefix(_VERBATIM))
    else:
        yield from _filled(" ".join(text.split()))


def _verbatim(text: str) -> Iterator[str]:
    yield from (".RS 4", ".nf")
    for line in text.split("\n"):
        yield _inline(line)
    yield from (".fi", ".RE")


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context) if isinstance(parameter, click.Option) else None
        if record is not None:
            names, text = record
            yield from (".TP", f".B {_escape(names)}", *_filled(" ".join(text.split())))


def _inline(text: str) -> str:
    """Escape a line and set what stands in backquotes in bold."""
    parts = _CODE.split(text)
    return _guard("".join(f"\\fB{_escape(p)}\\fR" if n % 2 else _escape(p) for n, p in enumerate(parts)))


def _filled(text: str) -> Iterator[str]:
    """The same in lines of a decent length, for text that the formatter fills."""
    lines = textwrap.wrap(_inline(text), 78, break_long_words=False, break_on_hyphens=False)
    yield from map(_guard, lines)


def _escape(text: str) -> str:
    """Write text so that no character of it means anything to the formatter."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("`", "\\(ga").replace("'", "\\(aq")
    text = text.replace("^", "\\(ha").replace("~", "\\(ti")
    return "".join(c if c.isascii() else f"\\[u{ord(c):04X}]" for c in text)


def _guard(line: str) -> str:
    """Keep a line from being taken for a request."""
    return f"\\&{line}" if line.startswith((".", "'")) else line
