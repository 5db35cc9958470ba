# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The unit that ``kdeps watch --systemd`` prints, under a real user manager of a real systemd.

Usage, as root on Debian, with debootstrap and systemd-container installed::

    python3 -m tests.lab systemd [--root DIR]

A small Debian is made in DIR once and booted in a container of its own; systemd there runs the user
manager of a user without privileges, and that runs the watch of a miniature tree. Looked at: what systemd
thinks of the unit, readiness and status text, an edit, a kill, a hang (the watchdog), a refresh, a stop.
"""
