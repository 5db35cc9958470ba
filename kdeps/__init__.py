# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Tell when ``make M=…`` would silently use stale kernel artifacts.

What ``kdeps check`` imports takes ``NamedTuple`` from here: ``typing`` is slow to import, and slow to make a class.

Everywhere ``words`` are make's arguments, verbatim, ``cwd`` is the folder that the user stands in and ``environ`` the
environment that make would get. A ``result`` is the verdict by time unless its name tells another.
"""

__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
else:
    from collections import namedtuple

    class _Fields(type):
        """Makes a class a named tuple of the names that it annotates, and does not evaluate the annotations."""

        def __new__(cls, name, bases, body):
            if not bases:
                return super().__new__(cls, name, bases, body)
            fields = body.get("__annotations__", ())
            defaults = [body.pop(field) for field in fields if field in body]
            return type(name, (namedtuple(name, fields, defaults=defaults),), {"__slots__": (), **body})

    class NamedTuple(metaclass=_Fields):
        """As ``typing.NamedTuple``."""
