"""`spec.train`, or a tier's section of the same shape, to a Train: zones that exist, cron starts that come."""

from collections.abc import Iterator
from datetime import UTC, datetime

from pydantic import ValidationError

from modelrelease.api.faults import fault, faults_of
from modelrelease.api.quantities import seconds_of, time_of
from modelrelease.api.release_train import FreezeSpec, TrainSpec, WindowSpec
from modelrelease.domain.release import Fault
from modelrelease.domain.train import EVERY_DAY, Cron, Freeze, Schedule, Train, Weekly, Window
from modelrelease.governance.windows import WindowError, check

LONGEST_S = 168 * 3600

_LOOKED_FROM = datetime(2026, 1, 1, tzinfo=UTC)
"""Whether a cron expression ever starts is asked from a fixed day on, so that the answer is no matter of the clock."""


def train_of(section: object, path: str = "spec.train", origin: str = "") -> Train | tuple[Fault, ...]:
    """The train that a section describes, or what is wrong with it. `origin` is what messages call it."""
    if section is None:
        return Train()
    try:
        spec = TrainSpec.model_validate(section)
    except ValidationError as error:
        return faults_of(error, path)
    faults: list[Fault] = []
    windows = []
    for number, given in enumerate(spec.windows or ()):
        place = f"{path}.windows[{number}]"
        wrong = tuple(_window_faults(given, place))
        faults += wrong
        if not wrong:
            windows.append(_window(given))
    for number, each in enumerate(spec.freezes or ()):
        faults += _freeze_faults(each, f"{path}.freezes[{number}]")
    if faults:
        return tuple(faults)
    named = origin or path
    freezes = tuple(
        Freeze(_utc(each.from_), _utc(each.until), each.reason, each.name or "", named) for each in spec.freezes or ()
    )
    return Train((Schedule(tuple(windows), named),) if windows else (), freezes)


def _window(spec: WindowSpec) -> Window:
    if spec.cron is not None:
        return Cron(" ".join(spec.cron.split()), seconds_of(spec.duration or "0s"), spec.time_zone)
    days = tuple(day for day in EVERY_DAY if spec.days is None or day in spec.days)
    return Weekly(spec.time_zone, days, _minute(spec.from_ or "00:00"), _minute(spec.to or "24:00"))


def _window_faults(spec: WindowSpec, path: str) -> Iterator[Fault]:
    """What the API server's rules say about a window, for objects that they did not check, and what they cannot see."""
    by_day = bool(spec.days or spec.from_ or spec.to)
    if (spec.cron is not None) == by_day:
        yield fault(path, "write either days with from and to, or cron with duration: one of the two")
    elif (spec.cron is None) != (spec.duration is None):
        yield fault(f"{path}.duration", "cron and duration belong together: write both, or neither")
    elif spec.from_ is not None and spec.from_ in (spec.to, "24:00"):
        yield fault(f"{path}.from", "from must be a time before midnight that differs from to; write another")
    elif spec.duration is not None and not 60 <= seconds_of(spec.duration) <= LONGEST_S:
        yield fault(f"{path}.duration", "a window is open for 1m to 168h; write a duration in that range")
    else:
        try:
            check(_window(spec), _LOOKED_FROM)
        except WindowError as error:
            yield fault(path, str(error))


def _freeze_faults(spec: FreezeSpec, path: str) -> Iterator[Fault]:
    for field, text in (("from", spec.from_), ("until", spec.until)):
        try:
            time_of(text)
        except ValueError as error:
            yield fault(f"{path}.{field}", str(error))
            return
    if time_of(spec.from_) >= time_of(spec.until):
        yield fault(f"{path}.until", "until is not after from: swap or correct them")


def _minute(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)


def _utc(text: str) -> str:
    """One spelling per time, because the plan's digest is taken over it."""
    return time_of(text).isoformat(timespec="seconds").replace("+00:00", "Z")
