# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""One page for each kind of issue and for the errors of rustc and modpost that a stale build ends with."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent / "pages"
_SUFFIX = ".txt"


class Page(NamedTuple):
    """One page."""

    name: str
    title: str
    """What it is about, without a full stop; it begins in lower case."""
    text: str
    """The whole page, as `kdeps explain` prints it."""

    @property
    def description(self) -> str:
        """Return the first paragraph below the title, on one line."""
        return self.text.split("\n\n")[1].strip().replace("\n", " ")

    @property
    def markdown(self) -> str:
        """Return the page in Markdown, which needs a fence around what is indented here."""
        title, _, rest = self.text.partition("\n")
        return f"# {title}\n" + _INDENTED.sub(
            lambda found: "\n```\n" + re.sub("(?m)^    ", "", found[0]) + "```\n", rest
        )

    @property
    def uri(self) -> str:
        """Return the address of the page on this machine; kdeps has no pages anywhere else."""
        return (FOLDER / f"{self.name}{_SUFFIX}").as_uri()


_INDENTED = re.compile(r"(?:^    .*\n)+", re.MULTILINE)


def page_names() -> tuple[str, ...]:
    """Return the names of all pages, sorted."""
    return tuple(sorted(path.name[: -len(_SUFFIX)] for path in FOLDER.glob(f"*{_SUFFIX}")))


def read_page(name: str) -> Page | None:
    """Read a page; None if there is no page of that name. A name may be as a message has it, ``stale[new-file]``."""
    known = {_plain(page): page for page in page_names()}
    found = known.get(_plain(name.rpartition("[")[2].removesuffix("]")))
    if found is None:
        return None
    text = (FOLDER / f"{found}{_SUFFIX}").read_text(encoding="utf-8")
    return Page(found, text.partition("\n")[0].partition(": ")[2], text)


def _plain(name: str) -> str:
    return name.lower().replace("_", "-")


def page_of(name: str) -> Page:
    """Read a page that is there: every kind of issue has one."""
    page = read_page(name)
    assert page is not None, name
    return page
