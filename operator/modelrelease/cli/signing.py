"""Signed checkpoints: the heads of chains at a time, as one line of JSON with an Ed25519 signature (RFC 8032).

The key belongs to whoever watches the operator, not to the operator: what it signed yesterday, it cannot unsign.
"""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelrelease.domain.canonical import canonical, digest_of_bytes, short
from modelrelease.domain.record import Head
from modelrelease.governance.chain import Anchor, Chain


class SigningError(Exception):
    """A key or a checkpoint cannot be used; the message says which and what to do."""


def signed(heads: Mapping[Chain, Head], at: str, key: Path) -> bytes:
    """A checkpoint of `heads`, one line. Raises SigningError when the key is not an Ed25519 private key in PEM."""
    _, serialization, private, _ = _library()
    try:
        loaded = serialization.load_pem_private_key(key.read_bytes(), password=None)
    except OSError as error:
        raise SigningError(f"{key}: {error.strerror}: openssl genpkey -algorithm ed25519 -out {key}") from error
    except (ValueError, TypeError) as error:
        raise SigningError(f"{key}: {error}") from error
    if not isinstance(loaded, private):
        raise SigningError(f"{key}: write an Ed25519 key: openssl genpkey -algorithm ed25519 -out {key}")
    rows = [
        {"namespace": namespace, "name": name, "sequence": head.sequence, "hash": head.hash}
        for (namespace, name), head in sorted(heads.items())
    ]
    body = {"at": at, "heads": rows}
    signature = base64.b64encode(loaded.sign(canonical(body))).decode()
    return canonical({"checkpoint": body, "key": _name(loaded.public_key()), "signature": signature}) + b"\n"


def anchors_of(checkpoints: Path, key: Path) -> list[Anchor]:
    """What the checkpoints of a file vouch for. Raises SigningError at the first that `key` did not sign."""
    invalid, serialization, _, public = _library()
    try:
        loaded = serialization.load_pem_public_key(key.read_bytes())
        lines = checkpoints.read_bytes().splitlines()
    except OSError as error:
        raise SigningError(f"{error.filename}: {error.strerror}") from error
    except ValueError as error:
        raise SigningError(f"{key}: {error}") from error
    if not isinstance(loaded, public):
        raise SigningError(f"{key}: this is no Ed25519 public key: openssl pkey -in PRIVATE -pubout -out {key}")
    found: list[Anchor] = []
    for number, line in enumerate(lines, 1):
        try:
            written = json.loads(line)
            body = written["checkpoint"]
            loaded.verify(base64.b64decode(written["signature"], validate=True), canonical(body))
            found += [_anchor(row, body["at"]) for row in body["heads"]]
        except (invalid, ValueError, KeyError, TypeError) as error:
            what = f"was not signed with key {_name(loaded)}" if isinstance(error, invalid) else f"is none ({error!r})"
            raise SigningError(f"{checkpoints}: the checkpoint in line {number} {what}") from error
    return found


def _anchor(row: Mapping[str, Any], at: str) -> Anchor:
    return Anchor((str(row["namespace"]), str(row["name"])), Head(int(row["sequence"]), str(row["hash"])), str(at))


def _name(public: Any) -> str:
    """A short name of a key: the first digits of the digest of its 32 bytes."""
    return short(digest_of_bytes(public.public_bytes_raw()), 16)


def _library() -> tuple[Any, Any, Any, Any]:
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
    except ImportError as error:
        raise SigningError("signatures need a library: pip install 'modelrelease[audit]'") from error
    return InvalidSignature, serialization, Ed25519PrivateKey, Ed25519PublicKey
