# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Read what ``kdeps ci`` printed, and hold it against the published schema."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from jsonschema import Draft4Validator, Draft202012Validator
from lxml import etree

from tests.conftest import CHECKOUT

SCHEMAS = CHECKOUT / "tests/data/schemas"


@cache
def _schema(path: str) -> Any:
    return json.loads((CHECKOUT / path).read_text())


def read_json(text: str) -> Any:
    """A report as ``kdeps.ci/1``."""
    document = json.loads(text)
    Draft202012Validator(_schema("kdeps/report/ci.schema.json")).validate(document)
    return document


def read_sarif(text: str) -> Any:
    """The only run of a SARIF log."""
    document = json.loads(text)
    Draft4Validator(_schema("tests/data/schemas/sarif-2.1.0-rtm.5.json")).validate(document)
    return document["runs"][0]


def read_gitlab(text: str) -> Any:
    """The entries of a code quality report."""
    document = json.loads(text)
    Draft202012Validator(_schema("tests/data/schemas/gitlab-code-quality.json")).validate(document)
    fingerprints = [entry["fingerprint"] for entry in document]
    assert len(set(fingerprints)) == len(fingerprints)
    return document


def read_junit(text: str) -> Any:
    """The only test suite of a JUnit report."""
    document = etree.fromstring(text.encode())
    etree.XMLSchema(etree.parse(str(SCHEMAS / "junit-10.xsd"))).assertValid(document)
    (suite,) = document
    return suite
