# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Fuzzers, run by hand: see ``tests.fuzz.parsers``."""
