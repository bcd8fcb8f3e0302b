"""Official releases, refused when their checksum does not match.

A closed network costs one short connection attempt per host and run. Rejected: trusting HTTPS alone; an archive that
is unpacked and run deserves a checksum.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
import tarfile
import threading
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Protocol

from modelrelease.sandbox.errors import SandboxError
from modelrelease.sandbox.progress import Step
from modelrelease.sandbox.tools import RELEASES

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 60.0
CHUNK_BYTES = 1 << 20
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}

_unreachable: dict[str, str] = {}
_unreachable_lock = threading.Lock()


class Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


class Unavailable(SandboxError):
    """The release cannot be had here: no such platform, no network, or the server said no."""


def fetch_release(tool: str, into: Path, step: Step) -> dict[str, Path]:
    """Download the archive that holds `tool` and unpack its programs into `into`; name → path.

    Raises Unavailable (try the next source) or SandboxError (checksum mismatch: stop).
    """
    url, algorithm, digest = _locate(tool)
    archive = into / "archive.tar.gz"
    step.detail = f"downloading {url}"
    _download(url, archive, algorithm=algorithm, digest=digest, step=step)
    step.detail = "unpacking"
    return _unpack(archive, into)


def _locate(tool: str) -> tuple[str, str, str]:
    """Address, hash algorithm and expected digest of the archive for this machine."""
    arch = ARCHITECTURES.get(platform.machine())
    if arch is None:
        raise Unavailable(f"no official release is known for {platform.machine()}")
    if tool == "prometheus":
        facts = {"version": RELEASES["prometheus"]["version"], "platform": f"linux-{arch}"}
        url = RELEASES["prometheus"]["archive"].format(**facts)
        return url, "sha256", _sha256_of(url, RELEASES["prometheus"]["sha256sums"].format(**facts))
    archive = RELEASES["envtest"]["archives"][f"linux-{arch}"]
    return archive["url"], "sha512", archive["sha512"]


def _sha256_of(url: str, sums_url: str) -> str:
    name = url.rsplit("/", 1)[1]
    with _open(sums_url) as answer:
        for line in answer.read().decode().splitlines():
            digest, _, file_name = line.partition("  ")
            if file_name.strip() == name:
                return str(digest)
    raise Unavailable(f"{sums_url} does not list {name}")


def _download(url: str, target: Path, *, algorithm: str, digest: str, step: Step) -> None:
    seen: Hash = hashlib.new(algorithm)
    size = 0
    try:
        with _open(url) as answer, target.open("wb") as file:
            while chunk := answer.read(CHUNK_BYTES):
                seen.update(chunk)
                file.write(chunk)
                size += len(chunk)
                step.detail = f"downloading {url}, {size >> 20} MiB"
    except OSError as error:
        raise Unavailable(f"{url} broke off: {error}") from error
    if seen.hexdigest() != digest:
        raise SandboxError(
            f"{url} has {algorithm} {seen.hexdigest()}, expected {digest}: refused, nothing was installed"
        )


def _open(url: str) -> Any:
    """The opened answer. A host that did not answer once is not asked again in this run."""
    host = urllib.parse.urlsplit(url).netloc
    with _unreachable_lock:
        if host in _unreachable:
            raise Unavailable(f"{host} is not reachable ({_unreachable[host]})")
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=CONNECT_TIMEOUT_S).close()
        except urllib.error.HTTPError as error:
            raise Unavailable(f"{url} answered {error.code}") from error
        except OSError as error:
            _unreachable[host] = str(error)
            raise Unavailable(f"{host} is not reachable ({error})") from error
    return urllib.request.urlopen(url, timeout=READ_TIMEOUT_S)


def _unpack(archive: Path, into: Path) -> dict[str, Path]:
    """Regular, executable members only, flattened: no path of the archive is followed."""
    programs = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            source = tar.extractfile(member) if member.isfile() and member.mode & 0o100 else None
            if source is None:
                continue
            target = into / Path(member.name).name
            with source, target.open("wb") as file:
                shutil.copyfileobj(source, file)
            target.chmod(0o755)
            programs[target.name] = target
    return programs
