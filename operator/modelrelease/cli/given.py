"""Numbers from the command line in place of what Prometheus shows: rates of traffic, and stable's figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from modelrelease.cli.cluster import fail
from modelrelease.cli.governed import Refused, govern_offline
from modelrelease.cli.measure import Basis, judged_with, offline_templates, plan_from, with_gates
from modelrelease.domain.exposure import REST
from modelrelease.domain.gate import Phase, Quantile, Ratio
from modelrelease.domain.release import Release
from modelrelease.gates.traffic import ALL, Flow, GateTraffic, Measured, rescaled
from modelrelease.metrics.source import SourceSettings

EXIT_USAGE = 2


@dataclass(frozen=True, slots=True)
class Given:
    """`rate`: requests/s of all (None: as measured). `segments`: of single ones. `figures`: by gate, with its spread
    (None: as measured); the empty name is for every share."""

    rate: float | None
    segments: Mapping[str, float]
    figures: Mapping[str, tuple[float, float | None]]

    @classmethod
    def read(cls, rate: float | None, segment_rates: Sequence[str], base_rates: Sequence[str]) -> "Given":
        """What the options say; anything else ends the command."""
        mend = "write NAME=NUMBER, such as low-criticality=12.5"
        segments = dict(_named(value, "--segment-rate", mend) for value in segment_rates)
        if "" in segments:
            fail(f"--segment-rate {segment_rates[0]!r}: {mend}", EXIT_USAGE)
        figures: dict[str, tuple[float, float | None]] = {}
        for value in base_rates:
            mend = "write 0.02 for 2 %, GATE=0.02, or GATE=0.9~0.3 for a mean and the spread of one event"
            figure, _, spread = value.partition("~")
            name, number = _named(figure, "--base-rate", mend)
            figures[name] = number, _named(spread, "--base-rate", mend)[1] if spread else None
        return cls(rate, segments, figures)

    def over(self, basis: Basis) -> Basis:
        """The basis with these numbers in it."""
        measured = self._with_rates(basis)
        gates = {traffic.gate.name: traffic for traffic in measured.gates}
        for name, (figure, _) in self.figures.items():
            if name and name not in gates:
                fail(
                    f"--base-rate: the release has no gate {name} in its stages; it has {', '.join(gates)}", EXIT_USAGE
                )
            share = not name or isinstance(gates[name].gate.metric, Ratio | Quantile)
            if share and figure > 1:
                fail(f"--base-rate {name or figure:}: a share lies between 0 and 1; write 1 % as 0.01", EXIT_USAGE)
        changed = tuple(self._with_figure(traffic, measured) for traffic in measured.gates)
        return replace(basis, measured=replace(measured, gates=changed))

    def _with_rates(self, basis: Basis) -> Measured:
        measured = basis.measured
        known = sorted({name for stage in basis.plan.stages for name in dict(stage.exposure.shares)} - {REST})
        for name in self.segments:
            if name not in known:
                has = ", ".join(known) or "none"
                fail(f"--segment-rate {name}: there is no such segment in spec.traffic; it has {has}", EXIT_USAGE)
        total = measured.total if self.rate is None else self.rate
        rest = (total or 0.0) - sum(self.segments.values())
        if self.segments and (total is None or rest < -1e-9):
            sum_of = sum(self.segments.values())
            fail(f"--segment-rate: the segments make {sum_of:g} requests/s, more than all: write --rate", EXIT_USAGE)
        if self.segments:
            return rescaled(measured, {**dict.fromkeys(known, 0.0), **self.segments, REST: max(0.0, rest)})
        if self.rate is not None:
            return rescaled(measured, {ALL if known else REST: self.rate})
        return measured

    def _with_figure(self, traffic: GateTraffic, measured: Measured) -> GateTraffic:
        share = isinstance(traffic.gate.metric, Ratio | Quantile)
        said = self.figures.get(traffic.gate.name) or (self.figures.get("") if share else None)
        if said is None:
            return traffic
        figure, spread = said
        flows = traffic.flows or ({ALL: Flow(measured.total)} if measured.total else {})
        changed = {
            name: replace(flow, figure=figure, spread=flow.spread if spread is None else spread, counted=0.0, note="")
            for name, flow in flows.items()
        }
        return replace(traffic, flows=changed, problem="" if changed else traffic.problem)


def offline(doc: Mapping[str, Any], docs: Sequence[Any], rate: float) -> Basis:
    """Without a cluster: every gate counts each request once, and the scrape interval is a MetricsSource's default."""
    spec = doc.get("spec") or {}
    plan, traffic = plan_from(spec, offline_templates(docs, spec))
    namespace = doc["metadata"].get("namespace") or "default"
    asked = Release(namespace, doc["metadata"]["name"], uid="", generation=0, traffic=traffic, plan=plan)
    try:
        release, governance = govern_offline(doc, docs, asked)
    except Refused as refused:
        fail(str(refused))
    plan = with_gates(release.plan)
    flow = Flow(rate, note="stable's figure is not known: give it with --base-rate")
    gates = tuple(GateTraffic(gate, {ALL: flow}) for gate in plan.gates if Phase.STAGE in gate.phases)
    interval_s = SourceSettings("offline", "http://offline").scrape_interval_s
    settings = judged_with(plan, len(traffic.segments) + 1)
    return Basis(plan, Measured({ALL: rate}, gates, interval_s), settings, governance=governance)


def _named(value: str, option: str, mend: str) -> tuple[str, float]:
    name, _, text = value.rpartition("=")
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e12:
        fail(f"{option} {value!r}: {mend}", EXIT_USAGE)
    return name, number
