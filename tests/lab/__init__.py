# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The lab: real kernel trees in a chroot that ``make-lab.sh`` builds, and the way into it.

``python3 -m tests.lab CAMPAIGN`` runs ``tests/campaigns/CAMPAIGN`` there, each with options of its own (``--help``);
``python3 -m tests.lab --lab DIR -- COMMAND…`` runs one command inside, with this checkout.
"""
