# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Does kdeps say what Kbuild says?  Seeded mutations of real kernel trees, judged by both.

``python3 -m tests.lab conformance --help``.  The trees are made by ``tests/lab/make-lab.sh``.

kdeps runs as a process, as users run it, and the referee (:mod:`tests.lab.kbuild_oracle`) shares
no code with what it judges; only ``rules_dump``, for the audit, imports kdeps.

=====================  ===============================================================
``lab.layout``         where the lab's trees lie and how to call make in them
``lab.overlay``        a throw-away overlay, so that a case never has to be undone
``lab.kbuild_oracle``  Kbuild's own answer: what it would run, executing nothing
``lab.answer``         kdeps' answer: its JSON, made comparable
``lab.targets``        which files a mutation may hit, by kind
``lab.operations``     what is done to them
``lab.mutate``         the seeded choice of both
``lab.real_build``     the same against a real build in the overlay
``lab.run``            many cases, each in a process of its own
``case``               one mutation, both answers, the difference
``chain``              several mutations, one after the other
``scenarios``          the cases from the field, from edit to cure, with real compilers
``audit``              Kbuild's prerequisites of every rule against kdeps'
``rules_dump``         kdeps' list of prerequisites, for ``audit``
``report``             outcomes in words and as JSON
``campaign``           which cases, how many, and how they are told
=====================  ===============================================================
"""
