# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Floor 5: what people ask the graph. ``network`` alone imports networkx."""
