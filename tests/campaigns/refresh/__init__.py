# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""After ``kdeps make M=…`` on a real tree, Kbuild itself has nothing left to do.

Usage, as root, with a lab that ``tests/lab/make-lab.sh`` has made::

    python3 -m tests.lab refresh --lab DIR [--seed N] [--count N] [--real N] [--jobs N] [--only LAYOUT/SEED:INDEX] [--with ninja]

The cases are those of the campaign ``conformance``: the same seeded changes of the same
trees, each in an overlay of its own. ``--count`` cases use a stand-in for the
compilers, ``--real`` ones the compilers, and look for new code in the module.
"""
