"""Exports of records as files: their lines, and what each line is the record of."""

import json
from collections.abc import Iterator
from pathlib import Path

from modelrelease.governance.chain import Chain


def lines(files: list[Path]) -> Iterator[bytes]:
    """All lines of all files, newlines included. Raises OSError."""
    for file in files:
        with file.open("rb") as source:
            yield from source


def hashes(files: list[Path]) -> dict[tuple[Chain, int], str]:
    """The hash of each record of an export that was verified already."""
    found = {}
    for line in lines(files):
        record = json.loads(line)
        release = record["body"]["release"]
        found[(release["namespace"], release["name"]), record["sequence"]] = record["hash"]
    return found
