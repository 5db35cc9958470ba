# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A ledger as a file: one file and one rule a line, sorted, with a checksum in front."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Iterable
from typing import Any

from kdeps import __version__
from kdeps.contents.hashes import GONE, FileHash
from kdeps.contents.ledger import Build, Entry, Ledger, LedgerError
from kdeps.system.files import open_to_read, write_file

SCHEMA = "kdeps.ledger/1"
MAX_BYTES = 256 << 20
"""A ledger of a whole kernel has some MB."""
_MAX_COMMIT = 200


def format_ledger(ledger: Ledger) -> bytes:
    """Write a ledger as text: one file, one rule a line, everything sorted."""
    names = sorted(ledger.files)
    position = {name: at for at, name in enumerate(names)}

    def text(value: object) -> str:
        return json.dumps(value, separators=(",", ":"), sort_keys=True)

    def block(pairs: Iterable[tuple[str, object]]) -> str:
        return ",\n".join(f"  {text(name)}: {text(value)}" for name, value in pairs)

    files = block(
        (name, None if ledger.files[name] is GONE else [ledger.files[name].size, ledger.files[name].digest])
        for name in names
    )
    rules = block(
        (
            name,
            {
                "command": entry.command,
                "inputs": [position[i] for i in entry.inputs],
                "outputs": [position[o] for o in entry.outputs],
                "record": entry.record,
                "also": [position[a] for a in entry.also],
                "shadows": entry.shadows,
            },
        )
        for name, entry in sorted(ledger.rules.items())
    )
    body = (
        f'"kdeps": {text(__version__)},\n"release": {text(ledger.release)},\n'
        f'"roots": {text(ledger.roots)},\n"toolchain": {{\n{block(sorted(ledger.toolchain.items()))}\n}},\n'
        f'"tools": {{\n{block(sorted(ledger.tools.items()))}\n}},\n'
        f'"config": {{\n{block(sorted(ledger.config.items()))}\n}},\n'
        f'"builds": {{\n{block((key, build._asdict()) for key, build in sorted(ledger.builds.items()))}\n}},\n'
        f'"files": {{\n{files}\n}},\n"rules": {{\n{rules}\n}}\n}}\n'
    ).encode("ascii")
    return _head(body) + body


def _head(body: bytes) -> bytes:
    """What goes before the body: a ledger with one flipped bit must not be believed."""
    checksum = hashlib.blake2b(body, digest_size=20).hexdigest()
    return f'{{\n"schema": "{SCHEMA}",\n"checksum": "{checksum}",\n'.encode("ascii")


def write_ledger(path: str, ledger: Ledger) -> None:
    data = format_ledger(ledger)
    write_file(path, gzip.compress(data, mtime=0) if path.endswith(".gz") else data)


def read_ledger(path: str) -> Ledger:
    """Read a ledger.

    Raises LedgerError: it is not a ledger, it is damaged, or a later kdeps wrote it in another way.
    """
    try:
        with open_to_read(path) as file:
            data = file.read(MAX_BYTES)
        if data[:2] == b"\x1f\x8b":
            data = _unpack(data)
        ledger = _ledger(json.loads(data), path)
        body = data.split(b"\n", 3)[3]
        if not data.startswith(_head(body)):
            raise LedgerError(f"{path}: damaged; write a new one with --record")
        return ledger
    except OSError as error:
        raise LedgerError(f"{path}: {error.strerror or 'damaged'}; write one with --record") from error
    except (zlib.error, EOFError, RecursionError) as error:
        raise LedgerError(f"{path}: damaged; write a new one with --record") from error
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise LedgerError(f"{path}: not a ledger of kdeps; write one with --record") from error


def _unpack(data: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    text = unpacker.decompress(data, MAX_BYTES)
    if not unpacker.eof:
        raise EOFError
    return text


def _ledger(document: Any, path: str) -> Ledger:
    if document["schema"] != SCHEMA:
        raise LedgerError(f"{path}: written as {document['schema']}, this kdeps reads {SCHEMA}")
    files = {
        str(name): GONE if value is None else FileHash(_digest(value[1]), int(value[0]))
        for name, value in document["files"].items()
    }
    names = list(files)
    rules = {
        str(name): Entry(
            str(value["command"]),
            tuple(names[_position(at)] for at in value["inputs"]),
            tuple(names[_position(at)] for at in value["outputs"]),
            str(value.get("record", "")),
            tuple(names[_position(at)] for at in value.get("also", ())),
            str(value.get("shadows", "")),
        )
        for name, value in document["rules"].items()
    }
    texts = ({str(k): str(v) for k, v in document[key].items()} for key in ("roots", "toolchain", "config"))
    roots, toolchain, config = texts
    builds = {
        _build_id(key): Build(str(value["file"]), str(value["commit"])[:_MAX_COMMIT])
        for key, value in document.get("builds", {}).items()  # an older ledger has none
    }
    tools = {str(key): str(value) for key, value in document.get("tools", {}).items()}
    return Ledger(roots, str(document["release"]), toolchain, config, files, rules, tools, builds)


def _build_id(value: str) -> str:
    if not re.fullmatch("[0-9a-f]{16,128}", value):
        raise ValueError("build id")
    return value


def _digest(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch("[0-9a-f]{40}", value):
        raise ValueError("digest")
    return value


def _position(at: object) -> int:
    if not isinstance(at, int) or at < 0:
        raise ValueError("position")
    return at
