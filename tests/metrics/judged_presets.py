"""The presets in the window: a release that is equal, one that is worse in everything, one in which nothing fails."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from modelrelease.api.gatetemplate import Template, template_of
from modelrelease.domain.gate import Absolute, AgainstStable, Gate, Value
from modelrelease.metrics.presets import presets
from tests.metrics.servers import SERVERS, Arm, Server, placeholders
from tests.metrics.window import Page, Watched

EQUAL, WORSE, CLEAN = "preset-equal", "preset-worse", "preset-clean"

BOUNDS = {"vllm-waiting": "20", "vllm-cache-usage": "0.9", "triton-pending": "20"}
"""Values have absolute bounds only; everything else is compared with stable."""

SPARSE = ("sglang-error-rate", "tgi-error-rate", "llm-d-error-rate")
"""Their servers show no counter of errors before the first error."""


def arms(namespace: str, age_s: float) -> tuple[Arm, Arm]:
    """Candidate and stable."""
    errors = namespace != CLEAN
    candidate = Arm(namespace, "chat-v2", age_s, worse=namespace == WORSE, errors=errors, backend_index=1)
    return candidate, Arm(namespace, "chat-v1", age_s, errors=errors)


def gate_of(name: str) -> Gate:
    template = template_of(presets()[name].spec, name)
    assert isinstance(template, Template), template
    rule = Absolute(BOUNDS[name]) if isinstance(template.metric, Value) else AgainstStable(max_ratio="1.5")
    return Gate(name, template.metric, rule, template.arm, template=name, kind=template.kind)


def releases() -> list[Watched]:
    names = {EQUAL: tuple(presets()), WORSE: tuple(presets()), CLEAN: SPARSE}
    return [
        Watched(
            namespace, tuple(map(gate_of, chosen)), *map(placeholders, arms(namespace, 1)), worse=namespace == WORSE
        )
        for namespace, chosen in names.items()
    ]


def pages() -> Iterator[Page]:
    """One per Pod, per namespace, or for all, as the server is scraped."""
    for name, server in SERVERS.items():
        path = "/" + name.replace(" ", "-")
        sparse = any(presets()[preset].server == name for preset in SPARSE)
        if not server.per_pod and not server.per_namespace:
            yield Page(path, partial(_text, server, (EQUAL, WORSE), None))
            continue
        for namespace in (EQUAL, WORSE, CLEAN) if sparse else (EQUAL, WORSE):
            if server.per_namespace:
                yield Page(f"{path}/{namespace}", partial(_text, server, (namespace,), None), {"namespace": namespace})
                continue
            for index, arm in enumerate(arms(namespace, 1)):
                labels = {"namespace": namespace, "release": arm.revision}
                yield Page(f"{path}/{namespace}/{index}", partial(_text, server, (namespace,), index), labels)


def _text(server: Server, namespaces: tuple[str, ...], index: int | None, age_s: float, _: float) -> str:
    shown = [arms(namespace, age_s) for namespace in namespaces]
    return server.page(*(arm for both in shown for arm in (both if index is None else both[index : index + 1])))
