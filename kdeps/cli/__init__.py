# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The command line: parsing, printing, exit statuses; it connects everything else.

It must not decide what is stale. Only this package prints or exits.
Start reading at ``main``; each command is one file in ``commands``.
"""
