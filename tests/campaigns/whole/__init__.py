# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A whole real kernel, vmlinux and every module: ``kdeps ci --scope=tree`` against Kbuild's own answer.

``tests/lab/make-lab.sh small`` (what CI has the time for) or ``whole`` builds the
tree; then, on the host and as root::

    python3 -m tests.lab whole --lab DIR --tree whole --audit
    python3 -m tests.lab whole --lab DIR --tree whole --seed 1 --count 200
    python3 -m tests.lab whole --lab DIR --tree whole --bench
"""
