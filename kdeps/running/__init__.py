# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What runs: is the module that is loaded, installed or in the initramfs the one that was built?

Owns build ids, the facts of a machine (this one or another), and the judge that compares them with a build.
Knows no words for people, no options and no command; nothing here loads, unloads or writes anything.
Start reading in ``judge``; ``facts`` says what is known of a machine, ``machine`` and ``remote`` collect it.
What the log of a running kernel says is in ``log`` (a stream) and ``oops_origin`` (from which build an oops is).
"""
