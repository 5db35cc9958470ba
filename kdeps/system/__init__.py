# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What the operating system gives: files, stat, mounts, processes, locks, the cache.

It must not contain anything about kernels, make or Kbuild.
Start reading at ``files`` (opening and writing) and ``errors`` (what kdeps raises on purpose).
"""
