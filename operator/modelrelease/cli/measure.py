"""What Prometheus shows of the traffic that a release would get: the same places, queries and counting as the operator.

The release need not exist: stable is then the backend that the route serves. It only reads, with the user's own rights;
whatever is wrong ends the command with one sentence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from modelrelease.api.convert import plan_of, requests_of, source_of, templates_of, traffic_of
from modelrelease.api.metricssource import Source
from modelrelease.api.status import progress_from_status
from modelrelease.cli.cluster import fail
from modelrelease.cli.exits import EXIT_NOT_FOUND
from modelrelease.cli.governed import Governance, Refused, govern
from modelrelease.controller import kube as api
from modelrelease.controller.gathered import resource_of
from modelrelease.controller.history import MOST_SCRAPES
from modelrelease.controller.kube import Denied, Kube, Resource
from modelrelease.controller.sources import settings_of
from modelrelease.controller.store import Store
from modelrelease.controller.units import Units
from modelrelease.domain.evidence import Cause, Problem, Stratum, Tally
from modelrelease.domain.exposure import REST
from modelrelease.domain.gate import Absolute, Gate, Phase, Scope
from modelrelease.domain.plan import Plan
from modelrelease.domain.release import IN_TRAFFIC, Fault, Release, State
from modelrelease.domain.traffic import Traffic
from modelrelease.domain.unit import Backend, UnitRef
from modelrelease.gates import measuring
from modelrelease.gates.judge import JudgeSettings
from modelrelease.gates.traffic import GateTraffic, Measured
from modelrelease.gates.windows import known_habit
from modelrelease.metrics import compose
from modelrelease.metrics.client import prometheus, source_label
from modelrelease.metrics.collector import Collector
from modelrelease.metrics.source import SourceSettings
from modelrelease.metrics.subscription import Place, Subscription
from modelrelease.routing.protocol import Refusal, Router
from modelrelease.routing.registry import kind_fault, router_for

COUNTED = "#requests"
"""Stands for the gate that only counts requests: no gate of a release can be called so."""

PASSES = 10
"""How often a collection is repeated until it has read the whole window."""

SETTLING = 2
"""Scrapes after a change of the route's rules that may still show what was before it."""

PATIENCE_S = 10.0
"""Deadline of one query: nobody's traffic waits for it."""


@dataclass(frozen=True, slots=True)
class Basis:
    """What a forecast stands on. `seen_for_s`: how much of the window had traffic; 0: none, or nothing was asked."""

    plan: Plan
    measured: Measured
    settings: JudgeSettings
    seen_for_s: float = 0.0
    governance: Governance = field(default_factory=Governance)


@dataclass(frozen=True, slots=True)
class Ask:
    """How to ask: over what time (nothing before `not_before`), and where, if not where the MetricsSource says."""

    window_s: float
    address: str | None = None
    credentials: Path | None = None
    not_before: datetime | None = None


def plan_from(spec: Mapping[str, Any], templates: Mapping[str, object]) -> tuple[Plan, Traffic]:
    """The effective plan and the traffic of a spec; its faults end the command."""
    plan, traffic = plan_of(spec, templates), traffic_of(spec)
    faults = [fault for part in (plan, traffic) if isinstance(part, tuple) for fault in part]
    if faults or not isinstance(plan, Plan) or not isinstance(traffic, Traffic):
        fail("\nerror: ".join(fault.message for fault in dict.fromkeys(faults)))
    return plan, traffic


def with_gates(plan: Plan | None) -> Plan:
    """The plan; one without a gate for its stages ends the command."""
    if plan is None or not any(Phase.STAGE in gate.phases for gate in plan.gates):
        fail("spec.gates is empty: name at least one gate, or there is nothing to plan for")
    return plan


def judged_with(plan: Plan, rules: int) -> JudgeSettings:
    """The settings of the judge: a gate per segment is one test for each of the `rules`."""
    gates = [gate for gate in plan.gates if Phase.STAGE in gate.phases]
    tests = sum(rules if gate.scope is Scope.SEGMENT else 1 for gate in gates)
    return JudgeSettings(plan.limits.alpha_permille / 1000, plan.limits.beta_permille / 1000, max(1, tests))


async def measure(kube: Kube, doc: Mapping[str, Any], docs: Sequence[Any], namespace: str, ask: Ask) -> Basis:
    """Read everything and ask Prometheus. `docs` are the manifests of the file: templates in it go before others."""
    name, spec = doc["metadata"]["name"], doc.get("spec") or {}
    store = await store_for(kube, docs, spec, namespace)
    plan, traffic = plan_from(spec, known := await templates_for(kube, store, doc, namespace))
    existing = await kube.find(api.RELEASES, namespace, name)
    release = Release(namespace, name, uid="", generation=0, traffic=traffic, plan=plan)
    if existing is not None:
        release = replace(release, uid=existing["metadata"]["uid"])
    try:
        release, governance = await govern(kube, doc, docs, release, (existing or {}).get("status"))
    except Refused as refused:
        fail(str(refused))
    plan = with_gates(release.plan)
    counting = requests_of(spec, known)
    if isinstance(counting, Fault):
        fail(counting.message)
    model = str(((spec.get("unit") or {}).get("model") or {}).get("name") or "")
    status = (existing or {}).get("status")
    places, both = await places_for(kube, store, release, status, model=model)
    ask = replace(ask, not_before=_laid_out_at(status))
    settings = judged_with(plan, max(len(places), len(traffic.segments) + 1))
    gates = tuple(gate for gate in plan.gates if Phase.STAGE in gate.phases)
    wanted = (*gates, replace(counting, name=COUNTED))
    sources = {gate.source: await source_for(kube, gate.source, namespace, ask) for gate in wanted}
    found: dict[str, tuple[list[Stratum], Problem | None]] = {}
    if places:
        for source in sources.values():
            asked = tuple(gate for gate in wanted if gate.source == source.name)
            found |= await _collect(source, asked, places, both, release=release, ask=ask)
    strata, problem = found.get(COUNTED, ([], None))
    whole = bool(traffic.segments) and {place.segment for place in places} == {REST}  # no rules for segments yet
    requests = measuring.requests_per_s(_whole(strata) if whole else strata)
    why = "" if places else "the release has no route yet whose traffic could be read"
    measured = Measured(
        requests,
        tuple(_traffic(gate, *found.get(gate.name, ([], None)), whole=whole, why=why) for gate in gates),
        max(source.scrape_interval_s for source in sources.values()),
        why or (problem.message if problem is not None and not requests else ""),
    )
    return Basis(plan, measured, settings, measuring.seen_for_s(strata), governance)


def offline_templates(docs: Sequence[Any], spec: Mapping[str, Any]) -> Mapping[str, object]:
    """Templates from the files and the shipped presets; `gateway-…` means Traefik's, as where no class can be read.

    A name that is neither ends the command: what is on the cluster is not asked for here.
    """
    from modelrelease.controller.units import UNTOLD_GATEWAY
    from modelrelease.metrics.presets import alike, preset

    kinds = ("ClusterGateTemplate", "GateTemplate")
    own = {doc["metadata"]["name"]: doc.get("spec") for kind in kinds for doc in docs if doc.get("kind") == kind}
    found = {name: own.get(name) or preset(name, gateway_controller=UNTOLD_GATEWAY) for name in templates_of(spec)}
    for name in [name for name, template in found.items() if template is None]:
        like = f" Did you mean {' or '.join(alike(name))}?" if alike(name) else ""
        fail(
            f"gate template {name} is no preset and in none of the files: name its file, too, with another -f "
            f"(kubectl get gatetemplates,clustergatetemplates shows those of a cluster).{like}"
        )
    return found


async def store_for(kube: Kube, docs: Sequence[Any], spec: Mapping[str, Any], namespace: str) -> Store:
    """The templates that the release names and the routes that it steers, as the operator would have seen them."""
    store = Store()
    places: tuple[tuple[Resource, str | None], ...] = ((api.CLUSTER_TEMPLATES, None), (api.TEMPLATES, namespace))
    for name in templates_of(spec):
        for resource, where in places:
            template = await kube.find(resource, where, name)
            if template is not None:
                store.put(resource, template)
    for doc in docs:
        if doc.get("kind") in ("GateTemplate", "ClusterGateTemplate"):
            local = doc["kind"] == "GateTemplate"
            metadata = {**doc["metadata"], **({"namespace": namespace} if local else {})}
            store.put(api.TEMPLATES if local else api.CLUSTER_TEMPLATES, {**doc, "metadata": metadata})
    routes = (spec.get("traffic") or {}).get("routes") or []
    for called in [str(ref.get("name")) for ref in routes if isinstance(ref, Mapping)]:
        route = await kube.find(api.HTTP_ROUTES, namespace, called)
        if route is not None:
            store.put(api.HTTP_ROUTES, route)
    return store


async def templates_for(kube: Kube, store: Store, doc: Mapping[str, Any], namespace: str) -> Mapping[str, object]:
    """What the operator would make of the templates' names. The unit plays no part, so its ConfigMaps are not read."""
    spec = {key: value for key, value in (doc.get("spec") or {}).items() if key != "unit"}
    metadata = {"name": doc["metadata"]["name"], "namespace": namespace, "generation": 0, "uid": ""}
    units = Units(_Lenient(kube), store, check_s=60)  # type: ignore[arg-type]
    return (await units.read(f"{namespace}/plan", {"metadata": metadata, "spec": spec}, live=True)).templates


class _Lenient:
    """Reads for somebody who may not see Gateways and their classes; `gateway-…` then means the default's presets."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube

    async def find(self, resource: Resource, namespace: str | None, name: str) -> Any | None:
        try:
            return await self._kube.find(resource, namespace, name)
        except Denied:
            if resource in (api.GATEWAYS, api.GATEWAY_CLASSES):
                return None
            raise


async def places_for(
    kube: Kube, store: Store, release: Release, status: object, *, model: str
) -> tuple[tuple[Place, ...], bool]:
    """Where stable's series are; with the candidate's beside them, and True, while one is in traffic."""
    if (fault := kind_fault(release.traffic)) is not None:
        fail(fault.message)
    router, progress = router_for(release), progress_from_status(status)
    both = progress.state in IN_TRAFFIC and progress.candidate is not None and not progress.exposure.is_zero
    found: list[Place] = []
    for name in router.names(release):
        route = store.get(resource_of(router), f"{release.namespace}/{name}")
        route = route or await kube.find(resource_of(router), release.namespace, name)
        if route is None and release.traffic.gateways:
            continue
        if route is None:
            where = f"{router.kind} {release.namespace}/{name}"
            fail(f"{where} does not exist: create it, or correct spec.traffic.routes", EXIT_NOT_FOUND)
        stable = progress.stable or served_by(router, release, name, route)
        candidate = progress.candidate if both else None
        for place in router.places(release, name, route, candidate=candidate, stable=stable):
            if place.stable is None or (both and place.candidate is None):
                continue
            arms = (place.candidate or {}, place.stable) if both else (place.stable, {})
            found.append(Place(place.segment, *({**arm, "model": model} if arm else {} for arm in arms)))
    return tuple(found), both


def _laid_out_at(status: object) -> datetime | None:
    """Since when the route has its present rules. Gateways name series by the index of a rule, so that what stood at
    the same index before is other traffic: a segment's, say, in a rollout that has ended."""
    progress = progress_from_status(status)
    if progress.state is State.SETTLED:
        return progress.since if progress.outcomes else None  # Without any, the route is as its owner made it.
    return progress.rollout_since


def served_by(router: Router, release: Release, name: str, route: Mapping[str, Any]) -> UnitRef | None:
    """What the route serves by itself, as a unit without a revision."""
    served = router.baseline(release, name, route)
    if isinstance(served, Refusal):
        fail(served.message)
    return UnitRef("", "", "", served) if isinstance(served, Backend) else None


async def source_for(kube: Kube, name: str, namespace: str, ask: Ask) -> SourceSettings:
    """How to ask one source. With an address of the user's own, its login is left out unless there are credentials."""
    obj = await kube.find(api.SOURCES, None, name)
    if obj is None:
        mend = "create it, correct spec.gates[].source, or give an address with --prometheus"
        if ask.address is None:
            fail(f"there is no MetricsSource {name}: {mend}", EXIT_NOT_FOUND)
        return _addressed(SourceSettings(name, "http://unset"), ask)
    source = source_of(obj)
    if not isinstance(source, Source):
        fail(f"MetricsSource {name}: {source[0].message}")
    if not source.allows(namespace):
        fail(
            f"MetricsSource {name} may not be used from namespace {namespace}: ask its owner to add it to "
            "spec.allowedNamespaces, or name another source"
        )
    settings = settings_of(source)
    assert settings is not None
    return _addressed(settings, ask)


def _addressed(settings: SourceSettings, ask: Ask) -> SourceSettings:
    login = any((settings.bearer_token_file, settings.client_cert_file, settings.ca_file))
    if login and ask.credentials is None:
        if ask.address is None:
            fail(
                f"MetricsSource {settings.name} is logged in to with files that only the operator has: give an address "
                "that you can reach with --prometheus (kubectl port-forward), or a folder with the files with "
                "--credentials-dir"
            )
        settings = replace(settings, bearer_token_file=None, client_cert_file=None, client_key_file=None, ca_file=None)
    try:
        return replace(settings, address=ask.address or settings.address, timeout_s=PATIENCE_S)
    except ValueError as error:
        fail(f"--prometheus: {error}")


async def _collect(
    source: SourceSettings,
    gates: tuple[Gate, ...],
    places: tuple[Place, ...],
    both: bool,
    *,
    release: Release,
    ask: Ask,
) -> dict[str, tuple[list[Stratum], Problem | None]]:
    """The strata of each gate over the window, and what is wrong with it now."""
    now = datetime.now(UTC)
    since = now - timedelta(seconds=ask.window_s)
    if ask.not_before is not None:
        since = max(since, min(now, ask.not_before + timedelta(seconds=SETTLING * source.scrape_interval_s)))
    alone = {} if both else {"rule": Absolute()}
    client = prometheus(source, ask.credentials)
    try:
        collector = Collector(source, client)
        collector.subscribe(
            Subscription(
                key=f"{release.namespace}/{release.name}",
                generation="plan",
                gates=tuple(replace(gate, **alone) for gate in gates),  # type: ignore[arg-type]
                places=places,
                since=since,
                stage_since=since,
                fresh_s=4 * source.scrape_interval_s,
                every_round=True,
            )
        )
        found: dict[str, tuple[list[Stratum], Problem | None]] = {gate.name: ([], None) for gate in gates}
        for _ in range(PASSES):
            (tick,) = (await collector.collect(now)).values()
            for evidence in tick.evidence:
                strata = found[evidence.gate][0] + [each if both else _stable_only(each) for each in evidence.strata]
                found[evidence.gate] = (strata, evidence.problem)
            causes = [problem.cause for _, problem in found.values() if problem is not None]
            if collector.stats.failed_queries or Cause.SOURCE_DOWN not in causes:
                break
    finally:
        client.close()
    reasons = [problem.message for _, problem in found.values() if problem and problem.cause is Cause.SOURCE_DOWN]
    if collector.stats.failed_queries and collector.stats.failed_queries == collector.stats.queries and reasons:
        mend = "check the address" if ask.address else "give one that you can reach with --prometheus"
        reason = reasons[0].removeprefix(source_label(source.name)) if ask.address else reasons[0]
        fail(f"{reason}; {mend}")
    return found


def _stable_only(stratum: Stratum) -> Stratum:
    """Stable was read as the only arm, which the collector calls the candidate."""
    return replace(stratum, candidate=Tally(), stable=stratum.candidate)


def _traffic(gate: Gate, strata: Sequence[Stratum], problem: Problem | None, *, whole: bool, why: str) -> GateTraffic:
    said = why or (problem.message.removeprefix(f"gate {gate.name}: ") if problem is not None else "")
    counted = _whole(strata) if whole else strata
    habit = known_habit(gate, sorted(counted, key=lambda each: each.end)[-MOST_SCRAPES:])
    return measuring.traffic_of(gate, counted, apart=compose.per_rule(gate), problem=said, habit=habit)


def _whole(strata: Sequence[Stratum]) -> list[Stratum]:
    """The strata as counts of all traffic together."""
    return [replace(each, segment=None) for each in strata]
