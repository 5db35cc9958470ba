# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Recorded commands, compared with the kernel's own parser of them: its tests name the inputs of some 70 real ones.

The file (linux 7.2 and later) is read and never run. Every input that it expects must be found. What is found
beyond them is printed: scripts, tools and what options name are inputs to kdeps, and were left out there on purpose.
"""
