# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""One file for each command: its options, its help and its body.

``check`` and ``make`` have only their options here: their bodies import no click.
Start reading at any command; ``dispatch`` in the package above finds it by its name.
"""
