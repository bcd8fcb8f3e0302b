"""Planted bugs of the executor and of what it relies on: conditions, marks, frames, records, caches."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from modelrelease.domain.record import Record, RecordKind, record_name
from modelrelease.domain.traffic import Target
from modelrelease.engine import live
from modelrelease.engine.actions import Action, Intention, RemoveFinalizer, WriteRecord
from tests.engine import process
from tests.engine.builders import NAME
from tests.engine.log import Content, RecordWrite
from tests.engine.planting import Patch, mutant
from tests.engine.process import LOWER_TRIES, Process
from tests.engine.store import ApiError, Conflict, Store


def _contents(patch: Patch, change: Callable[[Content], Content]) -> None:
    real = process.content_of
    patch.setattr(process, "content_of", lambda target, segments: change(real(target, segments)))


@mutant("S1")
def weights_are_left_to_their_default(patch: Patch) -> None:
    _contents(patch, lambda content: replace(content, explicit=False))


@mutant("S1")
def a_weight_of_zero_is_dropped_and_means_one(patch: Patch) -> None:
    def dropped(content: Content) -> Content:
        return Content(
            tuple(
                (segment, tuple(replace(arm, permille=arm.permille or 1) for arm in arms))
                for segment, arms in content.rules
            )
        )

    _contents(patch, dropped)


@mutant("S3")
def a_revert_leaves_no_mark(patch: Patch) -> None:
    real = Process.lower
    patch.setattr(Process, "lower", lambda self, name, target: real(self, name, replace(target, stopped=None)))


@mutant("S4")
def only_the_first_route_is_lowered(patch: Patch) -> None:
    patch.setattr(Process, "_lower_all", lambda self, target: self.lower(self.world.route_names[0], target))


@mutant("S8")
def nobody_checks_the_lease(patch: Patch) -> None:
    patch.setattr(Store, "fence", lambda self, actor: None)


@mutant("S9")
def a_raise_is_not_conditioned(patch: Patch) -> None:
    real = Process.write_raise
    patch.setattr(
        Process,
        "write_raise",
        lambda self, name, wanted, target, intention, version: real(self, name, wanted, target, intention, None),
    )


@mutant("S9")
def a_raise_is_conditioned_on_what_is_there_by_then(patch: Patch) -> None:
    def write_raise(
        self: Process, name: str, wanted: Content, target: Target, intention: Intention, version: int
    ) -> None:
        def send() -> int:
            now = self.store.routes[name].version if name in self.store.routes else 0
            return self.store.write_route(self.name, name, wanted, target, intention=intention, version=now)

        self.call("route", send)

    patch.setattr(Process, "write_raise", write_raise)


@mutant("S10")
def the_whole_route_is_written_as_it_was_read(patch: Patch) -> None:
    def lower(self: Process, name: str, target: Target) -> None:
        route = self.store.routes.get(name)
        if route is None:
            return
        wanted = process.content_of(self._at_most(route.content, target), self.store.segments)
        write = partial(self.store.write_route, self.name, name, wanted, target, others=route.others)
        self.call("route", partial(write, intention=Intention.LOWER, version=None))

    patch.setattr(Process, "lower", lower)


@mutant("S13")
def a_raise_is_decided_on_the_cache(patch: Patch) -> None:
    """The resourceVersion of the route guards the route; it says nothing of an edited spec."""
    patch.setattr(live, "lets_rise_or_go", lambda action, lowers: False)


@mutant("S12")
def the_object_goes_by_the_cache(patch: Patch) -> None:
    """An old picture of the routes does not show the share that a candidate has by now."""
    real = live.lets_rise_or_go

    def needs(action: Action, lowers: bool) -> bool:
        return not isinstance(action, RemoveFinalizer) and real(action, lowers)

    patch.setattr(live, "lets_rise_or_go", needs)


@mutant("S6")
def a_raise_is_called_void_by_the_cache(patch: Patch) -> None:
    """It may have been carried out: its answer was lost, and the watch does not show it."""
    real = live.lets_rise_or_go

    def needs(action: Action, lowers: bool) -> bool:
        return not _says_void(action) and real(action, lowers)

    patch.setattr(live, "lets_rise_or_go", needs)


def _says_void(action: Action) -> bool:
    return isinstance(action, WriteRecord) and action.record.kind is RecordKind.INTENT_VOID


@mutant("S15")
def a_record_is_written_over_another(patch: Patch) -> None:
    def create(self: Store, actor: str, record: Record) -> None:
        self.records[record_name(NAME, record.sequence)] = record
        self.log.append(RecordWrite(self.now, actor, record))

    patch.setattr(Store, "create_record", create)


@mutant("S15")
def a_record_takes_the_next_free_number(patch: Patch) -> None:
    """The chain forks: two records follow the same one."""
    real = Store.create_record

    def create(self: Store, actor: str, record: Record) -> None:
        while self.records.get(record_name(NAME, record.sequence), record) != record:
            record = replace(record, sequence=record.sequence + 1)
        real(self, actor, record)

    patch.setattr(Store, "create_record", create)


@mutant("L5")
def a_revert_is_conditioned_on_the_version(patch: Patch) -> None:
    def lower(self: Process, name: str, target: Target) -> None:
        for _ in range(LOWER_TRIES):
            route = self.store.routes.get(name)
            if route is None:
                return
            wanted = process.content_of(self._at_most(route.content, target), self.store.segments)
            write = partial(self.store.write_route, self.name, name, wanted, target, version=route.version)
            try:
                self.call("route", partial(write, intention=Intention.LOWER))
                return
            except Conflict:
                continue
        raise ApiError("contended")

    patch.setattr(Process, "lower", lower)
