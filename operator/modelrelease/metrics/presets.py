"""The gate templates that ship with the operator, as the specs that a ClusterGateTemplate would have.

Data files, because whoever knows a model server's metrics should not need to know this code. They are not converted
here: `api` reads a preset as it reads a template that somebody applied, so that both mean the same.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import yaml

GATEWAY_PREFIX = "gateway-"
"""A name like `gateway-error-rate` stands for the preset of the gateway at hand."""

GATEWAY_CONTROLLERS = MappingProxyType(
    {"traefik.io/gateway-controller": "traefik", "istio.io/gateway-controller": "istio"}
)
"""Controller names of GatewayClasses to the first word of their presets."""


@cache
def preset_specs() -> Mapping[str, Mapping[str, Any]]:
    """Preset names to specs. Raises ValueError when two files define the same name: a bug in this package."""
    found: dict[str, Mapping[str, Any]] = {}
    for file in sorted(files(__package__).joinpath("presets").iterdir(), key=lambda file: file.name):
        if not file.name.endswith(".yaml"):
            continue
        for document in yaml.safe_load(file.read_text(encoding="utf-8"))["items"]:
            name = document["metadata"]["name"]
            if name in found:
                raise ValueError(f"preset {name} is defined twice, the second time in {file.name}")
            found[name] = document["spec"]
    return MappingProxyType(found)


def preset(name: str, *, gateway_controller: str = "") -> Mapping[str, Any] | None:
    """The spec of a preset; a name with GATEWAY_PREFIX is resolved by the gateway's controller. None: there is none."""
    if name.startswith(GATEWAY_PREFIX):
        name = f"{GATEWAY_CONTROLLERS.get(gateway_controller, '')}-{name.removeprefix(GATEWAY_PREFIX)}"
    return preset_specs().get(name)
