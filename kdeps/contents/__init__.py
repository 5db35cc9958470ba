# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What things were built from, by content: the memory of builds, and the ledger.

It owns hashes, what is remembered, the verdict by content and the times that let make see it.
It must not inspect compiled files or start make. Start reading at ``memory`` (what is
remembered), ``recall`` (how contents decide) and ``ledger`` (the portable form).
"""
