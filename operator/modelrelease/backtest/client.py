"""`query_range` of one source: the same login, deadlines and limits as for a release, bytes instead of objects.

A range of months is too much for one answer: what is too large or too slow is asked again in halves. Threads are
daemons, so that Ctrl-C ends the program although a query still hangs. Rejected: asyncio; the work here is decoding.
"""

import queue
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from modelrelease.backtest.parsing import Grid, Line, lines
from modelrelease.metrics.answers import Failed
from modelrelease.metrics.client import ThreadedPrometheus
from modelrelease.metrics.source import Credentials, SourceSettings

MAX_POINTS = 11_000
"""Most steps per series that Prometheus answers in one query."""

FEWEST_POINTS = 60
"""A range of fewer steps is not halved any more."""

_TOO_MUCH = ("too many samples", "too large", "exceeded maximum resolution")
_TOO_SLOW = ("no answer within", "timed out")
_SLOW_HALVINGS = 2
"""So often a range is halved because it is too slow; a Prometheus that hangs is then given up on."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One query over a part of the grid; `key` says whose it is."""

    key: int
    promql: str
    first: int
    count: int


@dataclass(frozen=True, slots=True, eq=False)
class Reply:
    """What a piece was answered: status and body, piece by smaller piece where it had to be halved, or why not."""

    piece: Piece
    parts: tuple[tuple[Piece, int, bytes], ...] = ()
    failed: Failed | None = None

    def lines(self, grid: Grid) -> Iterator[tuple[Piece, list[Line] | Failed]]:
        """The series of each part."""
        if self.failed is not None:
            yield self.piece, self.failed
        for piece, status, body in self.parts:
            yield piece, lines(status, body, grid.part(piece.first, piece.count))


class RangeClient(ThreadedPrometheus):
    """Ranges of one source. `ask` is called from threads of its own; `query` works as for any source."""

    def __init__(self, settings: SourceSettings, credentials: Credentials | None = None) -> None:
        super().__init__(settings, credentials)
        self.address = settings.address

    def ask(self, piece: Piece, grid: Grid, *, halvings: int = 0) -> Reply:
        """Ask for a piece, in halves where it is too much at once. Never raises for what Prometheus does."""
        answer = self._answer(piece.promql, grid.part(piece.first, piece.count))
        if not isinstance(answer, Failed):
            return Reply(piece, ((piece, *answer),))
        large = any(words in answer.reason for words in _TOO_MUCH)
        slow = any(words in answer.reason for words in _TOO_SLOW) and halvings < _SLOW_HALVINGS
        if piece.count < 2 * FEWEST_POINTS or not (large or slow):
            return Reply(piece, failed=answer)
        half = piece.count // 2
        parts: list[tuple[Piece, int, bytes]] = []
        for first, count in ((piece.first, half), (piece.first + half, piece.count - half)):
            reply = self.ask(replace(piece, first=first, count=count), grid, halvings=halvings + 1)
            if reply.failed is not None:
                return Reply(piece, failed=reply.failed)
            parts += reply.parts
        return Reply(piece, tuple(parts))

    def _answer(self, promql: str, grid: Grid) -> tuple[int, bytes] | Failed:
        params = {
            "query": promql,
            "start": f"{grid.start_s:.3f}",
            "end": f"{grid.end_s:.3f}",
            "step": f"{grid.step_s:g}",
        }
        answer = self.post("/api/v1/query_range", params)
        if isinstance(answer, Failed):
            return answer
        status, body = answer
        if status in (400, 422, 503):
            found = lines(status, body, grid)
            if isinstance(found, Failed):
                return found
        return status, body


def ask_all(asks: Iterable[tuple[RangeClient, Piece]], grid: Grid, *, threads: int) -> Iterator[Reply]:
    """The replies to all pieces in their order, the next ones asked at the same time."""
    jobs: queue.Queue[tuple[RangeClient, Piece, queue.Queue[Reply]] | None] = queue.Queue()
    given_up = threading.Event()

    def work() -> None:
        while (job := jobs.get()) is not None:
            client, piece, box = job
            if given_up.is_set():
                continue
            try:
                box.put(client.ask(piece, grid))
            except Exception as error:
                box.put(Reply(piece, failed=Failed(f"asking Prometheus failed: {error!r}"[:300], retryable=False)))

    waiting: deque[queue.Queue[Reply]] = deque()
    rest = iter(asks)
    for number in range(threads):
        threading.Thread(target=work, name=f"backtest-{number}", daemon=True).start()
    try:
        while True:
            while len(waiting) < 2 * threads and (ask := next(rest, None)) is not None:
                waiting.append(queue.Queue(1))
                jobs.put((*ask, waiting[-1]))
            if not waiting:
                return
            yield waiting.popleft().get()
    finally:
        given_up.set()
        for _ in range(threads):
            jobs.put(None)


def range_client(
    settings: SourceSettings, credentials: Path | None = None, *, timeout_s: float, max_answer_bytes: int
) -> RangeClient:
    """A client of one source; `credentials` is the folder that its file names are in."""
    patient = replace(settings, timeout_s=timeout_s, max_answer_bytes=max_answer_bytes)
    return RangeClient(patient, Credentials(credentials) if credentials is not None else None)
