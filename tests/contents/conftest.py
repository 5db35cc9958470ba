# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The fixture of the tests of the memory of builds."""

from tests.support.memory import remembered

__all__ = ["remembered"]
