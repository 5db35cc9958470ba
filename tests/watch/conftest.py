# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The fixtures of a watch."""

from tests.support.watching import env, start_watch

__all__ = ["env", "start_watch"]
