"""Planted bugs of the engine on the way down: reverts that wait, marks and stops that are forgotten."""

from dataclasses import replace

from modelrelease.domain.release import State
from modelrelease.engine import checks, first_contact, intents, lowering, raising, stops
from modelrelease.engine.actions import (
    Emit,
    RemoveFinalizer,
    Save,
    SetRoutes,
    Step,
)
from modelrelease.engine.case import Case
from tests.engine.planting import (
    Patch,
    enters,
    first,
    lacking,
    move,
    mutant,
    on_step,
)


@mutant("S3")
def the_mark_on_a_route_is_not_believed(patch: Patch) -> None:
    """A revert whose status was lost is drift then, and drift starts over."""
    for name in ("IN_STAGES", "IN_WATCH"):
        kept = tuple(check for check in getattr(lowering, name) if check is not stops.marked_on_route)
        patch.setattr(lowering, name, kept)


@mutant("S4")
def a_pause_delays_a_revert(patch: Patch) -> None:
    move(patch, lowering.stop, lambda case: None if case.progress.paused_by else lowering.stop(case))


@mutant("S4")
def a_broken_spec_delays_a_revert(patch: Patch) -> None:
    move(patch, lowering.stop, lambda case: None if case.release.faults else lowering.stop(case))


@mutant("S4")
def nobody_watches_a_candidate_whose_pods_are_unready(patch: Patch) -> None:
    def stop(case: Case) -> Step | None:
        candidate = case.progress.candidate
        return None if candidate and case.ready(candidate) == 0 else lowering.stop(case)

    move(patch, lowering.stop, stop)


@mutant("S4")
def a_revert_waits_for_the_gateway(patch: Patch) -> None:
    move(patch, lowering.stop, lambda case: lowering.stop(case) if not checks.route_is_accepted(case) else None)


@mutant("S4")
def nobody_looks_at_the_gates_of_the_watch(patch: Patch) -> None:
    patch.setattr(lowering, "IN_WATCH", (stops.aborted, stops.marked_on_route))


@mutant("S6")
def people_are_told_before_the_revert(patch: Patch) -> None:
    on_step(patch, lambda case, step: first(step, Emit) if enters(case, step, State.REVERTING) else step)


@mutant("S6")
def the_status_is_written_before_the_revert(patch: Patch) -> None:
    on_step(patch, lambda case, step: first(step, Save) if enters(case, step, State.REVERTING) else step)


@mutant("S6")
def a_revert_is_recorded_before_it_is_done(patch: Patch) -> None:
    def finish(case: Case) -> Step | None:
        stop = case.progress.stop
        done = case.progress.state is State.REVERTING and stop is not None
        return lowering._stopped(case, case.progress, stop) if done and stop else None

    move(patch, lowering.finish_revert, finish)


@mutant("S11")
def a_revert_goes_to_a_stable_without_endpoints(patch: Patch) -> None:
    patch.setattr(lowering, "refuge", lambda case, stable, candidate: stable)


@mutant("S11")
def the_safe_backend_is_forgotten(patch: Patch) -> None:
    patch.setattr(lowering, "safe_unit", lambda case: None)


@mutant("S11")
def what_is_no_revert_takes_the_candidate_back_to_nobody(patch: Patch) -> None:
    """An edit, or a raise that is void."""
    for module in (raising, intents):
        patch.setattr(module, "nobody_to_take_it", lambda case: None)


@mutant("S12")
def the_object_goes_while_the_candidate_has_a_share(patch: Patch) -> None:
    def keep(case: Case, step: Step) -> Step:
        return lacking(step, SetRoutes) if step.progress.state is State.DELETED else step

    on_step(patch, keep)


@mutant("S12")
def the_finalizer_goes_first(patch: Patch) -> None:
    on_step(patch, lambda case, step: first(step, RemoveFinalizer))


@mutant("S14")
def a_stopped_unit_needs_no_retry(patch: Patch) -> None:
    move(patch, raising.start, lambda case: raising.start(replace(case, progress=replace(case.progress, stopped=()))))


@mutant("S14")
def a_wiped_status_forgets_who_was_stopped(patch: Patch) -> None:
    patch.setattr(first_contact, "stopped_digests", lambda case: ())


@mutant("S14")
def a_retry_said_before_the_stop_counts(patch: Patch) -> None:
    patch.setattr(lowering, "used_decisions", lambda case, unit: ())


@mutant("L4")
def deletion_waits_for_prometheus(patch: Patch) -> None:
    def delete(case: Case) -> Step | None:
        step = lowering.delete(case)
        return Step(case.progress) if step and not case.observed.verdicts else step

    move(patch, lowering.delete, delete)


@mutant("L4")
def the_finalizer_is_forgotten(patch: Patch) -> None:
    on_step(patch, lambda case, step: lacking(step, RemoveFinalizer))
