"""Arbitrary values of the domain, for round trips: anything that the types allow and a status can meet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

from modelrelease.domain.approval import ApprovalRole, ApprovalRules, Asking, AtWindowEnd, GitOpsAccount
from modelrelease.domain.entry import Entry, EntryGate, SubgroupRule
from modelrelease.domain.exposure import REST, Exposure
from modelrelease.domain.gate import (
    Absolute,
    AgainstStable,
    Cost,
    Gate,
    Kind,
    Matcher,
    MatchOp,
    Mean,
    Phase,
    Quantile,
    Ratio,
    Scope,
    Series,
    Value,
)
from modelrelease.domain.habit import Habit
from modelrelease.domain.images import UnitImages
from modelrelease.domain.offline import Better, ReferenceType
from modelrelease.domain.plan import AtMaxDuration, Limits, OnDrift, OnNoSafePath, Plan, Require, Stage, StageType
from modelrelease.domain.record import Head
from modelrelease.domain.release import Intent, PastOutcome, Progress, State, Stop, Watch
from modelrelease.domain.train import Cron, Freeze, Schedule, Train, Weekday, Weekly
from modelrelease.domain.unit import Backend, Part, PartName, Unit, UnitRef

texts = st.text(st.characters(codec="utf-8"), max_size=40)
names = st.from_regex(r"[a-z][a-z0-9-]{0,12}", fullmatch=True)
digests = st.integers(0, 2**256 - 1).map(lambda number: f"sha256:{number:064x}")
decimals = st.decimals(-1000, 1000, places=3, allow_nan=False).map(str)
seconds = st.integers(0, 10**7)
zones = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-8))])
times = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=zones)  # noqa: DTZ001 (hypothesis adds the zone)
permille = st.integers(0, 1000)


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


def some(values: st.SearchStrategy[Any], most: int = 3) -> st.SearchStrategy[Any]:
    return st.lists(values, max_size=most).map(tuple)


backends = st.builds(
    Backend, names, maybe(st.integers(1, 65535)), st.sampled_from(["Service", "InferencePool"]), names | st.just(""),
    maybe(names),
)  # fmt: skip
refs = st.builds(UnitRef, digests, names, texts, backends)
parts = st.builds(Part, some(st.tuples(names, texts)), maybe(names), maybe(digests))
units = st.builds(Unit, texts, backends, some(st.tuples(st.sampled_from(PartName), parts), 7))

exposures = st.builds(Exposure, some(st.tuples(names | st.just(REST), permille), 5))
matchers = st.builds(Matcher, names, st.sampled_from(MatchOp), texts)
series = st.builds(Series, names, some(matchers))
metrics = st.one_of(
    st.builds(Ratio, series, series),
    st.builds(Quantile, series, decimals, texts),
    st.builds(Mean, series, series, maybe(decimals), maybe(decimals)),
    st.builds(Cost, series, series, st.integers(1, 10**6), texts),
    st.builds(Value, texts),
)
rules = st.one_of(
    st.builds(Absolute, maybe(decimals), maybe(decimals)),
    st.builds(AgainstStable, maybe(decimals), maybe(decimals), maybe(decimals)),
)
gates = st.builds(
    Gate, names, metrics, rules, some(matchers), names, names, st.sampled_from(Kind), some(st.sampled_from(Phase), 2),
    st.sampled_from(Scope), seconds,
)  # fmt: skip
stages = st.builds(
    Stage, names, exposures, st.sampled_from(StageType), seconds, maybe(seconds), st.sampled_from(AtMaxDuration),
    seconds, st.sampled_from(Require), some(names),
)  # fmt: skip
limits = st.builds(Limits, seconds, seconds, seconds, seconds, permille, permille, permille)
subgroup_rules = st.builds(
    SubgroupRule, names, some(texts), maybe(decimals), maybe(decimals), maybe(decimals), maybe(decimals), seconds,
    maybe(decimals),
)  # fmt: skip
entry_gates = st.builds(
    EntryGate, names, names, st.sampled_from(Kind), st.sampled_from(Better), maybe(texts), maybe(decimals),
    maybe(decimals), maybe(decimals), maybe(decimals), some(subgroup_rules),
)  # fmt: skip
entries = st.builds(
    Entry, some(entry_gates), some(st.sampled_from(ReferenceType)), maybe(seconds), maybe(seconds), st.booleans()
)
weeklies = st.builds(Weekly, texts, some(st.sampled_from(Weekday), 7), st.integers(0, 1439), st.integers(0, 1440))
windows = st.one_of(weeklies, st.builds(Cron, texts, seconds, texts))
trains = st.builds(
    Train, some(st.builds(Schedule, some(windows), texts)), some(st.builds(Freeze, texts, texts, texts, texts, texts))
)
approvals = st.sampled_from(
    [
        ApprovalRules(),
        ApprovalRules((ApprovalRole("risk", ("pilot", "full")), ApprovalRole("owner", accountable=True)), True, 60),
        ApprovalRules(
            window_s=1, at_window_end=AtWindowEnd.REJECT, notify=("the team",), look_at=("a", "b"),
            git_ops=(GitOpsAccount("argo", "example.com/author"), GitOpsAccount("flux")),
        ),
    ]
)  # fmt: skip
plans = st.builds(
    Plan, some(stages), some(gates), seconds, limits, st.sampled_from(OnDrift), st.sampled_from(OnNoSafePath),
    entry=entries, train=trains,
    approvals=approvals,
)  # fmt: skip

progresses = st.builds(
    Progress,
    state=st.sampled_from(State),
    since=maybe(times),
    stable=maybe(refs),
    candidate=maybe(refs),
    fallback=maybe(refs),
    plan=maybe(plans),
    stage=st.integers(-1, 16),
    stage_since=maybe(times),
    rollout_since=maybe(times),
    exposure=exposures,
    intent=maybe(st.builds(Intent, st.integers(0, 16), names, times, texts, some(names))),
    watch=maybe(st.builds(Watch, refs, times, times)),
    stop=maybe(st.builds(Stop, digests, texts, names, texts, times, maybe(names))),
    stopped=some(digests),
    handled=some(names),
    no_data_since=some(st.tuples(names, times)),
    habits=some(st.tuples(names, st.builds(Habit, seconds, maybe(st.floats(1, 1000))))),
    images=some(st.builds(UnitImages, digests, some(st.tuples(names, some(digests))), st.booleans())),
    stable_ready=maybe(st.integers(0, 1000)),
    head=st.builds(Head, st.integers(0, 10**8), digests),
    outcomes=some(st.builds(PastOutcome, texts, digests, names, texts, times)),
    paused_by=maybe(texts),
    diverted=maybe(refs),
    proposed_at=maybe(times),
    changed_by=some(texts),
    asking=maybe(st.builds(Asking, st.integers(0, 16), times)),
)
