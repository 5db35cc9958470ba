# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Floor 6: the command line. Thin: parse, call, print, exit."""
