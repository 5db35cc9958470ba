# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Floor 5: the verdict, kept current.

Events only wake it; the verdict always comes from the disk, by the same
``survey`` as ``kdeps check``. One way through the house::

    events ─┐
    polling ┼▶ settle ─▶ survey ─▶ show, status file, socket, act
    clock  ─┘   │  ▲        │
              busy: git,    └▶ interest: which folders matter, from now on
              make run?

``interest`` says which names in which folders a survey has looked at, ``inotify`` and
``polling`` tell when one of them changes, ``busy`` knows who is still writing, ``settle``
decides when to look again, ``looking`` looks, ``telling`` tells everybody, ``refresher`` and
``execute`` act, ``loop`` ties them together. None of them has an opinion about what is stale.
"""
