"""Gates over arrays of windows: when would each have stopped, how often wrongly, how soon rightly. Pure.

What is replayed is one release after the other on a fixed timetable. Each test starts with its release; after a stop it
starts anew and goes on to the release's end, so that one bad hour does not hide the next. A stop outside the incidents
that the user names is a false alarm. Evidence never passes from one release to the next, as it does not in production.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from modelrelease.backtest.parsing import Grid
from modelrelease.backtest.twin import Windows, breaches, first_crossing, log_revert, state
from modelrelease.backtest.twin.windows import COUNTS, Bools, Floats, Ints
from modelrelease.domain.gate import Gate
from modelrelease.domain.verdict import Outcome
from modelrelease.gates.judge import machine_of
from modelrelease.gates.machine import Bars
from modelrelease.gates.value import BREACHES, Sample, ValueMachine

WEEK_S = 7 * 86400.0

FIRST_REACH, AGAIN_REACH = 1024, 64
"""Steps after its start at which a test is first looked at, and one that starts again after a stop; four times as many
each time it has not stopped."""

MOST_STOPS = 500
"""Stops of one gate in one release after which the rest of that release is not replayed."""

TOLD = 20
"""So many stops of a gate get their sentence, besides the first one of each incident."""


@dataclass(frozen=True, slots=True)
class Incident:
    """A time in which the candidate was bad: stops in it are right, and there should be one."""

    from_s: float
    to_s: float


@dataclass(frozen=True, slots=True)
class Timetable:
    """The windows' grid, how many of its steps a release takes, and the incidents."""

    grid: Grid
    release_steps: int
    incidents: tuple[Incident, ...] = ()

    def starts(self) -> Ints:
        """The first step of each release; the last one may be cut short."""
        return np.arange(0, self.grid.count, self.release_steps)

    def within(self, incident: Incident) -> Bools:
        """The steps whose windows end in an incident."""
        times = self.grid.times()
        return (times > incident.from_s) & (times <= incident.to_s)

    def disturbed(self) -> Bools:
        """The steps of any incident."""
        found = np.zeros(self.grid.count, bool)
        for incident in self.incidents:
            found |= self.within(incident)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """One line of judgement: a gate over all traffic, or in one segment.

    `windows`: one row of K columns, `lanes` of them (one per segment) for each step of the grid. A value gate has
    `samples` and their times instead. `covered`: the steps at which there was anything to judge. `window_s`, `phi`:
    stable's habit before each release, shape (R,); None: unknown in all.
    """

    gate: Gate
    covered: Bools
    segment: str | None = None
    windows: Windows | None = None
    lanes: int = 1
    samples: Floats | None = None
    taken_s: Floats | None = None
    window_s: Floats | None = None
    phi: Floats | None = None
    notes: tuple[str, ...] = ()
    problem: str = ""

    def habit(self, release: int) -> tuple[float, float | None]:
        """Window length in seconds and φ (None: unknown) of one release."""
        if self.window_s is None or self.phi is None or np.isnan(self.phi[release]):
            return (0.0 if self.window_s is None else float(self.window_s[release])), None
        return float(self.window_s[release]), float(self.phi[release])


@dataclass(frozen=True, slots=True)
class Stop:
    """The gate would have stopped the release at `at_s`, `after_s` after its test began; `said`: why, if told."""

    at_s: float
    after_s: float
    incident: int | None = None
    said: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """Of one incident and gate: the first stop in it, after how long, or that there was nothing to judge."""

    incident: Incident
    stop: Stop | None = None
    delay_s: float | None = None
    judged: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What one track would have done.

    `evidence`: log E after each step (NaN: nothing to judge), to be seen against `threshold`. `judged_s`: time with
    windows, outside incidents. `cut`: releases in which stops were no longer counted.
    """

    track: Track
    threshold: float
    stops: tuple[Stop, ...] = ()
    incidents: tuple[Found, ...] = ()
    judged_s: float = 0.0
    evidence: Floats = field(default_factory=lambda: np.zeros(0))
    cut: int = 0

    @property
    def false_alarms(self) -> tuple[Stop, ...]:
        """Stops outside incidents."""
        return tuple(stop for stop in self.stops if stop.incident is None)

    @property
    def per_week(self) -> float | None:
        """False alarms per week of judged time; None when nothing was judged."""
        return len(self.false_alarms) * WEEK_S / self.judged_s if self.judged_s else None


@dataclass(frozen=True, slots=True)
class Releases:
    """All gates together: releases that no incident touches, and how many of them some gate would have stopped."""

    count: int
    stopped: int


def replay(track: Track, timetable: Timetable, bars: Bars) -> Result:
    """Judge one track release by release."""
    grid = timetable.grid
    threshold = bars.log_revert
    if track.problem:
        nothing = np.full(grid.count, np.nan)
        judged = tuple(Found(incident, judged=False) for incident in timetable.incidents)
        return Result(track, threshold, incidents=judged, evidence=nothing)
    starts, stops, evidence, cut = _tests(track, timetable, threshold)
    incident_at = np.full(grid.count, -1)
    for number, incident in enumerate(timetable.incidents):
        incident_at[timetable.within(incident) & (incident_at < 0)] = number
    times = grid.times()
    listed: list[Stop] = []
    told: set[int] = set()
    alarmed: set[int] = set()
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        number = int(incident_at[stop])
        release = start // timetable.release_steps
        first = number < 0 and release not in alarmed and len(alarmed) < TOLD
        tell = len(listed) < TOLD or (number >= 0 and number not in told) or first
        told |= {number}
        alarmed |= {release} if number < 0 else set()
        listed.append(
            Stop(
                float(times[stop]),
                (stop - start + 1) * grid.step_s,
                number if number >= 0 else None,
                sentence(track, start, stop, bars, release=release) if tell else "",
            )
        )
    calm = track.covered & ~timetable.disturbed()
    return Result(
        track,
        threshold,
        tuple(listed),
        tuple(_found(incident, listed, timetable, track) for incident in timetable.incidents),
        float(calm.sum()) * grid.step_s,
        np.where(track.covered, evidence, np.nan),
        cut,
    )


def releases(results: Sequence[Result], timetable: Timetable) -> Releases:
    """How many undisturbed releases some gate would have stopped, of those in which anything was judged."""
    starts, count = timetable.starts(), timetable.grid.count
    covered = np.zeros(count, bool)
    for result in results:
        covered |= result.track.covered
    calm = ~np.logical_or.reduceat(timetable.disturbed(), starts) & np.logical_or.reduceat(covered, starts)
    stopped = np.zeros(len(starts), bool)
    for result in results:
        for stop in result.stops:
            step = round((stop.at_s - timetable.grid.start_s) / timetable.grid.step_s)
            stopped[step // timetable.release_steps] = True
    return Releases(int(calm.sum()), int((calm & stopped).sum()))


def sentence(track: Track, start: int, stop: int, bars: Bars, *, release: int) -> str:
    """What the gate would have said about the test that began at step `start` and stopped at `stop`, in `release`."""
    machine = machine_of(track.gate)
    place = f" in {track.segment}" if track.segment else ""
    if isinstance(machine, ValueMachine):
        assert track.samples is not None
        sample = Sample(float(track.samples[stop]), breaches=BREACHES)
        return f"{track.gate.name}{place}: {machine.sentence(sample, Outcome.REVERT, bars)}"
    assert track.windows is not None
    columns = slice(start * track.lanes, (stop + 1) * track.lanes)
    window_s, phi = track.habit(release)
    chosen = _columns(track.windows, np.arange(columns.start, columns.stop)[None, :])
    judged = state(track.gate, chosen, window_s=window_s, phi=phi)
    return f"{track.gate.name}{place}: {machine.sentence(judged, Outcome.REVERT, bars)}"


def _found(incident: Incident, stops: Sequence[Stop], timetable: Timetable, track: Track) -> Found:
    inside = timetable.within(incident)
    first = next((stop for stop in stops if incident.from_s < stop.at_s <= incident.to_s), None)
    delay_s = None if first is None else first.at_s - incident.from_s
    return Found(incident, first, delay_s, bool((track.covered & inside).any()))


def _tests(track: Track, timetable: Timetable, threshold: float) -> tuple[Ints, Ints, Floats, int]:
    """Start and stop of each test that stops, the evidence after each step, and how many releases were cut short.

    All tests that are as far as each other are judged in one go. A test that has not stopped within its reach is judged
    again from its start over four times as many windows: at most a third more work, and a test that stops soon does not
    cost a whole release.
    """
    judge, count = _judge_of(track, timetable.release_steps), timetable.grid.count
    evidence = np.full(count, np.nan)
    first = timetable.starts()
    last = np.minimum(first + timetable.release_steps, count)
    reach = np.full(len(first), FIRST_REACH)
    number = np.zeros(len(first), np.int64)
    found: list[tuple[int, int]] = []
    cut = 0
    while len(first):
        length = np.minimum(reach, last - first)
        log_e = judge(first, length)
        at = first_crossing(log_e, threshold)
        stopped = at < length
        rows, columns = np.nonzero(np.arange(log_e.shape[1]) < np.where(stopped, at + 1, length)[:, None])
        evidence[first[rows] + columns] = log_e[rows, columns]
        found += zip(first[stopped].tolist(), (first + at)[stopped].tolist(), strict=True)
        first = np.where(stopped, first + at + 1, first)
        number = number + stopped
        cut += int((stopped & (number >= MOST_STOPS)).sum())
        reach = np.where(stopped, AGAIN_REACH, reach * 4)
        more = np.where(stopped, (first < last) & (number < MOST_STOPS), length < last - first)
        first, last, reach, number = first[more], last[more], reach[more], number[more]
    found.sort(key=lambda pair: pair[1])
    pairs = np.array(found, np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1], evidence, cut


def _judge_of(track: Track, release_steps: int) -> Callable[[Ints, Ints], Floats]:
    """Log E of tests that begin at some steps and take so many, shape (tests, longest); rest after each one's end."""
    lanes, gate = track.lanes, track.gate

    def by_windows(first: Ints, length: Ints) -> Floats:
        assert track.windows is not None
        wide = int(length.max()) * lanes
        columns = first[:, None] * lanes + np.arange(wide)
        inside = np.arange(wide) < length[:, None] * lanes
        windows = _columns(track.windows, np.where(inside, columns, 0)).where(inside)
        if track.windows.segment is not None:
            windows = replace(windows, segment=np.tile(np.arange(lanes), wide // lanes))
        release = first // release_steps
        window_s = 0.0 if track.window_s is None else track.window_s[release]
        phi = None if track.phi is None else track.phi[release]
        log_e = log_revert(gate, windows, window_s=window_s, phi=phi)
        return log_e.reshape(len(first), -1, lanes).max(axis=2)

    def by_samples(first: Ints, length: Ints) -> Floats:
        assert track.samples is not None and track.taken_s is not None
        machine = machine_of(gate)
        assert isinstance(machine, ValueMachine)
        columns = first[:, None] + np.arange(int(length.max()))
        inside = np.arange(columns.shape[1]) < length[:, None]
        columns = np.where(inside, columns, 0)
        samples = np.where(inside, track.samples[columns], np.nan)
        in_a_row = breaches(machine, samples, track.taken_s[columns])
        return np.where(in_a_row >= BREACHES, np.inf, np.where(in_a_row > 0, 0.0, -np.inf))

    return by_windows if track.windows is not None else by_samples


def _columns(windows: Windows, columns: Ints) -> Windows:
    """Chosen columns of the one row, row by row: shape (R, K)."""
    chosen = windows.changed((*COUNTS, "start_s", "end_s"), lambda values: values[0][columns])
    return chosen if windows.segment is None else replace(chosen, segment=windows.segment[columns[0]])
