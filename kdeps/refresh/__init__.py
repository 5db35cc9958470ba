# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Bring the kernel artifacts of a build up to date, by make or by ninja.

Nothing here prints or exits; callers pass callbacks.
Start reading at ``plan`` (what to remove and which goals to make).
"""
