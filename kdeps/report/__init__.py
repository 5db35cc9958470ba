# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Floor 5: a verdict in words for people (``text``) and for programs (``verdict_json``)."""
