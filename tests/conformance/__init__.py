# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Does kdeps say what Kbuild says?  Seeded mutations of real kernel trees, judged by both.

``python3 -m tests.conformance --help``.  The trees are made by ``tests/lab/make-lab.sh``.

kdeps runs as a process, as users run it, and the referee (:mod:`.kbuild`) shares
no code with what it judges; only ``rules_dump``, for the audit, imports kdeps.

==============  ===============================================================
``layout``      where the lab's trees lie and how to call make in them
``scratch``     a throw-away overlay, so that a case never has to be undone
``kbuild``      Kbuild's own answer: what it would run, executing nothing
``answer``      kdeps' answer: its JSON, made comparable
``aim``         which files a mutation may hit, by kind
``mutate``      what is done to them, and the seeded choice of both
``case``        one mutation, both answers, the difference
``really``      the same against a real build in the overlay
``field``      the cases from the field, from edit to cure, with real compilers
``audit``       Kbuild's prerequisites of every rule against kdeps'
``rules_dump``  kdeps' list of prerequisites, for ``field``      the cases from the field, from edit to cure, with real compilers
``audit``
``run``         many cases, each in a process of its own
``report``      outcomes in words and as JSON
``__main__``    the command
==============  ===============================================================
"""
