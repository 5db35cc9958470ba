# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``python3 -m kdeps``: the same program as the ``kdeps`` command."""

from kdeps.cli.main import main

main()
