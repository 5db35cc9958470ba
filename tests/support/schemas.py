# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Read what ``kdeps ci`` printed, and hold it against the published schema.

The validators are imported where they are used: tests that need none run in the lab, which has none.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from tests.conftest import CHECKOUT

SCHEMAS = CHECKOUT / "tests/data/schemas"


@cache
def _schema(path: str) -> Any:
    return json.loads((CHECKOUT / path).read_text())


def _validate(document: Any, path: str) -> None:
    from jsonschema.validators import validator_for

    schema = _schema(path)
    validator_for(schema)(schema).validate(document)


def read_json(text: str) -> Any:
    """A report as ``kdeps.ci/1``."""
    document = json.loads(text)
    _validate(document, "kdeps/report/ci.schema.json")
    return document


def read_sarif(text: str) -> Any:
    """The only run of a SARIF log."""
    document = json.loads(text)
    _validate(document, "tests/data/schemas/sarif-2.1.0-rtm.5.json")
    return document["runs"][0]


def read_gitlab(text: str) -> Any:
    """The entries of a code quality report."""
    document = json.loads(text)
    _validate(document, "tests/data/schemas/gitlab-code-quality.json")
    fingerprints = [entry["fingerprint"] for entry in document]
    assert len(set(fingerprints)) == len(fingerprints)
    return document


def read_junit(text: str) -> Any:
    """The only test suite of a JUnit report."""
    from lxml import etree

    document = etree.fromstring(text.encode())
    etree.XMLSchema(etree.parse(str(SCHEMAS / "junit-10.xsd"))).assertValid(document)
    (suite,) = document
    return suite
