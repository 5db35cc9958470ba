# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Every answer of ``kdeps why`` and ``kdeps affected`` on real kernel trees, against brute force and against make.

    sudo .venv/bin/python -m tests.lab questions --lab DIR                  # 500 seeded questions, 36 real edits
    sudo .venv/bin/python -m tests.lab questions --lab DIR --only out/1:17  # one question again
    sudo .venv/bin/python -m tests.lab questions --lab DIR --questions 0 --edits 40 --real 4

Brute force is networkx on a graph of its own: the raw records, read by a dozen lines
here, and make's own list of prerequisites. An edit is answered first and
then really made, in an overlay that is forgotten.
"""
