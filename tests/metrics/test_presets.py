"""The shipped templates: each is one that a user could apply, and one that queries can be made from."""

from __future__ import annotations

import pytest

from modelrelease.api.gatetemplate import Template, template_of
from modelrelease.domain.gate import Absolute, Gate, Ratio
from modelrelease.metrics import compose
from modelrelease.metrics.presets import preset, preset_specs


@pytest.mark.parametrize("name", preset_specs())
def test_a_preset_is_a_valid_template_and_composes(name: str) -> None:
    template = template_of(preset_specs()[name], name)
    assert isinstance(template, Template), template
    compose.check(Gate("g", template.metric, Absolute(), template.arm))


@pytest.mark.parametrize("name", [name for name in preset_specs() if name.endswith("-requests")])
def test_a_requests_preset_counts_requests(name: str) -> None:
    template = template_of(preset_specs()[name], name)
    assert isinstance(template, Template)
    assert isinstance(template.metric, Ratio)


def test_gateway_names_resolve_by_controller() -> None:
    for what in ("requests", "error-rate", "latency"):
        found = preset(f"gateway-{what}", gateway_controller="traefik.io/gateway-controller")
        assert found is preset_specs()[f"traefik-{what}"]
    assert preset("gateway-latency", gateway_controller="example.com/unknown") is None
    assert preset("no-such-preset") is None


def test_traefik_is_counted_per_rule() -> None:
    template = template_of(preset_specs()["traefik-requests"], "traefik-requests")
    assert isinstance(template, Template)
    assert compose.per_rule(Gate("g", template.metric, Absolute(), template.arm))
