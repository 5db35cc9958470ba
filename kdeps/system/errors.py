# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Everything kdeps raises on purpose.

* KdepsError          the user can fix it: one line, exit 2
  * NoTree            no kernel tree in that place
    * NotConfigured   a kernel tree without a configuration: a forgotten O=?
  * UsageError        the make arguments contradict themselves
  * Unreadable        a file that must be read cannot be
  * KbuildError       make itself stopped during ``--exact``
  * UnknownTarget     nothing in the build has that name: suggests neighbours
  * AmbiguousName     several things in the build have that name: lists them

Any other exception that reaches ``kdeps.cli`` is a bug in kdeps: exit 3.

A record that is cut off or is no record at all is *not* an exception: Kbuild
has an opinion about each such file, so it is a value (``RecordState``) and the
verdict says what follows from it.
"""

import os


class KdepsError(Exception):
    """Something a person can fix. The message is one line, path first, next step last."""


class NoTree(KdepsError):
    """There is no configured kernel tree where make would look for one."""


class NotConfigured(NoTree):
    """There is a kernel tree, without a configuration or an object tree that make would use."""


class UsageError(KdepsError):
    """The make arguments cannot mean anything."""


class Unreadable(KdepsError):
    """A file or folder that the answer depends on could not be read."""


class KbuildError(KdepsError):
    """make stopped with an error instead of answering what is stale."""


class UnknownTarget(KdepsError):
    """Nothing in the build has the name that was given."""


class AmbiguousName(KdepsError):
    """Several things in the build have the name that was given."""


def describe_bug(error: Exception) -> str:
    """Say what happened in us, and where."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" at {os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace else ""
    return f"{type(error).__name__}: {error}{where}"
