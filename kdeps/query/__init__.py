# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What people ask about a build: why, what is affected, which names exist.

Nothing here changes a tree or prints.
Start reading at ``names`` (what a user's word means) and ``why`` (the chain to a cause).
"""
