"""Arms in history: named by the user, or stable divided in two without losing or inventing an event."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from modelrelease.backtest.arms import BY_INSTANCE, BY_REQUEST, UNDIVIDED, Arms, Instances, Named, divided
from modelrelease.backtest.counting import Rounds
from modelrelease.domain.gate import Matcher, MatchOp
from modelrelease.metrics.compose import Part
from modelrelease.metrics.ledger import Side
from modelrelease.metrics.promql import TemplateError
from modelrelease.metrics.subscription import Place
from tests.gates.builders import COST, LATENCY, RATIO, SCORE, gate

COUNT = 4000


def rounds(total: np.ndarray, bad: np.ndarray, buckets: np.ndarray | None = None) -> Rounds:
    return Rounds(total, bad, np.ones(COUNT, bool), np.arange(COUNT) * 15.0, buckets, (1.0, float("inf")))


def one_arm(seed: int = 1, *, fractions: bool = False) -> Rounds:
    """Everything on stable's side, as where there is one instance."""
    rng = np.random.default_rng(seed)
    n = rng.poisson(400, COUNT).astype(float)
    y = rng.binomial(n.astype(int), 0.05).astype(float) * (0.5 if fractions else 1.0)
    zero = np.zeros(COUNT)
    return rounds(np.stack([zero, n]), np.stack([zero, y]))


def two_arms(seed: int = 1) -> Rounds:
    rng = np.random.default_rng(seed)
    n = rng.poisson([[300.0], [100.0]], (2, COUNT)).astype(float)
    return rounds(n, rng.binomial(n.astype(int), 0.05).astype(float))


SHARE = np.where(np.arange(COUNT) < COUNT // 2, 0.01, 0.2)


def test_by_request_no_event_is_lost_and_the_share_is_the_stages() -> None:
    whole = one_arm()
    found, how = divided(gate(RATIO), whole, SHARE, seed=1, name="a")
    assert how == BY_REQUEST
    assert (found.total.sum(axis=0) == whole.total.sum(axis=0)).all()
    assert (found.bad.sum(axis=0) == whole.bad.sum(axis=0)).all()
    assert (found.bad <= found.total).all()
    for half, share in ((slice(0, COUNT // 2), 0.01), (slice(COUNT // 2, None), 0.2)):
        assert found.total[0, half].sum() / whole.total[:, half].sum() == pytest.approx(share, rel=0.05)
    rates = found.bad.sum(axis=1) / found.total.sum(axis=1)
    assert rates[0] == pytest.approx(rates[1], rel=0.1)


def test_by_instance_stable_keeps_its_own_and_the_candidate_a_share_of_all() -> None:
    whole = two_arms()
    found, how = divided(gate(RATIO), whole, SHARE, seed=1, name="a")
    assert how == BY_INSTANCE
    assert (found.total[1] == whole.total[1]).all()
    assert (found.total[0] <= whole.total[0]).all()
    half = slice(COUNT // 2, None)
    assert found.total[0, half].sum() / whole.total[:, half].sum() == pytest.approx(0.2, rel=0.05)


def test_gates_on_the_same_series_see_the_same_candidate_and_another_seed_another_one() -> None:
    first, _ = divided(gate(RATIO), one_arm(), SHARE, seed=1, name="a")
    again, _ = divided(gate(RATIO, name="other"), one_arm(), SHARE, seed=1, name="a")
    other, _ = divided(gate(RATIO), one_arm(), SHARE, seed=2, name="a")
    assert (first.total == again.total).all()
    assert (first.total != other.total).any()


def test_fractions_of_events_are_divided_without_losing_any() -> None:
    whole = one_arm(fractions=True)
    found, _ = divided(gate(RATIO), whole, SHARE, seed=1, name="a")
    assert (found.total >= 0).all()
    assert found.bad.sum() == pytest.approx(whole.bad.sum(), rel=0.01)


def test_histograms_are_divided_bucket_by_bucket() -> None:
    rng = np.random.default_rng(3)
    each = rng.poisson([30.0, 5.0], (COUNT, 2)).astype(float)
    buckets = np.stack([np.zeros((COUNT, 2)), np.cumsum(each, axis=1)])
    whole = rounds(buckets[..., -1], np.zeros((2, COUNT)), buckets)
    found, _ = divided(gate(LATENCY), whole, SHARE, seed=1, name="a")
    assert found.buckets is not None
    assert (found.buckets.sum(axis=0) == buckets[1]).all()
    assert (np.diff(found.buckets, axis=2) >= 0).all()
    assert (found.total == found.buckets[..., -1]).all()


@pytest.mark.parametrize("metric", [SCORE, COST])
def test_sums_are_divided_with_the_noise_that_their_windows_show(metric: object) -> None:
    rng = np.random.default_rng(4)
    n = rng.poisson(400, COUNT).astype(float)
    y = 0.8 * n + 0.3 * np.sqrt(n) * rng.standard_normal(COUNT)
    zero = np.zeros(COUNT)
    whole = rounds(np.stack([zero, n]), np.stack([zero, y]))
    found, _ = divided(gate(metric), whole, np.full(COUNT, 0.2), seed=1, name="a")  # type: ignore[arg-type]
    assert found.bad.sum(axis=0) == pytest.approx(y)
    assert (found.bad >= 0).all()
    means = found.bad[0] / found.total[0]
    assert means.mean() == pytest.approx(0.8, abs=0.01)
    assert np.sqrt((found.total[0] * (means - 0.8) ** 2).mean()) == pytest.approx(0.3, rel=0.1)


def test_all_traffic_is_the_candidates_at_100_percent() -> None:
    found, how = divided(gate(RATIO), two_arms(), np.ones(COUNT), seed=1, name="a")
    assert how == UNDIVIDED
    assert not found.total[1].any()


def test_every_second_instance_of_a_job_is_the_candidates() -> None:
    instances = Instances(divide=True)

    def side(job: str, **labels: str) -> Side:
        return instances.side({"job": job, **labels})

    first = [side("gateway", instance="a:1"), side("gateway", instance="b:1"), side("gateway", instance="c:1")]
    assert first == [Side.STABLE, Side.CANDIDATE, Side.STABLE]
    assert [side("model", pod="p1", instance="x"), side("model", pod="p2", instance="x")] == first[:2]
    assert side("gateway", instance="b:1") is Side.CANDIDATE
    assert Instances(divide=False).side({"pod": "b"}) is Side.STABLE


@pytest.mark.parametrize(
    ("texts", "values", "matchers"),
    [
        (["service=chat-v2"], {"service": "chat-v2"}, []),
        (["service=a, pod=~x-(a|b,c)"], {"service": "a"}, [("pod", "=~", "x-(a|b,c)")]),
        (["pod!=a", "zone!~b.*", "version=1"], {"version": "1"}, [("pod", "!=", "a"), ("zone", "!~", "b.*")]),
        (["pod="], {}, [("pod", "=", "")]),
        (["service=~a.*"], {}, [("service", "=~", "a.*")]),
    ],
)
def test_what_users_say_of_an_arm(
    texts: list[str], values: dict[str, str], matchers: list[tuple[str, str, str]]
) -> None:
    found = Named.read(texts, "--candidate")
    assert dict(found.values) == values
    assert [(one.label, one.op.value, one.value) for one in found.matchers] == matchers


@pytest.mark.parametrize("text", ["v2", "=x", "a b=c", "pod=~(", "1pod=x"])
def test_what_is_no_label_and_value_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="--candidate"):
        Named.read([text], "--candidate")


ARM = (Matcher("service", MatchOp.EQUAL, "${service}"), Matcher("namespace", MatchOp.EQUAL, "${namespace}"))
PLACE = Place("*", {}, {"service": "chat-v1", "namespace": "apps"})


def selectors(arms: Arms, place: Place = PLACE) -> list[tuple[Part, Side | None, str]]:
    found = arms.wanted(replace(gate(RATIO), arm=ARM), place)
    return [(one.part, one.side, str(one.selector)) for one in found]


def test_stable_against_itself_is_read_once() -> None:
    assert selectors(Arms()) == [
        (Part.TOTAL, None, 'requests_total{service="chat-v1",namespace="apps"}'),
        (Part.BAD, None, 'errors_total{service="chat-v1",namespace="apps"}'),
    ]


def test_two_sets_differ_by_placeholders_or_labels() -> None:
    by_name = Arms(Named.read(["service=chat-v2"], ""), Named())
    assert [text for _, _, text in selectors(by_name)][:2] == [
        'requests_total{service="chat-v2",namespace="apps"}',
        'requests_total{service="chat-v1",namespace="apps"}',
    ]
    by_label = Arms(Named.read(["pod=~v2-.*"], ""), Named.read(["pod=~v1-.*", "namespace!=x"], ""))
    assert [text for _, _, text in selectors(by_label)][:2] == [
        'requests_total{service="chat-v1",namespace="apps",pod=~"v2-.*"}',
        'requests_total{service="chat-v1",pod=~"v1-.*",namespace!="x"}',
    ]


def test_arms_that_are_the_same_are_refused() -> None:
    with pytest.raises(TemplateError, match="both arms have the same selector"):
        selectors(Arms(Named.read(["service=chat-v1"], ""), Named()))


def test_a_placeholder_without_value_is_named() -> None:
    with pytest.raises(TemplateError, match=r"\$\{service\} has no value"):
        selectors(Arms(), Place("*", {}, {"namespace": "apps"}))
