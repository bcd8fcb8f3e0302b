"""Telling people once, by an event, that a unit is no longer what was released, and that it is again."""

from typing import Any

from modelrelease.controller.execute import Executor
from modelrelease.controller.gathered import Gathered
from modelrelease.engine.actions import Emit, Step
from modelrelease.engine.images import COMPARED_IN, intactness


class Notices:
    """Tells for one process. What the status said when a release was first looked at is not told again."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._told: dict[str, str] = {}

    def remember(self, key: str, obj: Any) -> None:
        """Note what was told before this process began."""
        conditions = (obj.get("status") or {}).get("conditions") or []
        wrong = [each["reason"] for each in conditions if (each["type"], each["status"]) == ("UnitIntact", "False")]
        self._told.setdefault(key, wrong[0] if wrong else "")

    def forget(self, key: str) -> None:
        """The release is gone."""
        self._told.pop(key, None)

    async def tell(self, gathered: Gathered, step: Step) -> None:
        """An event when something begins to be wrong with a unit, or with another one, and when all is well again."""
        found = intactness(gathered.release, step.progress, gathered.observed)
        before = self._told.get(gathered.key, "")
        if step.progress.state not in COMPARED_IN:
            self._told[gathered.key] = ""
        elif found is None:
            return
        elif found.intact is False and before != found.reason:
            self._told[gathered.key] = found.reason
            await self._executor.emit(Emit(found.reason, found.message, warning=True), gathered)
        elif found.intact and before:
            self._told[gathered.key] = ""
            await self._executor.emit(Emit("UnitIntact", found.message), gathered)
