"""How much traffic a release may expect: what each gate counts in each segment, and how an exposure divides it.

It must not know where the numbers come from (`measuring` reads strata; people may write them). Rejected: one rate for
the whole route; the first stage usually gives the candidate a share of one segment only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from modelrelease.domain.exposure import FULL_PERMILLE, REST, Exposure
from modelrelease.domain.gate import Gate
from modelrelease.gates.expected import INDEPENDENT, Bursts

SILENT = "no traffic was seen"

ALL = ""
"""The key of all segments together."""


@dataclass(frozen=True, slots=True)
class Flow:
    """What one gate counts in one segment: events per second of both arms together, and stable's figure.

    `figure`: share of bad or slow events, mean, or cost per unit; None while it is not known, and `note` says why.
    `spread`: standard deviation of one event's value, for means and costs. `counted`: stable's events behind it.
    """

    per_s: float
    figure: float | None = None
    spread: float = 0.0
    counted: float = 0.0
    note: str = ""


@dataclass(frozen=True, slots=True)
class GateTraffic:
    """What stable shows to one gate: a flow per segment, or one of all together under ALL.

    `apart`: the gate counts each segment by itself. `problem`: why nothing could be measured.
    """

    gate: Gate
    flows: Mapping[str, Flow] = field(default_factory=dict)
    apart: bool = True
    bursts: Bursts = INDEPENDENT
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """Requests per second by segment (ALL: of all, where segments are not told apart), and each gate's traffic.

    `window_s`: how often both arms' counters are compared. `problem`: why no requests could be counted.
    """

    requests: Mapping[str, float]
    gates: tuple[GateTraffic, ...]
    window_s: float
    problem: str = ""

    @property
    def total(self) -> float | None:
        """Requests per second of all segments together; None: unknown."""
        return self.requests.get(ALL, sum(self.requests.values())) if self.requests else None


def rescaled(measured: Measured, requests: Mapping[str, float]) -> Measured:
    """The same with other rates of requests: each gate's events grow alike, and divide over segments as they do.

    A gate of which no events were seen counts each request once.
    """
    total, before = sum(requests.values()), measured.total

    def grown(traffic: GateTraffic) -> GateTraffic:
        flow = _together(traffic)
        per_s = flow.per_s * total / before if flow.per_s and before else total
        return replace(traffic, flows={ALL: replace(flow, per_s=per_s)})

    return replace(measured, requests=requests, gates=tuple(map(grown, measured.gates)), problem="")


def _together(traffic: GateTraffic) -> Flow:
    """One flow for all segments, with the mean of their figures where all are known."""
    flows = list(traffic.flows.values())
    if not flows:
        return Flow(0.0, note=traffic.problem or SILENT)
    total = sum(flow.per_s for flow in flows)
    shares = [flow.per_s / total if total else 1 / len(flows) for flow in flows]
    figures = [flow.figure for flow in flows if flow.figure is not None]
    mean = sum(f * s for f, s in zip(figures, shares, strict=True)) if len(figures) == len(flows) else None
    note = "" if mean is not None else next((flow.note for flow in flows if flow.note), SILENT)
    return replace(flows[0], per_s=total, figure=mean, counted=sum(flow.counted for flow in flows), note=note)


def pieces(
    exposure: Exposure, traffic: GateTraffic, measured: Measured, segment: str | None
) -> list[tuple[Flow, float]] | str:
    """The flows that a gate compares with the candidate's share of each (of one segment, where `segment` says so).

    Text instead says why they are not known.
    """
    flows, shares = traffic.flows, dict(exposure.shares)
    if ALL not in flows:
        chosen = flows if segment is None else {segment: flows.get(segment, Flow(0.0, note=SILENT))}
        return [(flow, shares.get(name, 0) / FULL_PERMILLE) for name, flow in chosen.items()]
    flow, total = flows[ALL], measured.total
    if segment is None and (len(set(shares.values())) == 1 or not traffic.apart):
        share = share_of_all(exposure, measured.requests)
        return [(flow, share)] if share is not None else unsplit(exposure)
    if len(shares) == 1:
        return [(flow, next(iter(shares.values())) / FULL_PERMILLE)]
    if ALL in measured.requests or not total:
        return unsplit(exposure)
    return [
        (replace(flow, per_s=flow.per_s * per_s / total), shares.get(name, 0) / FULL_PERMILLE)
        for name, per_s in measured.requests.items()
        if segment in (None, name)
    ]


def share_of_all(exposure: Exposure, requests: Mapping[str, float]) -> float | None:
    """The candidate's share of all requests, None where it depends on how they split over the segments."""
    shares = dict(exposure.shares)
    if len(set(shares.values())) == 1:
        return exposure.highest / FULL_PERMILLE
    total = sum(requests.values())
    if ALL in requests or total <= 0:
        return None
    return sum(per_s * shares.get(name, 0) for name, per_s in requests.items()) / total / FULL_PERMILLE


def unsplit(exposure: Exposure) -> str:
    """Why a share of all requests is not known."""
    names = " and ".join(name for name in dict(exposure.shares) if name != REST)
    return f"how much of the traffic is in segment {names} is not known" if names else SILENT
