"""The gate templates that ship with the operator, as the specs that a ClusterGateTemplate would have.

Data files, one per server, because whoever knows a server's metrics should not need to know this code. They are not
converted here: `api` reads a preset as it reads a template that somebody applied, so that both mean the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
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


def preset(name: str, *, gateway_controller: str = "") -> Mapping[str, Any] | None:
    """The spec of a preset; a name with GATEWAY_PREFIX is resolved by the gateway's controller. None: there is none."""
    if name.startswith(GATEWAY_PREFIX):
        name = f"{GATEWAY_CONTROLLERS.get(gateway_controller, '')}-{name.removeprefix(GATEWAY_PREFIX)}"
    return preset_specs().get(name)
