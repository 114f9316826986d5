"""How the history is read: on the alias `monitor`, with a deadline that suits a month of samples."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from monitoring.database import access

TIMEOUT_MS = 5_000
# A sample further than this from the one before says what happened, but not when: charts have a gap.
GAP = timedelta(minutes=12, seconds=30)
STEP = timedelta(minutes=5)

COVERAGE = """
SELECT min(previous_at), max(sampled_at), count(*),
    count(*) FILTER (WHERE sampled_at - previous_at > %(gap)s), count(statements_since)
FROM samples WHERE sampled_at > %(since)s AND sampled_at <= %(until)s AND previous_at IS NOT NULL
"""


@dataclass(frozen=True)
class Coverage:
    """What a window really covers: whole spans between samples, those that end within it.

    So `since` is the last sample before the window began, and `until` the last within it; both are None
    without samples. `gaps` of the spans are long ones. In `with_statements` of them statements were read.
    """

    since: datetime | None
    until: datetime | None
    samples: int
    gaps: int
    with_statements: int

    @property
    def seconds(self) -> float:
        if self.since is None or self.until is None:
            return 0.0
        return (self.until - self.since).total_seconds()


def fetch(statement: str, **params: object) -> list[tuple[Any, ...]]:
    """Run one statement over the history. Raises Unavailable."""
    return access.fetch(statement, params, timeout_ms=TIMEOUT_MS)


def coverage(since: datetime, until: datetime) -> Coverage:
    """Say what a window from `since` to `until` covers. One statement."""
    [row] = fetch(COVERAGE, since=since, until=until, gap=GAP)
    return Coverage(*row)


def step(since: datetime, until: datetime, points: int) -> timedelta:
    """Return how far apart the points of a chart stand: five minutes, or a multiple of them."""
    return max(1, round((until - since) / points / STEP)) * STEP


def added(column: str, *, over: str, reset: str = "") -> str:
    """Return SQL for what a counter grew by since the row before; what went back counts from zero.

    So does one whose `reset`, the column that says when counting began, is another. NULL in the first row
    of each window `over`.
    """
    before = f"lag({column}) OVER {over}"
    anew = f" OR {reset} > coalesce(lag({reset}) OVER {over}, '-infinity')" if reset else ""
    return (
        f"CASE WHEN {before} IS NULL THEN NULL WHEN {column} < {before}{anew} THEN {column}"
        f" ELSE {column} - {before} END"
    )
