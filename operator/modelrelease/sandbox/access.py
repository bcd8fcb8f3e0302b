"""Who may do what in the sandbox: users with static tokens, their kubeconfigs, and the audit policy.

Static tokens give every request a name and groups, which is all that RBAC and admission policies look at. Rejected:
client certificates; they need a CA of our own and prove nothing more on loopback.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

OPERATOR_NAMESPACE = "modelrelease-system"
OPERATOR = f"system:serviceaccount:{OPERATOR_NAMESPACE}:modelrelease-operator"

# Short name → (user name, groups). The API server adds system:authenticated to everybody.
USERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "admin": ("admin", ("system:masters",)),
    "operator": (OPERATOR, ("system:serviceaccounts", f"system:serviceaccounts:{OPERATOR_NAMESPACE}")),
    "traefik": ("traefik", ()),
    "alice": ("alice", ("product",)),
    "bob": ("bob", ("sre",)),
    "carol": ("carol", ("risk",)),
    "dave": ("dave", ("developers",)),
    "mallory": ("mallory", ()),
}

AUDITED_IN_FULL = ("modelrelease.dev", "gateway.networking.k8s.io", "coordination.k8s.io")
AUDIT_POLICY: Mapping[str, Any] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "None", "verbs": ["get", "list", "watch"]},
        {"level": "None", "users": ["system:apiserver"]},
        {"level": "RequestResponse", "resources": [{"group": group} for group in AUDITED_IN_FULL]},
        {"level": "Metadata"},
    ],
}


def short_name(user: str) -> str:
    """Accepts a short name or the full user name."""
    if user in USERS:
        return user
    for short, (full, _) in USERS.items():
        if full == user:
            return short
    raise KeyError(f"the sandbox has no user {user!r}; it has {', '.join(USERS)}")


def new_tokens() -> dict[str, str]:
    """A fresh secret per user, by short name."""
    return {short: secrets.token_hex(16) for short in USERS}


def token_file(tokens: Mapping[str, str]) -> str:
    """The content for `--token-auth-file`: token,user,uid,"groups"."""
    return "".join(f'{tokens[short]},{name},{short},"{",".join(groups)}"\n' for short, (name, groups) in USERS.items())


def kubeconfig(*, user: str, token: str, server: str, ca_file: Path, name: str) -> str:
    """A kubeconfig that kubectl and every client library read."""
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority": str(ca_file)}}],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": user, "namespace": "default"}}],
            "current-context": name,
        },
        sort_keys=False,
    )


def ec_private_key_pem() -> str:
    """A new P-256 key for signing service account tokens, which the API server insists on.

    RFC 5915 allows leaving the public half out, so 32 random bytes in a fixed frame are a whole key: no crypto library
    is needed for a key that nobody uses here.
    """
    key = (int.from_bytes(secrets.token_bytes(32)) >> 1 | 1).to_bytes(32)  # 1 … 2^255, below the order of the group
    curve = bytes.fromhex("a00a06082a8648ce3d030107")
    body = bytes.fromhex("020101") + b"\x04\x20" + key + curve
    encoded = base64.b64encode(b"\x30" + bytes([len(body)]) + body).decode()
    return f"-----BEGIN EC PRIVATE KEY-----\n{encoded}\n-----END EC PRIVATE KEY-----\n"
