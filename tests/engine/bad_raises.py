"""Planted bugs of the engine on the way up: what it forgets to ask, believes, or does in the wrong order."""

from dataclasses import replace
from math import inf
from typing import Any

from modelrelease.domain.decision import CONFIRMED, Decision
from modelrelease.domain.record import RecordKind
from modelrelease.domain.release import Observed, Progress, State
from modelrelease.domain.traffic import Target
from modelrelease.domain.unit import UnitRef
from modelrelease.domain.verdict import Outcome
from modelrelease.engine import checks, first_contact, intents, live, raising, records, train, upkeep
from modelrelease.engine.actions import (
    Action,
    Hold,
    Intention,
    Save,
    SetRoutes,
    Step,
    WriteRecord,
)
from modelrelease.engine.case import Case
from modelrelease.governance import approvals
from modelrelease.governance.approvals import Demand, Subject
from tests.engine.planting import (
    Patch,
    enters,
    first,
    lacking,
    move,
    mutant,
    never,
    on_sight,
    on_step,
    saving,
    without,
    writes_routes,
)
from tests.engine.process import Process


@mutant("S2")
def approvals_are_not_asked_for(patch: Patch) -> None:
    without(patch, checks.approved)


@mutant("S2")
def nobody_is_asked_before_a_first_install(patch: Patch) -> None:
    def consent(case: Case, hold: Hold | None) -> Step | None:
        return Step(case.progress, holds=(hold,)) if hold else None

    patch.setattr(first_contact, "consent", consent)


def _any_approval(patch: Patch, field: str) -> None:
    """An approval counts whatever it says in one field."""

    def fault(decision: Decision, demand: Demand, subject: Subject) -> str | None:
        right = demand.stage if field == "stage" else CONFIRMED if field == "identity" else getattr(subject, field)
        return real(replace(decision, **{field: right}), demand, subject)

    real = approvals.fault
    patch.setattr(approvals, "fault", fault)


@mutant("S2")
def an_approval_of_another_unit_counts(patch: Patch) -> None:
    _any_approval(patch, "digest")


@mutant("S2")
def an_approval_of_another_plan_counts(patch: Patch) -> None:
    _any_approval(patch, "plan_digest")


@mutant("S2")
def an_approval_of_another_stage_counts(patch: Patch) -> None:
    _any_approval(patch, "stage")


@mutant("S2")
def an_approval_of_other_evidence_counts(patch: Patch) -> None:
    _any_approval(patch, "evidence_digest")


@mutant("S2")
def an_approval_of_nobody_knows_whom_counts(patch: Patch) -> None:
    _any_approval(patch, "identity")


@mutant("S2")
def an_approval_counts_again_and_again(patch: Patch) -> None:
    def forget(case: Case, step: Step) -> Step:
        return saving(step, handled=case.progress.handled) if enters(case, step, State.RAISING) else step

    on_step(patch, forget)


@mutant("S2")
def the_greatest_weight_is_stable_when_the_status_was_wiped(patch: Patch) -> None:
    """A weight edited by hand is adopted as truth."""

    def recovered_arms(case: Case) -> tuple[UnitRef | None, UnitRef | None]:
        known = {unit.revision: unit for unit in case.observed.revisions}
        arms = [arm for view in case.observed.routes for rule in view.rules for arm in rule.arms]
        ours = sorted((arm for arm in arms if arm.revision in known), key=lambda arm: -arm.permille)
        units = list(dict.fromkeys(known[str(arm.revision)] for arm in ours))
        return (units[0], units[1] if len(units) > 1 else None) if units else (None, None)

    patch.setattr(first_contact, "recovered_arms", recovered_arms)


@mutant("S3")
def drift_is_restored_upwards(patch: Patch) -> None:
    """In the engine and in the executor: each alone keeps a lowered candidate from rising."""

    def restore(case: Case) -> Step | None:
        step = upkeep.reject_foreign_change(case)
        if step is None or not step.actions or case.progress.state is not State.OBSERVING:
            return step
        target = Target(case.progress.stable, case.progress.candidate, case.progress.exposure)  # type: ignore[arg-type]
        return Step(case.progress, (SetRoutes(target, Intention.LOWER),), drifted=step.drifted)

    move(patch, upkeep.reject_foreign_change, restore)
    patch.setattr(Process, "_at_most", lambda self, read, target: target)


@mutant("S5")
def two_stages_at_once(patch: Patch) -> None:
    real = raising._raise

    def raise_(case: Case) -> Step:
        further = replace(case, progress=replace(case.progress, stage=case.progress.stage + 1))
        return real(further if case.progress.stage >= 0 and further.next_stage else case)

    patch.setattr(raising, "_raise", raise_)


@mutant("S5")
def the_minimum_duration_is_ignored(patch: Patch) -> None:
    without(patch, checks.stayed_long_enough)


@mutant("S5")
def the_minimum_of_samples_is_ignored(patch: Patch) -> None:
    without(patch, checks.enough_samples)


@mutant("S5")
def a_stage_lasts_since_the_rollout_began(patch: Patch) -> None:
    def keep(case: Case, step: Step) -> Step:
        began = step.progress.rollout_since
        return saving(step, stage_since=began) if enters(case, step, State.OBSERVING) else step

    on_step(patch, keep)


@mutant("S5")
def another_process_carries_the_intent_out(patch: Patch) -> None:
    real = intents._may_still_happen

    def may(case: Case, intent: Any, target: Target) -> bool:
        return real(replace(case, observed=replace(case.observed, process=intent.process)), intent, target)

    patch.setattr(intents, "_may_still_happen", may)


@mutant("S5")
def a_raise_that_was_called_void_is_carried_out(patch: Patch) -> None:
    """In the engine and in the executor: what is read live seldom shows a record that the status does not know of."""
    real, read = intents._may_still_happen, live.lets_rise_or_go

    def may(case: Case, intent: Any, target: Target) -> bool:
        return real(replace(case, observed=replace(case.observed, head=case.progress.head)), intent, target)

    def needs(action: Action, lowers: bool) -> bool:
        void = isinstance(action, WriteRecord) and action.record.kind is RecordKind.INTENT_VOID
        return not void and read(action, lowers)

    patch.setattr(intents, "_may_still_happen", may)
    patch.setattr(live, "lets_rise_or_go", needs)


@mutant("S5")
def an_intent_never_grows_old(patch: Patch) -> None:
    real = intents._may_still_happen

    def may(case: Case, intent: Any, target: Target) -> bool:
        return real(case, replace(intent, decided_at=case.now), target)

    patch.setattr(intents, "_may_still_happen", may)


@mutant("S5")
def a_unit_is_called_stable_before_its_last_stage(patch: Patch) -> None:
    def advance(case: Case) -> Step | None:
        step = raising.advance(case)
        return raising._complete(case) if step and writes_routes(step) else step

    move(patch, raising.advance, advance)


@mutant("S6")
def a_raise_without_a_record(patch: Patch) -> None:
    on_step(patch, lambda case, step: lacking(step, WriteRecord) if enters(case, step, State.RAISING) else step)


@mutant("S6")
def the_record_of_a_raise_comes_after_it(patch: Patch) -> None:
    on_step(patch, lambda case, step: first(step, SetRoutes) if enters(case, step, State.RAISING) else step)


@mutant("S6")
def a_record_leaves_out_what_the_gates_said(patch: Patch) -> None:
    patch.setattr(records, "verdict_body", lambda verdicts: [])


@mutant("S7")
def evidence_that_is_missing_passes(patch: Patch) -> None:
    without(patch, checks.evidence_is_there)


@mutant("S7")
def nan_passes(patch: Patch) -> None:
    def see(observed: Observed) -> Observed:
        good = tuple(
            replace(said, outcome=Outcome.PASS, cause=None, newest=said.at) if said.outcome is Outcome.NO_DATA else said
            for said in observed.verdicts
        )
        return replace(observed, verdicts=good)

    on_sight(patch, see)


@mutant("S7")
def an_old_sample_passes(patch: Patch) -> None:
    patch.setattr(checks, "current", lambda case, moment: True)


@mutant("S7")
def nobody_asks_whether_the_source_answers(patch: Patch) -> None:
    without(patch, checks.source_answers)


@mutant("S7")
def proof_is_not_asked_for(patch: Patch) -> None:
    without(patch, checks.proven_if_required)


@mutant("S7")
def nobody_looks_at_the_realised_split(patch: Patch) -> None:
    without(patch, checks.split_is_real)


@mutant("S8")
def a_foreign_change_is_not_looked_at(patch: Patch) -> None:
    move(patch, upkeep.reject_foreign_change, never)


@mutant("S8")
def two_releases_steer_one_route(patch: Patch) -> None:
    without(patch, checks.route_is_ours)


@mutant("S11")
def a_candidate_without_endpoints_is_raised(patch: Patch) -> None:
    without(patch, checks.candidate_is_ready)


@mutant("S11")
def nobody_asks_whether_stable_could_take_it_back(patch: Patch) -> None:
    without(patch, checks.stable_can_take_it_back)


@mutant("S13")
def an_edit_is_not_followed(patch: Patch) -> None:
    move(patch, raising.follow_spec, never)


@mutant("S13")
def another_unit_keeps_the_stage(patch: Patch) -> None:
    def keep(case: Case, step: Step) -> Step:
        kinds = [action.record.kind for action in step.actions if isinstance(action, WriteRecord)]
        over = RecordKind.SUPERSEDED in kinds and step.progress.state is State.PREPARING and not step.drifted
        return saving(step, stage=min(case.progress.stage, len(step.progress.plan.stages) - 2)) if over else step  # type: ignore[union-attr]

    on_step(patch, keep)


@mutant("S13")
def any_edit_of_the_plan_is_only_tighter(patch: Patch) -> None:
    patch.setattr(raising, "only_tighter", lambda new, old, now: True)


@mutant("L1")
def a_raise_is_never_confirmed(patch: Patch) -> None:
    move(patch, intents.confirm, never)


@mutant("L1")
def the_status_is_written_at_each_look(patch: Patch) -> None:
    def write(case: Case, step: Step) -> Step:
        return step if step.actions or writes_routes(step) else replace(step, actions=(Save(step.progress),))

    on_step(patch, write)


@mutant("L1")
def a_spoilt_split_holds_for_ever(patch: Patch) -> None:
    """Beginning a stage anew after a held change, and counting anew, are two layers: each alone ends the hold."""

    def wait(progress: Progress, hold: Hold, drifted: str | None = None) -> Step:
        return Step(progress, holds=(hold,), drifted=drifted)

    patch.setattr(upkeep, "_interrupted", wait)
    patch.setattr(raising, "RECOUNT_S", inf)
    patch.setattr(raising, "RECOUNT_S", float("inf"))


@mutant("L2")
def each_stage_lasts_five_minutes_more(patch: Patch) -> None:
    def stayed(case: Case) -> Hold | None:
        stage = case.stage
        short = stage and case.since(case.progress.stage_since) < stage.min_duration_s + 300
        return Hold("MinimumDuration", "five minutes more") if short else None

    for name in ("BETWEEN", "TO_COMPLETE"):
        chain_ = tuple(stayed if check is checks.stayed_long_enough else check for check in getattr(raising, name))
        patch.setattr(raising, name, chain_)


@mutant("L3")
def a_new_process_writes_what_it_finds(patch: Patch) -> None:
    known: set[str] = set()

    def greet(case: Case, step: Step) -> Step:
        new = case.observed.process not in known and not step.actions
        known.add(case.observed.process)
        return replace(step, actions=(Save(step.progress),)) if new else step

    on_step(patch, greet)


@mutant("R6")
def the_release_train_is_not_waited_for(patch: Patch) -> None:
    without(patch, checks.within_train)


@mutant("R6")
def an_override_never_expires(patch: Patch) -> None:
    patch.setattr(train, "_in_time", lambda decision, now: True)


@mutant("R6")
def an_override_is_recorded_nowhere(patch: Patch) -> None:
    patch.setattr(raising, "train_body", lambda case: {})


@mutant("R17")
def a_pause_is_not_heard(patch: Patch) -> None:
    without(patch, checks.not_paused)


@mutant("R2")
def an_image_that_moved_goes_on(patch: Patch) -> None:
    without(patch, checks.images_are_intact)


@mutant("R2")
def pods_that_cannot_be_read_run_what_they_should(patch: Patch) -> None:
    def see(observed: Observed) -> Observed:
        return replace(observed, images=tuple(replace(seen, unread="") for seen in observed.images))

    on_sight(patch, see)


@mutant("R2")
def a_unit_that_was_edited_in_place_goes_on(patch: Patch) -> None:
    without(patch, checks.unit_is_intact)
