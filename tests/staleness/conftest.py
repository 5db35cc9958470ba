# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The fixtures of `kdeps ci --scope=tree`."""

from tests.support.whole_tree import cache, whole

__all__ = ["cache", "whole"]
