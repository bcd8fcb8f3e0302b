"""What a release asks of a collector, and what it gets back each tick."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from modelrelease.domain.evidence import Evidence, SplitCount
from modelrelease.domain.gate import Gate


@dataclass(frozen=True, slots=True)
class Place:
    """One steered route rule for one segment (REST for the rule itself): placeholder values of both arms there.

    Keys are placeholder names without `${}`: namespace, release, route, rule, ruleIndex, segment, service, port,
    backendIndex, revision, version, digest, model. A name without value is refused only where a template uses it.
    An empty `stable`: there is no second arm (a first install); then only the candidate is read.
    """

    segment: str
    candidate: Mapping[str, str]
    stable: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Subscription:
    """One release's evidence from one source.

    `key`: "namespace/name", more may follow. `generation`: when it changes, all state is dropped and rebuilt from
    `since`; while it stays, only `stage_since`, `fresh_s` and the gates' bounds may change. `since`: evidence is
    folded from here (start of the rollout). `stage_since`: samples and split are counted from here. `fresh_s`: an arm
    whose newest sample is older is Missing. `requests`: a gate whose denominator counts requests per backend, read
    for samples and split. `every_round`: rounds are handed out one by one, however many; else neighbours are merged
    where a tick has very many. `patient`: its history is read after all others' and little at a time.
    """

    key: str
    generation: str
    gates: tuple[Gate, ...]
    places: tuple[Place, ...]
    since: datetime
    stage_since: datetime
    fresh_s: float
    requests: Gate | None = None
    every_round: bool = False
    patient: bool = False

    @property
    def namespace(self) -> str:
        """The release's namespace."""
        return self.key.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Tick:
    """What one collection found for one subscription.

    `evidence` has one entry per gate, in order. An entry may hold strata *and* a problem: the strata are true and
    must be folded, the problem keeps the tick from advancing anything. `samples`: the candidate's requests since the
    stage began, None when no counter could be read. `source_down`: why Prometheus could not be asked.
    """

    at: datetime
    evidence: tuple[Evidence, ...] = ()
    samples: int | None = None
    split: tuple[SplitCount, ...] = ()
    source_down: str | None = None


@dataclass(slots=True)
class Stats:
    """Running totals of one collector, for the operator's own metrics."""

    queries: int = 0
    failed_queries: int = 0
    query_seconds: float = 0.0
    ticks: int = 0
    tick_seconds: float = 0.0
    series: int = 0
    newest_sample_s: float | None = field(default=None)
