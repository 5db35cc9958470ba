# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Hold what kdeps printed against the published schema.

The validators are imported where they are used: tests that need none run in the lab, which has none.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from tests.conftest import CHECKOUT

SCHEMAS = CHECKOUT / "tests/data/schemas"


@cache
def _validator(path: str) -> Any:
    from jsonschema.validators import validator_for

    schema = json.loads((CHECKOUT / path).read_text())
    validator_for(schema).check_schema(schema)  # once: it takes a hundred times as long as a document
    return validator_for(schema)(schema)


def validate(document: Any, name: str) -> None:
    """Hold a document against a schema of kdeps, ``verdict`` or another."""
    _validator(f"kdeps/report/{name}.schema.json").validate(document)


def read_json(text: str) -> Any:
    """A report as ``kdeps.ci/1``."""
    document = json.loads(text)
    validate(document, "ci")
    return document


def read_sarif(text: str) -> Any:
    """The only run of a SARIF log."""
    document = json.loads(text)
    _validator("tests/data/schemas/sarif-2.1.0-rtm.5.json").validate(document)
    return document["runs"][0]


def read_gitlab(text: str) -> Any:
    """The entries of a code quality report."""
    document = json.loads(text)
    _validator("tests/data/schemas/gitlab-code-quality.json").validate(document)
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
