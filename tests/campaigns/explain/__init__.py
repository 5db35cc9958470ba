# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A planted ``build_assert!`` failure is explained with the planted line.

Usage, as root, with a lab that ``tests/lab/make-lab.sh`` has made::

    python3 -m tests.lab explain --lab DIR [--seed N] [--count N] [--undefined | --frames]

Each case plants one mistake into a module, in an overlay of its own, and lets the real make and rustc fail. Then
``kdeps explain`` has to name the planted line, the lines that lead to it, and the text. A line that it calls certain
must be a planted one, and nothing in the trees may change. With ``--undefined``
the causes of undefined symbols are planted and compared, with ``--frames`` the sizes of stack frames are compared
with the machine code's own stack adjustment.
"""
