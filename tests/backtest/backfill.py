"""A real Prometheus with a past of its own: samples of any time, through its remote-write receiver."""

from __future__ import annotations

import struct
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from modelrelease.sandbox import binaries, slots
from modelrelease.sandbox.process import Part
from modelrelease.sandbox.progress import Progress
from modelrelease.sandbox.tools import PROMETHEUS

Written = tuple[Mapping[str, str], Sequence[tuple[float, float]]]
"""Labels, and samples as (Unix seconds, value), oldest first."""


@contextmanager
def prometheus(folder: Path) -> Iterator[str]:
    """The address of an empty Prometheus that scrapes nothing."""
    (folder / "prometheus.yaml").write_text("scrape_configs: []\n")
    slot = slots.claim()
    address = f"{slots.HOST}:{slot.port(0)}"
    argv = [
        binaries.ensure(PROMETHEUS, Progress(quiet=True)).path,
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.time=400d",
        "--web.enable-remote-write-receiver",
        f"--web.listen-address={address}",
    ]
    url = f"http://{address}"
    part = Part("prometheus", argv, log=folder / "prometheus.log", ready=lambda: _ready(url))
    try:
        part.start()
        yield url
    finally:
        part.stop()
        slot.release()


def write(url: str, series: Sequence[Written]) -> None:
    """Send samples; those of one series must be newer than what it has."""
    body = b"".join(_field(1, _series(labels, samples)) for labels, samples in series)
    headers = {
        "Content-Type": "application/x-protobuf",
        "Content-Encoding": "snappy",
        "X-Prometheus-Remote-Write-Version": "0.1.0",
    }
    request = urllib.request.Request(f"{url}/api/v1/write", data=_snappy(body), headers=headers)
    with _opener().open(request) as answer:
        assert answer.status == 204


def _series(labels: Mapping[str, str], samples: Sequence[tuple[float, float]]) -> bytes:
    pairs = b"".join(_field(1, _field(1, name.encode()) + _field(2, labels[name].encode())) for name in sorted(labels))
    return pairs + b"".join(
        _field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + _varint(round(at_s * 1000))) for at_s, value in samples
    )


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def _snappy(content: bytes) -> bytes:
    """The block format with one literal: valid, only not smaller."""
    return _varint(len(content)) + b"\xfc" + struct.pack("<I", len(content) - 1) + content


def _ready(url: str) -> bool:
    with _opener().open(f"{url}/-/ready", timeout=2) as answer:
        return bool(answer.status == 200)


def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))
