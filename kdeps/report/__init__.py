# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Words and documents: every sentence, table and format that kdeps writes.

Nothing here judges; it receives results and returns text.
Start reading at ``sentences`` (one for each reason) and ``verdict_text``.
"""
