# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Tell when ``make M=…`` would silently use stale kernel artifacts."""

__version__ = "0.1.0"
