"""Presets against what their servers show: each reads series that exist, of the right type, and arms apart."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import promql_parser as ast
import pytest
from prometheus_client.parser import text_string_to_metric_families

from modelrelease.api.gatetemplate import Template, template_of
from modelrelease.domain.gate import Absolute, Gate, Value
from modelrelease.metrics import compose, promql
from modelrelease.metrics.compose import Part
from modelrelease.metrics.presets import Preset, presets
from tests.metrics.builders import fits
from tests.metrics.servers import SERVERS, Arm, placeholders

CANDIDATE = Arm("shop", "chat-v2", 30, worse=True, backend_index=1)
STABLE = Arm("shop", "chat-v1", 30)

Labels = Mapping[str, str]


def gate_of(preset: Preset) -> Gate:
    template = template_of(preset.spec, preset.name)
    assert isinstance(template, Template), template
    return Gate("g", template.metric, Absolute(), template.arm)


def scraped(server: str) -> dict[str, list[Labels]]:
    """Series by type of their family, as Prometheus would store them."""
    shown, found = SERVERS[server], {"counter": [], "histogram": [], "gauge": []}  # type: ignore[var-annotated]
    for arms in [(CANDIDATE,), (STABLE,)] if shown.per_pod else [(CANDIDATE, STABLE)]:
        own = {"namespace": arms[0].namespace} if shown.per_pod or shown.per_namespace else {}
        own |= {"release": arms[0].revision} if shown.per_pod else {}
        page = shown.page(*arms)
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                # The parser gives each counter a name in _total, though Prometheus keeps the name as it is.
                name = sample.name if f"\n{sample.name}" in page else sample.name.removesuffix("_total")
                labels = {label: value for label, value in {**sample.labels, **own}.items() if value}
                found[family.type].append({"__name__": name, **labels})
    return found


def test_every_row_of_the_table_has_presets_and_an_exposition() -> None:
    assert {one.server for one in presets().values()} == set(SERVERS)


@pytest.mark.parametrize("name", presets())
def test_a_preset_reads_series_that_its_server_shows_of_the_type_that_it_means(name: str) -> None:
    preset = presets()[name]
    gate, series = gate_of(preset), scraped(preset.server)
    if isinstance(gate.metric, Value):
        names = {selector for selector, _, _ in promql.selectors(gate.metric.query, "query")}
        assert names <= {one["__name__"] for one in series["gauge"]}
        return
    if preset.server == "OpenCost":
        series["counter"] += scraped("vLLM")["counter"]
    for part, read in compose.parts(gate):
        kinds = ("histogram",) if part is Part.BUCKETS else ("counter", "histogram")
        found = []
        for values in compose.arms(placeholders(CANDIDATE), placeholders(STABLE)):
            selector = ast.parse(str(compose.select(read, gate.arm, values)))
            found.append(
                [
                    one
                    for kind in kinds
                    for one in series[kind]
                    if one["__name__"] == selector.name and fits(selector, one)
                ]
            )
        assert all(found), f"{read.name}: {[len(each) for each in found]}"
        assert not any(left == right for left, right in itertools.product(*found)), "arms overlap"
        assert all(("le" in one) == (part is Part.BUCKETS) for each in found for one in each)


@pytest.mark.parametrize("server", SERVERS)
def test_an_exposition_is_one_that_parses_and_counts_upwards(server: str) -> None:
    before, after = (counted(SERVERS[server].page(Arm("shop", "chat-v1", age_s))) for age_s in (30, 60))
    assert before
    assert all(after[key] >= value for key, value in before.items())


def counted(page: str) -> dict[tuple[object, ...], float]:
    """Samples of everything but gauges."""
    families = [family for family in text_string_to_metric_families(page) if family.type != "gauge"]
    return {(one.name, *sorted(one.labels.items())): one.value for each in families for one in each.samples}
