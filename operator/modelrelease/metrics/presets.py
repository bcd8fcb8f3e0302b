"""The gate templates that ship with the operator, as the specs that a ClusterGateTemplate would have.

Data files, one per server, because whoever knows a server's metrics should not need to know this code. They are not
converted here: `api` reads a preset as it reads a template that somebody applied, so that both mean the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import yaml

GATEWAY_PREFIX = "gateway-"
"""A name like `gateway-error-rate` stands for the preset of the gateway at hand."""

GATEWAY_CONTROLLERS = MappingProxyType(
    {
        "traefik.io/gateway-controller": "traefik",
        "istio.io/gateway-controller": "istio",
        "gateway.envoyproxy.io/gatewayclass-controller": "envoy-gateway",
    }
)
"""Controller names of GatewayClasses to how the names of their presets begin."""


@dataclass(frozen=True, slots=True)
class Preset:
    """One template, whose series it reads, and from what of that server its names were taken."""

    name: str
    server: str
    facts: str
    spec: Mapping[str, Any]


@cache
def presets() -> Mapping[str, Preset]:
    """All presets by name. Raises ValueError when two files define the same name: a bug in this package."""
    found: dict[str, Preset] = {}
    for file in sorted(files(__package__).joinpath("presets").iterdir(), key=lambda file: file.name):
        if not file.name.endswith(".yaml"):
            continue
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        for item in document["items"]:
            name = item["metadata"]["name"]
            if name in found:
                raise ValueError(f"preset {name} is defined twice, the second time in {file.name}")
            found[name] = Preset(name, document["server"], document["facts"], item["spec"])
    return MappingProxyType(found)


@cache
def preset_specs() -> Mapping[str, Mapping[str, Any]]:
    """Preset names to specs."""
    return MappingProxyType({name: one.spec for name, one in presets().items()})


def meant(name: str) -> tuple[str, ...]:
    """Names of the presets that a name stands for: itself, or with GATEWAY_PREFIX one of each gateway; empty: none."""
    if not name.startswith(GATEWAY_PREFIX):
        return (name,) if name in presets() else ()
    each = (f"{gateway}-{name.removeprefix(GATEWAY_PREFIX)}" for gateway in GATEWAY_CONTROLLERS.values())
    return tuple(one for one in each if one in presets())


def alike(name: str) -> tuple[str, ...]:
    """Names that somebody may have meant by one that there is not, the likeliest first; at most three."""
    whole = get_close_matches(name, presets(), n=3, cutoff=0.6)
    words = set(name.split("-"))
    shared = sorted(presets(), key=lambda known: -len(words & set(known.split("-"))))
    return tuple(dict.fromkeys([*whole, *(one for one in shared[:3] if len(words & set(one.split("-"))) > 1)]))[:3]


def preset(name: str, *, gateway_controller: str = "") -> Mapping[str, Any] | None:
    """The spec of a preset; a name with GATEWAY_PREFIX is resolved by the gateway's controller. None: there is none."""
    if name.startswith(GATEWAY_PREFIX):
        name = f"{GATEWAY_CONTROLLERS.get(gateway_controller, '')}-{name.removeprefix(GATEWAY_PREFIX)}"
    return preset_specs().get(name)
