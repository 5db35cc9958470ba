# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""kdeps' own list of prerequisites, for the audit: the one place here that imports kdeps.

``python3 -m tests.campaigns.conformance.rules_dump MAKE-ARGS`` prints one JSON object, absolute
target to absolute prerequisites. What make compares only while it exists is
listed only if it exists, for make's ``$^`` does not name it otherwise.
"""

from __future__ import annotations

import json
import os
import sys

from kdeps.kbuild.rules import read_rules
from kdeps.kbuild.tree import find_tree


def main(words: list[str]) -> None:
    tree = find_tree(tuple(words), os.getcwd(), dict(os.environ))
    edges: dict[str, list[str]] = {}
    for rule in read_rules(tree).rules:
        names = {*rule.prerequisites, *(path for path in rule.optional_prerequisites if os.path.exists(path))}
        names |= {
            path
            for symbol in rule.config
            if os.path.exists(path := f"{rule.config_dir}/include/config/{symbol}")
        }
        edges[rule.target] = sorted(names)
    json.dump(edges, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
