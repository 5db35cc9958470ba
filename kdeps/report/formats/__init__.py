# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The formats of ``kdeps ci``: text, JSON, SARIF, JUnit, GitHub, GitLab.

Each module turns one ``issues.Report`` into text.
Start reading at ``text``.
"""
