# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Floor 5: bring a build to fresh.

``request`` reads what make was asked for, ``plan`` decides what to remove and
which goals to make, ``refresh`` does it under a ``lock``, and ``memory`` knows
what Kbuild itself has already confirmed. Nothing here prints or exits.
"""
