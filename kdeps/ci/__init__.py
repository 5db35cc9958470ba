# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Floor 5: the consistency of several modules, by time and by content, for a pipeline."""
