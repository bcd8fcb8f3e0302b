"""How long stages need: the forecast against simulated releases and against Wald, and what it says of a plan."""

import math
import random
from collections.abc import Mapping
from datetime import timedelta

import pytest

from modelrelease.domain.evidence import Stratum, Tally
from modelrelease.domain.exposure import REST, Exposure
from modelrelease.domain.gate import Absolute, AgainstStable, Gate, Kind, Phase, Rule, Scope
from modelrelease.domain.habit import Habit
from modelrelease.domain.plan import Plan, Require, Stage
from modelrelease.domain.verdict import Outcome
from modelrelease.gates import judge
from modelrelease.gates.expected import Arms, Bursts, Stay, log_revert
from modelrelease.gates.judge import JudgeSettings, machine_of
from modelrelease.gates.measuring import requests_per_s, rough, seen_for_s, traffic_of
from modelrelease.gates.planning import ALLOWED, ALONE, RESERVE, Forecast, StageForecast, Sufficiency, forecast
from modelrelease.gates.regressions import Worse, worse_figure
from modelrelease.gates.shortfalls import about, duration, roughly, shortfalls, unknowns, verdict
from modelrelease.gates.traffic import ALL, Flow, GateTraffic, Measured, rescaled
from tests.gates.builders import COST, LATENCY, SCORE, T0, VALUE, bursty, evidence, gate, histogram, under

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
ERRORS = gate()
ONE_TEST = JudgeSettings(0.01, 0.05, 1)


def everyone(permille: int, *segments: str) -> Exposure:
    return Exposure((*((name, permille) for name in segments), (REST, permille)))


def stage(name: str = "few", permille: int = 50, *, exposure: Exposure | None = None, **more: object) -> Stage:
    return Stage(name, exposure or everyone(permille), **more)  # type: ignore[arg-type]


FULL = stage("full", 1000)


def traffic(of: Gate = ERRORS, *, per_s: float = 50.0, figure: float | None = 0.01, **more: object) -> GateTraffic:
    spread = more.pop("spread", 0.0)
    return GateTraffic(of, {REST: Flow(per_s, figure, spread)}, **more)  # type: ignore[arg-type]


def foreseen(
    *stages: Stage,
    gates: tuple[GateTraffic, ...] = (traffic(),),
    requests: Mapping[str, float] | None = None,
    window_s: float = 15.0,
    settings: JudgeSettings = ONE_TEST,
) -> Forecast:
    plan = Plan((*stages, FULL), tuple(one.gate for one in gates))
    return forecast(plan, Measured({REST: 50.0} if requests is None else requests, gates, window_s), settings)


def first(*stages: Stage, **how: object) -> StageForecast:
    return foreseen(*stages, **how).stages[0]  # type: ignore[arg-type]


# --- against simulated releases ---


def _simulated(
    of: Gate,
    *,
    worse: float,
    share: float,
    burst: float,
    until: Outcome,
    runs: int,
    ticks: int,
    settings: JudgeSettings = ONE_TEST,
) -> list[float]:
    """Seconds until each of `runs` releases is decided; 50 requests/s, 1 % bad, windows of 15 s."""
    found = []
    for seed in range(runs):
        rng, state = random.Random(seed), judge.start(of, settings)
        n_c, n_s = 750 * share, 750 * (1 - share)
        for tick in range(ticks):
            start = T0 + timedelta(seconds=15 * tick)
            candidate = Tally(n_c, min(n_c, bursty(rng, n_c * min(0.5, 0.01 * worse), burst)))
            stable = Tally(n_s, bursty(rng, n_s * 0.01, burst))
            item = Stratum(start, start + timedelta(seconds=15), candidate, stable)
            state = judge.fold(of, state, evidence(item))
            (said,) = judge.verdicts(of, state, at=item.end, settings=settings)
            if said.outcome is until:
                found.append(15.0 * (tick + 1))
                break
        else:
            found.append(math.inf)
    return sorted(found)


REVERTS = [
    pytest.param(AgainstStable("1.5"), 5.0, 0.05, 1.0, id="five times, independent"),
    pytest.param(AgainstStable("1.5"), 5.0, 0.2, 3.0, id="five times, bursts of three"),
    pytest.param(AgainstStable("1.0"), 2.0, 0.2, 1.0, id="twice"),
    pytest.param(AgainstStable("1.5", None, "0.01"), 5.0, 0.05, 1.0, id="with a floor"),
    pytest.param(AgainstStable(None, "0.01"), 5.0, 0.05, 1.0, id="by a difference"),
    pytest.param(AgainstStable("1.5"), 50.0, 0.2, 1.0, id="half fail"),
    pytest.param(under("0.025"), 5.0, 0.05, 1.0, id="twice the bound"),
]


@pytest.mark.parametrize(("rule", "worse", "share", "burst"), REVERTS)
def test_most_worse_candidates_are_reverted_by_the_time_that_the_forecast_names(
    rule: Rule, worse: float, share: float, burst: float
) -> None:
    of, phi = gate(rule=rule), 2 * burst - 1
    wanted = {2.0: Worse.TWICE, 5.0: Worse.FIVE_TIMES, 50.0: Worse.HALF}[worse]
    if isinstance(rule, Absolute):
        wanted = Worse.TWICE
    bursts = Bursts(phi, (phi,) * 3)
    (said,) = first(stage(permille=round(1000 * share)), gates=(traffic(of, bursts=bursts),)).gates
    seconds = said.sees[wanted].seconds
    assert seconds is not None
    runs = 40
    found = _simulated(
        of, worse=worse, share=share, burst=burst, until=Outcome.REVERT, runs=runs, ticks=round(3 * seconds / 15) + 20
    )
    assert sum(each <= seconds for each in found) >= 0.6 * runs
    assert found[runs // 2] >= seconds / 3, "the forecast is far too careful"


@pytest.mark.parametrize(
    ("rule", "burst"),
    [
        pytest.param(AgainstStable("2.0"), 1.0, id="margin of two"),
        pytest.param(AgainstStable("2.0"), 3.0, id="margin of two, bursts of three"),
        pytest.param(AgainstStable(None, "0.01"), 1.0, id="by a difference"),
        pytest.param(under("0.025"), 1.0, id="under a bound"),
    ],
)
def test_most_equal_candidates_pass_by_the_time_that_the_forecast_names(rule: Rule, burst: float) -> None:
    of, phi = gate(rule=rule), 2 * burst - 1
    bursts = Bursts(phi, (phi,) * 3)
    (said,) = first(stage(permille=200), gates=(traffic(of, bursts=bursts),)).gates
    seconds = said.proves.seconds
    assert seconds is not None
    runs = 30
    found = _simulated(
        of, worse=1.0, share=0.2, burst=burst, until=Outcome.PASS, runs=runs, ticks=round(3 * seconds / 15) + 20
    )
    assert sum(each <= seconds for each in found) >= 0.6 * runs
    assert found[runs // 2] >= seconds / 3, "the forecast is far too careful"


@pytest.mark.parametrize("fall", [pytest.param(0.1, id="worse"), pytest.param(0.0, id="equal")])
def test_most_scores_are_decided_by_the_time_that_the_forecast_names(fall: float) -> None:
    """A score of 0.8 ± 0.3 that may fall by 0.05; 2.5 answers/s of the candidate, 47.5 of stable."""
    of = gate(SCORE, AgainstStable(max_difference="0.05"), kind=Kind.QUALITY)
    (said,) = first(stage(permille=50), gates=(traffic(of, figure=0.8, spread=0.3),)).gates
    seconds = (said.sees[Worse.TWICE] if fall else said.proves).seconds
    assert seconds is not None
    machine, decided = machine_of(of), []
    for seed in range(40):
        rng, state = random.Random(seed), machine.start()
        for number in range(round(3 * seconds / 15) + 20):
            candidate = rng.gauss(37.5 * (0.8 - fall), 0.3 * math.sqrt(37.5))
            stable = rng.gauss(712.5 * 0.8, 0.3 * math.sqrt(712.5))
            state = machine.update(state, _tick(number, (37.5, candidate), (712.5, stable)))
            bars = ONE_TEST.bars
            if (machine.log_revert(state) >= bars.log_revert) if fall else (machine.log_pass(state) >= bars.log_pass):
                decided.append(15.0 * (number + 1))
                break
        else:
            decided.append(math.inf)
    assert sum(each <= seconds for each in decided) >= 24
    assert sorted(decided)[20] >= seconds / 3, "the forecast is far too careful"


@pytest.mark.parametrize("ratio", [2.0, 3.0, 5.0])
@pytest.mark.parametrize("tests", [1, 4])
def test_the_expected_need_is_walds_and_a_half_at_most(ratio: float, tests: int) -> None:
    """n_c = ln(m/α)/[p(r ln r − r + 1)]: the least that any test needs which is told the rates (small share)."""
    p, alpha, share = 0.01, 0.01, 0.01
    least = math.log(tests / alpha) / (p * (ratio * math.log(ratio) - ratio + 1))
    machine = machine_of(gate(rule=AgainstStable("1.0")))

    def evidence_after(candidate_events: float) -> float:
        arms = Arms(50 * share, 50 * (1 - share), p, p * ratio)
        stays = [Stay((arms,), candidate_events / (50 * share))]
        return log_revert(machine, stays, window_s=5.0, bursts=Bursts(habit=Habit(0, 1.0)))

    threshold = math.log(tests / alpha)
    assert evidence_after(1.05 * least) < threshold < evidence_after(1.5 * least)


# --- what it says ---


def test_samples_take_as_long_as_the_share_makes_them() -> None:
    """GATES.md: a 1 % stage of 20 requests/s is 0.2 requests/s."""
    found = first(stage(permille=10, min_samples=500), requests={REST: 20.0})
    assert found.candidate_per_s == pytest.approx(0.2)
    assert found.samples.seconds == pytest.approx(2500)


def test_evidence_adds_up_over_the_stages() -> None:
    early = stage("few", 10, min_duration_s=3600)
    alone = first(stage("broad", 200)).sight.seconds
    after = foreseen(early, stage("broad", 200)).stages[1].sight.seconds
    assert alone is not None and after is not None
    assert after < alone
    huge = foreseen(stage("few", 10, min_duration_s=40 * 86400), stage("broad", 200)).stages[1]
    assert huge.sight.seconds == 0
    assert huge.gates[0].sees[Worse.HALF].seconds == 0


def test_more_traffic_and_less_noise_need_less_time() -> None:
    usual = first(stage()).sight.seconds or 0
    assert usual / 4 < (first(stage(), gates=(traffic(per_s=100),)).sight.seconds or 0) < usual
    assert (first(stage(), gates=(traffic(bursts=Bursts(5, (5, 5, 5))),)).sight.seconds or 0) > 1.5 * usual
    assert (first(stage(), settings=JudgeSettings(0.01, 0.05, 20)).sight.seconds or 0) > usual


def test_what_the_gate_allows_is_not_waited_for() -> None:
    lax = first(stage(), gates=(traffic(gate(rule=AgainstStable("3.0"))),)).gates[0]
    assert lax.sees[Worse.TWICE] == ALLOWED
    assert lax.sight == lax.sees[Worse.FIVE_TIMES]


def test_at_one_hundred_percent_there_is_nothing_to_compare_with() -> None:
    absolute = gate(rule=under("0.05"), name="absolute")
    full = foreseen(stage(), gates=(traffic(), traffic(absolute))).stages[-1]
    assert full.gates[0].sight == ALONE and full.gates[0].proves == ALONE
    assert full.gates[1].sight.known
    assert full.sufficiency is Sufficiency.ENOUGH


LOW = Exposure((("low", 10), (REST, 0)))


def test_a_share_of_one_segment_needs_to_know_how_much_traffic_is_in_it() -> None:
    whole = (GateTraffic(ERRORS, {ALL: Flow(50.0, 0.01)}),)
    found = foreseen(stage(exposure=LOW), stage("broad", exposure=everyone(50, "low")), gates=whole, requests={ALL: 50})
    assert found.stages[0].candidate_per_s is None
    assert found.stages[0].sufficiency is Sufficiency.UNKNOWN
    assert unknowns(found) == ("how much of the traffic is in segment low is not known",)
    assert verdict(found.stages[0]) == "unknown: how much of the traffic is in segment low is not known"
    assert found.stages[1].sight.known, "an even share needs no split"
    known = first(stage(exposure=LOW), gates=whole, requests={"low": 20.0, REST: 30.0})
    assert known.candidate_per_s == pytest.approx(0.2)
    split = first(stage(exposure=LOW), gates=(GateTraffic(ERRORS, {"low": Flow(20, 0.01), REST: Flow(30, 0.01)}),))
    assert known.sight == split.sight


def test_a_gate_per_segment_is_as_slow_as_its_quietest_segment() -> None:
    each = gate(scope=Scope.SEGMENT)
    flows = {"low": Flow(2.0, 0.01), REST: Flow(48.0, 0.01)}
    exposure = everyone(50, "low")
    whole = first(stage(exposure=exposure), gates=(GateTraffic(gate(), flows),))
    per_segment = first(stage(exposure=exposure), gates=(GateTraffic(each, flows),))
    quiet = first(stage(permille=50), gates=(traffic(per_s=2.0),))
    assert per_segment.sight.seconds == quiet.sight.seconds
    assert (per_segment.sight.seconds or 0) > (whole.sight.seconds or 0)


def test_a_gate_that_does_not_tell_segments_apart_sees_the_share_of_all() -> None:
    pooled = GateTraffic(ERRORS, {ALL: Flow(50.0, 0.01)}, apart=False)
    found = first(stage(exposure=LOW), gates=(pooled,), requests={"low": 25.0, REST: 25.0})
    assert found.sight.seconds == first(stage(permille=5)).sight.seconds


def test_a_warm_up_comes_on_top() -> None:
    warm = gate(warm_up_s=600)
    assert first(stage(), gates=(traffic(warm),)).sight.seconds == pytest.approx(
        (first(stage()).sight.seconds or 0) + 600, rel=0.02
    )


def test_an_unknown_figure_hides_nothing_that_is_known() -> None:
    silent = traffic(gate(name="quality"), figure=None)
    short = stage(max_duration_s=60)
    found = foreseen(short, gates=(traffic(), silent)).stages[0]
    assert found.sufficiency is Sufficiency.TOO_SHORT
    assert found.sight.gate == "errors"
    open_ended = foreseen(stage(min_duration_s=30 * 86400), gates=(traffic(), silent))
    assert verdict(open_ended.stages[0]) == "unknown: too little is known of quality"
    assert unknowns(open_ended) == ("gate quality: stable's figure is not known",)


def test_no_traffic_is_said_and_not_a_number() -> None:
    nothing = GateTraffic(ERRORS, problem="no series matches it")
    found = foreseen(stage(min_samples=10), gates=(nothing,), requests={})
    assert found.stages[0].samples.note == "no traffic was seen"
    assert set(unknowns(found)) >= {"no traffic was seen", "gate errors: no series matches it"}
    idle = first(stage(min_samples=10), gates=(traffic(per_s=0.0),), requests={REST: 0.0})
    assert idle.sufficiency is Sufficiency.UNKNOWN


@pytest.mark.parametrize(
    ("of", "figure", "spread", "quick", "slow"),
    [
        pytest.param(
            gate(SCORE, AgainstStable(max_difference="0.05"), kind=Kind.QUALITY), 0.8, 0.3, 10, 40, id="score"
        ),
        pytest.param(gate(SCORE, AgainstStable("1.2")), 5.0, 3.0, 5, 30, id="load"),
        pytest.param(gate(COST, AgainstStable("1.2")), 0.4, 0.3, 5, 30, id="cost"),
        pytest.param(gate(COST, under("0.5")), 0.4, 0.3, 5, 20, id="cost under a bound"),
    ],
)
def test_means_and_costs_need_windows(of: Gate, figure: float, spread: float, quick: float, slow: float) -> None:
    """Minutes at 2.5 events/s; twelve windows of 15 s are the burn-in."""
    (found,) = first(stage(permille=50), gates=(traffic(of, figure=figure, spread=spread),)).gates
    assert set(found.sees) == {Worse.TWICE, Worse.FIVE_TIMES}
    assert 3 * MINUTE <= (found.sight.seconds or 0) <= quick * MINUTE * 1.5
    assert 3 * MINUTE <= (found.proves.seconds or 0) <= slow * MINUTE
    noisier = first(stage(permille=50), gates=(traffic(of, figure=figure, spread=3 * spread),)).gates[0]
    assert (noisier.proves.seconds or 0) > (found.proves.seconds or 0)


def test_a_value_needs_scrapes_and_no_traffic() -> None:
    of = gate(VALUE, under("0.3"))
    (found,) = first(stage(), gates=(GateTraffic(of),), requests={}).gates
    assert (found.sight.seconds, found.proves.seconds) == (45.0, 15.0)


@pytest.mark.parametrize(
    ("of", "stable", "found"),
    [
        (gate(rule=AgainstStable("1.5")), 0.01, [0.02, 0.05, 0.5]),
        (gate(rule=AgainstStable("2.0")), 0.01, [None, 0.05, 0.5]),
        (gate(rule=AgainstStable("1.5", None, "0.01")), 0.001, [0.02, 0.05, 0.5]),
        (gate(rule=AgainstStable("1.5", None, "0.6")), 0.001, [1.0, 1.0, None]),
        (gate(rule=AgainstStable(None, "0.02")), 0.01, [None, 0.05, 0.5]),
        (gate(rule=under("0.05")), 0.01, [0.1, 0.25, 0.5]),
        (gate(rule=Absolute(minimum="0.95")), 0.99, [0.9, 0.75, 0.5]),
        (gate(LATENCY, under("0.5")), 0.02, [0.1, 0.25, 0.5]),
        (gate(SCORE, AgainstStable(max_difference="0.05"), kind=Kind.QUALITY), 0.8, [0.7, 0.55]),
        (gate(COST, under("0.5")), 0.4, [0.6, 0.9]),
        (gate(COST, under("0.5")), 0.6, [None, None]),
    ],
)
def test_worse_is_worse_than_stable_or_than_the_bound(of: Gate, stable: float, found: list[float | None]) -> None:
    assert [worse_figure(of, worse, stable) for worse in list(Worse)[: len(found)]] == pytest.approx(found)


# --- verdicts and shortfalls ---


def test_a_stage_that_ends_before_it_can_see_is_too_short() -> None:
    found = foreseen(stage("mixed", 50, min_duration_s=600, max_duration_s=3600), settings=JudgeSettings(0.01, 0.05, 3))
    assert found.stages[0].sufficiency is Sufficiency.TOO_SHORT
    needs = found.stages[0].sight.seconds or 0
    assert verdict(found.stages[0]) == f"too short: needs {roughly(needs)}, maxDuration 1 h"
    (short,) = [one for one in shortfalls(found) if "shows" in one.message]
    assert short.field == "spec.strategy.stages[0].maxDuration"
    assert short.message == (
        f"stage mixed needs {roughly(needs)} until gate errors shows a candidate that is twice as bad, and may last "
        f"1 h; raise it to {duration(needs)}, or give the stage a larger percent"
    )


def test_too_many_samples_are_named_with_what_would_do() -> None:
    found = foreseen(stage("pilot", 10, min_samples=5000, max_duration_s=3600), requests={REST: 50.0})
    (short,) = [one for one in shortfalls(found) if one.field.endswith("minSamples")]
    assert short.message == (
        "stage pilot gets its 5,000 requests after about 2 h 50 min, at 0.5 requests/s on the candidate, and may last "
        "1 h; raise maxDuration to 2h50m, or lower minSamples to 1,800"
    )


def test_proof_counts_where_the_next_stage_asks_for_it() -> None:
    half_hour = stage("broad", 50, max_duration_s=1800)
    relaxed = forecast(Plan((half_hour, FULL), (ERRORS,)), Measured({REST: 50.0}, (traffic(),), 15.0), ONE_TEST)
    strict = forecast(
        Plan((half_hour, stage("full", 1000, require=Require.PROVEN)), (ERRORS,)),
        Measured({REST: 50.0}, (traffic(),), 15.0),
        ONE_TEST,
    )
    assert not relaxed.stages[0].proof_needed
    assert strict.stages[0].proof_needed
    assert any("passes a candidate that equals stable" in short.message for short in shortfalls(strict))
    assert not any("passes" in short.message for short in shortfalls(relaxed))


def test_a_proof_that_never_comes_is_a_shortfall_even_without_a_limit() -> None:
    tight = gate(rule=AgainstStable("1.0"))
    of = traffic(tight, per_s=0.5, figure=0.0005)
    found = forecast(
        Plan((stage("broad", 50), stage("full", 1000, require=Require.PROVEN)), (tight,)),
        Measured({REST: 0.5}, (of,), 15.0),
        ONE_TEST,
    )
    assert verdict(found.stages[0]) == "too short: needs more than 90 days, no maxDuration ends it"
    (short,) = shortfalls(found)
    assert "needs more than 90 days until gate errors passes" in short.message
    assert "raise it" not in short.message


def test_a_stage_that_is_left_on_time_alone_may_be_left_early() -> None:
    found = foreseen(stage("pilot", 10, min_duration_s=600)).stages[0]
    assert found.sufficiency is Sufficiency.EARLY
    needs = found.sight.seconds
    assert verdict(found) == f"goes on after 10 min; twice as bad shows after {roughly(needs)}"
    assert not shortfalls(foreseen(stage("pilot", 10, min_duration_s=600)))


def test_a_long_stage_is_enough() -> None:
    found = foreseen(stage("broad", 200, min_duration_s=86400)).stages[0]
    assert (found.sufficiency, verdict(found)) == (Sufficiency.ENOUGH, "enough")


def test_gates_of_the_watch_alone_are_not_looked_at() -> None:
    later = Gate("later", ERRORS.metric, ERRORS.rule, phases=(Phase.WATCH,))
    assert first(stage(), gates=(GateTraffic(later),), requests={REST: 1.0}).gates == ()


@pytest.mark.parametrize(
    ("seconds", "said", "written"),
    [
        (0.3, "1 s", "1s"),
        (45, "50 s", "50s"),
        (120, "2 min", "2m"),
        (121, "3 min", "3m"),
        (HOUR, "1 h", "1h"),
        (11_900, "3 h 20 min", "3h20m"),
        (30 * HOUR, "30 h", "30h"),
        (3.2 * DAY, "4 days", "96h"),
    ],
)
def test_times_are_rounded_up_to_what_people_say(seconds: float, said: str, written: str) -> None:
    assert about(seconds) == said
    assert duration(seconds) == written


def test_never_and_nothing_have_words_too() -> None:
    assert (about(None), about(math.inf), roughly(math.inf)) == ("–", "never", "more than 90 days")


# --- what counts say of traffic ---


def _tick(
    number: int, candidate: tuple[float, float], stable: tuple[float, float], segment: str | None = None
) -> Stratum:
    start = T0 + timedelta(seconds=15 * number)
    return Stratum(start, start + timedelta(seconds=15), Tally(*candidate), Tally(*stable), segment)


def _ticks(
    count: int, candidate: tuple[float, float], stable: tuple[float, float], segment: str | None = None
) -> list[Stratum]:
    return [_tick(number, candidate, stable, segment) for number in range(count)]


def test_rates_are_taken_after_the_first_stratum() -> None:
    """Nobody knows for how long the first one waited for its events."""
    strata = [*_ticks(1, (0, 0), (9000, 0)), *_ticks(41, (30, 1), (720, 7.2))[1:]]
    found = traffic_of(gate(), strata, apart=True)
    assert found.flows[ALL].per_s == pytest.approx(50)
    assert found.flows[ALL].figure == pytest.approx(0.01)
    assert found.flows[ALL].counted == 40 * 720
    assert requests_per_s(strata) == {ALL: pytest.approx(50)}
    assert seen_for_s(strata) == 600


def test_segments_stay_apart() -> None:
    strata = [*_ticks(20, (0, 0), (150, 3), "low"), *_ticks(20, (0, 0), (600, 6), REST)]
    found = traffic_of(gate(), strata, apart=True)
    assert {name: (round(flow.per_s), flow.figure) for name, flow in found.flows.items()} == {
        "low": (10, 0.02),
        REST: (40, 0.01),
    }


def test_bursts_are_seen_in_stables_history() -> None:
    rng = random.Random(7)
    calm, noisy = (
        traffic_of(
            gate(),
            [_tick(number, (0, 0), (1500, bursty(rng, 15, size))) for number in range(240)],
            apart=True,
        ).bursts
        for size in (1, 3)
    )
    assert calm.stakes < 1.4
    assert 3 < noisy.stakes < 8
    assert noisy.passing(400) > calm.passing(400) >= 1.3


def test_a_quantile_is_measured_at_the_bound_that_the_judge_would_freeze() -> None:
    strata = [histogram(tick, {}, {0.1: 900, 0.5: 60, 1.0: 40}) for tick in range(20)]
    (flow,) = traffic_of(gate(LATENCY, AgainstStable("1.5")), strata, apart=True).flows.values()
    assert flow.figure == pytest.approx(0.04)
    (flow,) = traffic_of(gate(LATENCY, under("0.1")), strata, apart=True).flows.values()
    assert flow.figure == pytest.approx(0.1)
    (flow,) = traffic_of(gate(LATENCY, under("0.3")), strata, apart=True).flows.values()
    assert flow.figure is None and "no bucket ends at 0.3 s" in flow.note


def test_the_spread_of_a_mean_is_that_of_one_event() -> None:
    rng = random.Random(5)
    totals = (sum(rng.gauss(0.8, 0.3) for _ in range(50)) for _ in range(400))
    strata = [_tick(number, (0, 0), (50, total)) for number, total in enumerate(totals)]
    (flow,) = traffic_of(gate(SCORE, AgainstStable(max_difference="0.05")), strata, apart=True).flows.values()
    assert flow.figure == pytest.approx(0.8, abs=0.01)
    assert flow.spread == pytest.approx(0.3, rel=0.15)


def test_stable_without_any_bad_event_gives_no_multiple() -> None:
    strata = _ticks(20, (0, 0), (100, 0))
    bare = traffic_of(gate(), strata, apart=True)
    assert bare.flows[ALL].figure is None and "give the gate a floor" in bare.flows[ALL].note
    with_floor = traffic_of(gate(rule=AgainstStable("1.5", None, "0.01")), strata, apart=True)
    assert with_floor.flows[ALL].figure == 0
    assert rough(with_floor) == "stable showed 0 bad events in 1,900"
    assert rough(traffic_of(gate(), _ticks(20, (0, 0), (1000, 10)), apart=True)) == ""


def test_nothing_measured_says_why() -> None:
    assert traffic_of(gate(), [], apart=True).problem == "no traffic was seen"
    assert traffic_of(gate(), [], apart=True, problem="no series matches it").problem == "no series matches it"
    assert traffic_of(gate(VALUE, under("0.3")), [], apart=True).problem == ""


def test_given_rates_scale_the_events_of_every_gate() -> None:
    rare = GateTraffic(gate(), {REST: Flow(5.0, 0.01, counted=100)}, bursts=Bursts(2.0))
    unseen = GateTraffic(gate(name="other"), problem="no series matches it")
    found = rescaled(Measured({REST: 50.0}, (rare, unseen), 15.0), {"low": 40.0, REST: 60.0})
    assert found.requests == {"low": 40.0, REST: 60.0}
    assert found.gates[0].flows[ALL].per_s == 10.0
    assert found.gates[0].bursts == Bursts(2.0)
    assert found.gates[1].flows[ALL].per_s == 100.0


@pytest.mark.parametrize(("burst", "window_s"), [(1.0, 0), (3.0, 60)])
def test_a_known_habit_of_stable_is_reckoned_with(burst: float, window_s: int) -> None:
    """The same releases, judged by somebody who was told how stable's bad events come."""
    phi = 2 * burst - 1
    habit = Habit(window_s, phi)
    of, bursts = gate(rule=AgainstStable("1.5")), Bursts(phi, (phi,) * 3, habit)
    (said,) = first(stage(permille=200), gates=(traffic(of, bursts=bursts),)).gates
    settings = JudgeSettings(0.01, 0.05, 1, window_s=window_s, phi=phi)
    for seconds, worse, until in (
        (said.sees[Worse.FIVE_TIMES].seconds, 5.0, Outcome.REVERT),
        (said.proves.seconds, 1.0, Outcome.PASS),
    ):
        assert seconds is not None
        ticks = round(3 * seconds / 15) + 20
        found = _simulated(
            of, worse=worse, share=0.2, burst=burst, until=until, runs=30, ticks=ticks, settings=settings
        )
        assert sum(each <= seconds for each in found) >= 17
        assert found[15] >= seconds / 3, "the forecast is far too careful"
    told, untold = said.proves.seconds, first(stage(permille=200), gates=(traffic(of),)).gates[0].proves.seconds
    assert told is not None and untold is not None
    assert burst > 1 or told < untold


def test_the_reserve_is_what_the_docs_say() -> None:
    assert RESERVE == 1.5
