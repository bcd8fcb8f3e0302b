"""`modelrelease backtest`: what a release's gates would have said over Prometheus' history, and how often wrongly.

Nothing is written and the release need not exist. With --prometheus and neither kubeconfig nor context no cluster is
asked: templates, route and sources are then what the files hold.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelrelease.cli.cluster import Cluster, Context, Kubeconfig, Output, echo, fail, on_cluster

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelrelease.backtest.arms import Arms
    from modelrelease.backtest.history import History, Span
    from modelrelease.backtest.replay import Incident
    from modelrelease.backtest.study import Settings
    from modelrelease.cli.backtest_subject import Subject

EXIT_USAGE = 2
MOST_STEPS = 2_000_000
TIMEOUT_S = 60.0
MOST_BYTES = 512 * 1024 * 1024
THREADS = 4

_UNITS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_DURATION = re.compile(r"(?:\d{1,6}[wdhms]){1,5}")
_TIME_MEND = "write 2026-11-03T14:00:00Z, now, or a time before now such as -7d"

Files = Annotated[list[Path], typer.Option("--file", "-f", help="Manifest with the release; more may be in it.")]
Itself = Annotated[bool, typer.Option("--self", help="Compare stable with itself; so it is without --candidate.")]
Split = Annotated[
    str, typer.Option(help="How stable is divided then: by instance, by request, or auto: instances if several.")
]
Length = Annotated[
    str | None, typer.Option(help="How long each replayed release takes; default: its stages' minimum durations.")
]
Place = Annotated[
    str | None, typer.Option("--namespace", "-n", help="Namespace of the release; default: what the file says.")
]
Credentials = Annotated[Path | None, typer.Option(help="Folder with the files that the MetricsSource names.")]
Pairs = Annotated[
    list[str] | None,
    typer.Option(help="LABEL=VALUE[,…] of existing series: placeholders such as service, or labels (=~ and != too)."),
]
Incidents = Annotated[
    list[str] | None, typer.Option("--incident", help="FROM/TO: when the candidate was bad, so that a stop is right.")
]


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command(short_help="Replay a release's gates over Prometheus' history.")(backtest)


def backtest(
    files: Files,
    from_: Annotated[str, typer.Option("--from", help="Where history begins: RFC 3339, or -7d.")] = "-7d",
    to: Annotated[str, typer.Option("--to", help="Where it ends.")] = "now",
    incident: Incidents = None,
    itself: Itself = False,
    split: Split = "auto",
    candidate: Pairs = None,
    stable: Pairs = None,
    release_length: Length = None,
    step: Annotated[str, typer.Option(help="Length of a window; not shorter than the scrape interval.")] = "15s",
    seed: Annotated[int, typer.Option(help="Seed of the division by request.")] = 1,
    chart: Annotated[Path | None, typer.Option(help="Draw the evidence into this file, .svg or .png.")] = None,
    namespace: Place = None,
    prometheus: Annotated[str | None, typer.Option(help="Address to ask instead of the MetricsSource's.")] = None,
    credentials_dir: Credentials = None,
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    output: Output = "text",
) -> None:
    """Replay a release's gates over Prometheus' history: when each would have stopped it, false alarms per week."""
    _check(output, split, itself, candidate)
    _needs_numpy()
    from modelrelease.backtest.study import study
    from modelrelease.cli import backtest_chart, backtest_text, charts
    from modelrelease.cli.backtest_subject import subject_of
    from modelrelease.cli.backtest_view import View
    from modelrelease.cli.plan import load, release_in

    if chart is not None:
        charts.check(chart)
    now = datetime.now(UTC)
    span, arms = _span(from_, to, step, now), _arms(candidate, stable)
    incidents = tuple(_incident(text, now, span) for text in incident or ())
    docs = load(files)
    subject = subject_of(
        docs, release_in(docs, files), namespace, prometheus, credentials_dir, Cluster(kubeconfig, context), on_cluster
    )
    history = _read(subject, span, arms, divide=split != "request", quiet=output != "text" and not sys.stdout.isatty())
    settings = _settings(
        subject,
        seconds(release_length, "--release-length") if release_length else None,
        incidents,
        seed=seed,
        split=split,
    )
    found = study(history, settings, itself=arms.itself)
    view = View(subject.name, subject.namespace, span, arms, found, subject.governance)
    _refuse_nothing(view, arms)
    if chart is not None:
        backtest_chart.save(view, chart)
    echo(backtest_text.as_data(view), output, lambda: backtest_text.as_text(view, chart))


def moment(text: str, option: str, now: datetime) -> datetime:
    """An RFC 3339 time, `now`, or a duration before it (`-7d`, `now-90m`); anything else ends the command."""
    before = re.fullmatch(r"(?:now)?-(.+)", text)
    if text == "now":
        return now
    if before and _DURATION.fullmatch(before[1]):
        return datetime.fromtimestamp(now.timestamp() - seconds(before[1], option), UTC)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        fail(f"{option} {text!r}: {_TIME_MEND}", EXIT_USAGE)
    if found.tzinfo is None:
        fail(f"{option} {text!r} has no time zone: write {text}Z for UTC", EXIT_USAGE)
    return found.astimezone(UTC)


def seconds(text: str, option: str) -> float:
    """A duration such as 15s, 90m or 7d; anything else, or nothing at all, ends the command."""
    if not _DURATION.fullmatch(text) or not (
        found := sum(int(count) * _UNITS[unit] for count, unit in re.findall(r"(\d+)([wdhms])", text))
    ):
        fail(f"{option} {text!r}: write a duration such as 15s, 90m or 7d", EXIT_USAGE)
    return float(found)


def _check(output: str, split: str, itself: bool, candidate: Sequence[str] | None) -> None:
    if output not in ("text", "json", "yaml"):
        fail(f"--output {output!r}: write text, json or yaml", EXIT_USAGE)
    if split not in ("auto", "instance", "request"):
        fail(f"--split {split!r}: write auto, instance or request", EXIT_USAGE)
    if itself and candidate:
        fail("--self and --candidate exclude each other: leave one of them out", EXIT_USAGE)


def _needs_numpy() -> None:
    try:
        import numpy  # noqa: F401
    except ImportError:
        fail("backtest needs numpy: pip install 'modelrelease[backtest]'")


def _span(from_: str, to: str, step: str, now: datetime) -> Span:
    from modelrelease.backtest.history import Span

    step_s = seconds(step, "--step")
    since, until = moment(from_, "--from", now), min(moment(to, "--to", now), now)
    span = Span(since.timestamp() // step_s * step_s, until.timestamp() // step_s * step_s, step_s)
    if span.grid.count < 2:
        fail(f"--from {from_} is not before --to {to} by at least two steps of {step}: name a longer time", EXIT_USAGE)
    if span.grid.count > MOST_STEPS:
        fail(f"that makes {span.grid.count:,} steps, {MOST_STEPS:,} at most: name a longer --step", EXIT_USAGE)
    return span


def _incident(text: str, now: datetime, span: Span) -> Incident:
    from modelrelease.backtest.replay import Incident

    first, slash, last = text.partition("/")
    if not slash:
        fail(f"--incident {text!r}: write FROM/TO, such as 2026-11-03T14:00:00Z/2026-11-03T15:00:00Z", EXIT_USAGE)
    begin, end = (moment(part, "--incident", now).timestamp() for part in (first, last))
    if not begin < end:
        fail(f"--incident {text!r} ends before it begins: exchange the two times", EXIT_USAGE)
    if end <= span.since_s or begin >= span.until_s:
        fail(f"--incident {text!r} is not between --from and --to: correct its times, or replay more", EXIT_USAGE)
    return Incident(begin, end)


def _arms(candidate: Sequence[str] | None, stable: Sequence[str] | None) -> Arms:
    from modelrelease.backtest.arms import Arms, Named

    try:
        return Arms(Named.read(candidate, "--candidate") if candidate else None, Named.read(stable or [], "--stable"))
    except ValueError as error:
        fail(str(error), EXIT_USAGE)


def _settings(
    subject: Subject, length_s: float | None, incidents: tuple[Incident, ...], *, seed: int, split: str
) -> Settings:
    from modelrelease.backtest.study import Settings

    fresh_s = max(subject.plan.limits.fresh_s, 4 * _scrape_s(subject))
    return Settings(subject.plan, subject.rules, length_s, incidents, seed, fresh_s, by_instance=split == "instance")


def _scrape_s(subject: Subject) -> float:
    return max(source.scrape_interval_s for source in subject.sources.values())


def _read(subject: Subject, span: Span, arms: Arms, *, divide: bool, quiet: bool) -> History:
    """Ask Prometheus for everything; what cannot be asked or read ends the command."""
    from modelrelease.backtest.client import range_client
    from modelrelease.backtest.history import History
    from modelrelease.backtest.reading import HistoryError
    from modelrelease.metrics.promql import TemplateError

    history = History(span, interval_s=_scrape_s(subject), arms=arms, divide=divide)
    clients = {
        name: range_client(source, subject.credentials, timeout_s=TIMEOUT_S, max_answer_bytes=MOST_BYTES)
        for name, source in subject.sources.items()
    }
    for gate in subject.plan.gates:
        label = subject.sources[gate.source].namespace_label
        try:
            history.add(gate, subject.places, clients[gate.source], value_namespace=(label, subject.namespace))
        except TemplateError as error:
            fail(f"gate {gate.name}: {error}{subject.mend(str(error))}")
    with _progress(history.pieces(), quiet) as done:
        try:
            history.read(threads=THREADS, done=done)
        except HistoryError as error:
            fail(str(error))
    return history


@contextmanager
def _progress(total: int, quiet: bool) -> Iterator[Callable[[int], None]]:
    """A bar on standard error while it is a terminal; Ctrl-C takes it away again."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("reading history"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=quiet or not sys.stderr.isatty()) as progress:
        task = progress.add_task("", total=total)
        yield lambda number: progress.update(task, completed=number)


def _refuse_nothing(view: Any, arms: Arms) -> None:
    """End the command where no gate could be judged at any time."""
    results = [result for phase in view.phases for result in phase.results]
    if not results:
        fail("the release has no gate that can be replayed: spec.gates has none for its stages")
    if any(result.track.covered.any() for result in results):
        return
    why = next((result.track.problem for result in results if result.track.problem), "no arm had any events")
    option = "--stable" if arms.candidate is None else "--candidate and --stable"
    fail(
        f"nothing was found to judge from {view.since} to {view.until} UTC: {why}; name series that exist with "
        f"{option} LABEL=VALUE, or another time with --from and --to"
    )
