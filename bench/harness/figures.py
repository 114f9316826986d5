"""The whole cost of a call: CPU of the application, and PostgreSQL's time where that is known."""

from collections.abc import Mapping
from dataclasses import dataclass

from bench.harness import postgres
from bench.harness.results import shown
from bench.harness.rounds import Call, K, Spread, alternate


@dataclass(frozen=True)
class Figure:
    """What one competitor cost per call; `postgres` None: pg_stat_statements is not there."""

    application: Spread
    postgres: postgres.Cost | None

    @property
    def ms(self) -> float:
        """CPU of the application and PostgreSQL's time together."""
        return self.application.median + (self.postgres.ms if self.postgres else 0.0)

    def cells(self) -> tuple[str, str, str]:
        """Return application, PostgreSQL and pages for a table, beneath `header`."""
        if self.postgres is None:
            return str(self.application), shown(None), shown(None)
        return str(self.application), shown(self.postgres.ms), shown(self.postgres.blocks)


def header(name: str) -> tuple[str, str, str]:
    """Return what stands above a figure's cells."""
    return f"{name}: application, ms", "PostgreSQL, ms", "pages of 8 kB"


def compare(calls: Mapping[K, Call], requests: int) -> dict[K, Figure]:
    """Return each competitor's figure: the application's in turns, then PostgreSQL's one by one."""
    spreads = alternate(calls, requests)
    return {
        name: Figure(spreads[name], postgres.cost(call, requests)) for name, call in calls.items()
    }
