# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The graph as a picture or as data for other tools.

``group`` turns 3,500 files into what a person can look at: crates, modules, tools and
folders. ``page`` and ``text`` draw that; the formats that are data (GraphML, JSON) take
the whole graph.
"""
