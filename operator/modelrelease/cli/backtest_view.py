"""All that a backtest shows, as text or as a picture."""

from dataclasses import dataclass
from datetime import UTC, datetime

from modelrelease.backtest.arms import Arms
from modelrelease.backtest.history import Span
from modelrelease.backtest.study import Phases
from modelrelease.cli.governed import Governance


@dataclass(frozen=True, slots=True)
class View:
    """All that is shown."""

    name: str
    namespace: str
    span: Span
    arms: Arms
    phases: tuple[Phases, ...]
    governance: Governance

    @property
    def since(self) -> str:
        """When history begins."""
        return utc(self.span.since_s)

    @property
    def until(self) -> str:
        """When it ends."""
        return utc(self.span.grid.end_s)


def utc(at_s: float) -> str:
    """A time for people: 2026-11-03 14:02:15."""
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d %H:%M:%S}"
