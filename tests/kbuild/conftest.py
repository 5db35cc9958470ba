# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The fixtures of whole trees."""

from tests.support.whole_tree import cache, whole

__all__ = ["cache", "whole"]
