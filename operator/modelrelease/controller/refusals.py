"""Telling people once, by an event, that what they said has no effect, and what to do about it."""

from datetime import UTC, datetime

from modelrelease.controller.execute import Executor
from modelrelease.controller.gathered import Gathered
from modelrelease.engine.actions import Emit, Step
from modelrelease.engine.approving import refused
from modelrelease.engine.case import Case
from modelrelease.engine.conditions import refusal_text

KEPT = 4096


class Refusals:
    """Tells for one process; after a restart it tells again."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._told: dict[tuple[str, str], None] = {}

    async def tell(self, gathered: Gathered, step: Step) -> None:
        """An event for each decision without effect that nobody was told of yet."""
        case = Case(gathered.release, step.progress, gathered.observed, datetime.now(UTC))
        for refusal in refused(case):
            told = (refusal.decision.uid, refusal.why)
            if told in self._told:
                continue
            self._told[told] = None
            await self._executor.emit(Emit("DecisionRefused", refusal_text(refusal), warning=True), gathered)
        while len(self._told) > KEPT:
            del self._told[next(iter(self._told))]
