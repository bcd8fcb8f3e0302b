"""Ignorance never advances: it holds first, and longer than the plan bears it reverts, each cause in its own way."""

from dataclasses import replace

import pytest

from modelrelease.domain.gate import Scope
from modelrelease.domain.plan import Limits
from modelrelease.domain.release import State
from modelrelease.domain.verdict import Outcome
from tests.engine.builders import (
    SEGMENT,
    as_progress,
    at,
    gen_gate,
    gen_plan,
    gen_progress,
    gen_release,
    gen_verdict,
)
from tests.engine.steps import decide, raises, reasons, saved

PLAN = gen_plan(limits=Limits(missing_s=120, broken_s=60))
RELEASE = gen_release(plan=PLAN)


def silent(progress, seconds, verdict):
    """The step at a time, with one verdict that is as new as the step."""
    fresh = replace(verdict, at=at(seconds))
    return decide(progress, as_progress(progress), release=RELEASE, now=at(seconds), verdicts=(fresh,))


@pytest.mark.parametrize(("cause", "limit"), [("Missing", 120), ("Broken", 60)])
def test_missing_and_broken_evidence_holds_and_reverts_after_its_limit(cause, limit):
    verdict = gen_verdict(cause=cause)
    first = silent(gen_progress(plan=PLAN), 0, verdict)
    assert first.actions == () and reasons(first) == [f"Evidence{cause}"]
    assert first.progress.no_data_since == (("errors", at(0)),)
    assert silent(first.progress, limit - 1, verdict).actions == ()
    step = silent(first.progress, limit, verdict)
    assert saved(step).state is State.REVERTING and saved(step).stop.reason == f"Evidence{cause}"


@pytest.mark.parametrize("cause", ["SourceDown", "InsufficientTraffic"])
def test_a_source_that_is_down_and_too_little_traffic_hold_for_as_long_as_it_takes(cause):
    progress = gen_progress(plan=PLAN)
    for seconds in (0, 120, 86_400, 30 * 86_400):
        step = silent(progress, seconds, gen_verdict(cause=cause))
        assert step.actions == () and reasons(step) == [f"Evidence{cause}"]
        progress = step.progress


def test_no_data_without_a_cause_counts_as_broken():
    progress = silent(gen_progress(plan=PLAN), 0, gen_verdict(Outcome.NO_DATA)).progress
    assert saved(silent(progress, 60, gen_verdict(Outcome.NO_DATA))).stop.reason == "EvidenceBroken"


def test_one_good_look_forgets_the_silence():
    missing = gen_verdict(cause="Missing")
    progress = silent(gen_progress(plan=PLAN, entered=0), 0, missing).progress
    good = decide(progress, release=RELEASE, now=at(50), verdicts=(gen_verdict(when=at(50)),))
    assert good.progress.no_data_since == ()
    assert silent(good.progress, 130, missing).actions == ()


def test_a_look_without_any_verdict_neither_forgets_nor_counts():
    progress = silent(gen_progress(plan=PLAN), 0, gen_verdict(cause="Missing")).progress
    between = decide(progress, release=RELEASE, now=at(60), verdicts=())
    assert between.progress.no_data_since == progress.no_data_since and between.actions == ()


def test_a_short_outage_in_a_long_stage_does_not_add_up():
    """Seen elsewhere: failures are counted over the whole run, so that long rollouts die of noise."""
    progress = gen_progress(plan=PLAN, entered=0)
    stage = replace(PLAN.stages[0], min_duration_s=10**6)
    plan = replace(PLAN, stages=(stage, *PLAN.stages[1:]))
    progress, release = replace(progress, plan=plan), gen_release(plan=plan)
    for minute in range(0, 600, 2):
        for cause in ("Missing", None):
            now = at(60 * (minute + (cause is None)))
            verdict = gen_verdict(when=now, **({"cause": cause} if cause else {}))
            step = decide(progress, release=release, now=now, verdicts=(verdict,))
            assert step.actions == ()
            progress = step.progress


def test_each_gate_has_its_own_clock():
    plan = gen_plan(gates=(gen_gate(), gen_gate("cost")), limits=PLAN.limits)
    progress, release = gen_progress(plan=plan), gen_release(plan=plan)
    for seconds, causes in ((0, ("Missing", None)), (100, (None, "Missing")), (200, ("Missing", "Missing"))):
        verdicts = tuple(
            gen_verdict(gate=gate, when=at(seconds), **({"cause": cause} if cause else {}))
            for gate, cause in zip(("errors", "cost"), causes, strict=True)
        )
        step = decide(progress, as_progress(progress), release=release, now=at(seconds), verdicts=verdicts)
        assert step.actions == ()
        progress = step.progress
    assert dict(progress.no_data_since) == {"errors": at(200), "cost": at(100)}


def test_a_segment_without_a_share_may_be_silent():
    plan = gen_plan(gates=(gen_gate(scope=Scope.SEGMENT),))
    progress = gen_progress(plan=plan)
    for seconds in (0, 500):
        verdicts = (
            gen_verdict(when=at(seconds), segment=SEGMENT),
            gen_verdict(when=at(seconds), segment="*", cause="Missing"),
        )
        held = decide(progress, release=gen_release(plan=plan), now=at(seconds), verdicts=verdicts)
        assert held.progress.state is not State.REVERTING and held.progress.no_data_since == ()


def test_at_100_percent_a_comparison_with_a_stable_without_traffic_may_be_silent():
    progress = gen_progress(stage=3, plan=PLAN, paused_by="uid-pause-1")
    silence = gen_verdict(gate="slow", cause="Missing", comparative=True)
    for seconds in (0, 500):
        now = at(seconds)
        verdicts = (gen_verdict(when=now), replace(silence, at=now))
        step = decide(progress, as_progress(progress), release=RELEASE, now=now, verdicts=verdicts)
        assert reasons(step) == ["Paused"]
        progress = step.progress


def test_too_little_traffic_waits_and_then_goes_on():
    few = gen_verdict(cause="InsufficientTraffic")
    assert silent(gen_progress(plan=PLAN), 0, few).actions == ()
    assert raises(decide(gen_progress(plan=PLAN), release=RELEASE))


def test_silence_counts_only_in_a_stage():
    for state in (State.PREPARING, State.RAISING):
        progress = gen_progress(state, plan=PLAN, **({"stage": 1} if state is State.RAISING else {}))
        step = decide(progress, release=RELEASE, verdicts=(gen_verdict(cause="Missing"),))
        assert step.progress.no_data_since == ()
