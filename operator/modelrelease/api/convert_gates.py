"""`spec.gates` to gates: the template's metric, the release's bounds, and whether the two fit.

Whether a template exists only the operator can know, so this is checked here and not by the API server.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from modelrelease.api.faults import fault
from modelrelease.api.gate_rules import INVALID_GATE, rule_faults
from modelrelease.api.gatetemplate import Template, template_of
from modelrelease.api.quantities import seconds_of
from modelrelease.api.release_strategy import GateSpec
from modelrelease.api.release_traffic import TrafficSpec
from modelrelease.domain.gate import Absolute, AgainstStable, Gate, Ratio
from modelrelease.domain.release import Fault

Templates = Mapping[str, object]
"""Template names to the `spec` of the (Cluster)GateTemplate; absent or None: there is no such template."""


def templates_of(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of all templates that the spec refers to, each once, the one that counts requests included."""
    traffic = spec.get("traffic")
    counting = traffic.get("requestsTemplate") if isinstance(traffic, Mapping) else None
    gates = spec.get("gates")
    names = [gate.get("template") for gate in (gates if isinstance(gates, list) else []) if isinstance(gate, Mapping)]
    names.append(counting or TrafficSpec.model_fields["requests_template"].default)
    return tuple(dict.fromkeys(name for name in names if isinstance(name, str)))


def requests_of(spec: Mapping[str, Any], templates: Templates) -> Gate | Fault:
    """A gate that only counts: its metric's denominator is the requests per backend. A Fault where there is none."""
    traffic = spec.get("traffic") or {}
    fields = TrafficSpec.model_fields
    name = str(traffic.get("requestsTemplate") or fields["requests_template"].default)
    path = "spec.traffic.requestsTemplate"
    template = _template(name, templates, path)
    if not isinstance(template, Template):
        return template[0]
    if not isinstance(template.metric, Ratio):
        return fault(
            path, f"template {name} has no ratio metric, whose total counts requests; name one that has", INVALID_GATE
        )
    source = str(traffic.get("requestsSource") or fields["requests_source"].default)
    return Gate("requests", template.metric, Absolute(), template.arm, source, name, template.kind)


def gates_of(specs: Sequence[GateSpec], templates: Templates) -> tuple[tuple[Gate, ...], list[Fault]]:
    """The gates that can be built, and what is wrong with the others."""
    gates: list[Gate] = []
    faults: list[Fault] = []
    for index, spec in enumerate(specs):
        path = f"spec.gates[{index}]"
        if any(gate.name == spec.name for gate in gates):
            faults.append(fault(f"{path}.name", f"another gate is called {spec.name} already; give each its own name"))
        template = _template(spec.template, templates, f"{path}.template")
        rule = _rule(spec, path)
        if isinstance(rule, Fault):
            faults.append(rule)
        if not isinstance(template, Template):
            faults += template
        elif not isinstance(rule, Fault):
            gate = Gate(
                name=spec.name,
                metric=template.metric,
                rule=rule,
                arm=template.arm,
                source=spec.source,
                template=spec.template,
                kind=spec.kind or template.kind,
                phases=tuple(spec.phases),
                scope=spec.scope,
                warm_up_s=seconds_of(spec.warm_up or "0s"),
            )
            gates.append(gate)
            faults += rule_faults(gate, path)
    return tuple(gates), faults


def _template(name: str, templates: Templates, path: str) -> Template | tuple[Fault, ...]:
    if templates.get(name) is None:
        message = f"there is no GateTemplate or ClusterGateTemplate {name}; create it or correct the name"
        return (fault(path, message, "TemplateNotFound"),)
    return template_of(templates[name], name)


def _rule(spec: GateSpec, path: str) -> Absolute | AgainstStable | Fault:
    absolute = spec.max is not None or spec.min is not None
    margin = spec.max_ratio is not None or spec.max_difference is not None
    if absolute == margin:
        return fault(path, "write either max or min, or against: Stable with maxRatio or maxDifference; one of the two")
    if margin != (spec.against is not None):
        return fault(
            f"{path}.against", "against: Stable and maxRatio or maxDifference go together; write both or neither"
        )
    if spec.max_ratio is not None and Decimal(spec.max_ratio) <= 0:
        return fault(f"{path}.maxRatio", 'it is a factor of what stable shows and above 0; write one such as "1.5"')
    if spec.min is not None and spec.max is not None and Decimal(spec.min) > Decimal(spec.max):
        return fault(f"{path}.min", "it is above max, so that nothing could ever pass: swap or correct them")
    if margin:
        return AgainstStable(spec.max_ratio, spec.max_difference, spec.floor)
    if spec.floor is not None:
        return fault(f"{path}.floor", "floor belongs to a margin against stable; remove it")
    return Absolute(spec.max, spec.min)
