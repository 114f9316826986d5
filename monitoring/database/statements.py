"""Statements as pg_stat_statements has counted them in this database since its entries began."""

from dataclasses import dataclass
from datetime import datetime

from monitoring.database import access
from monitoring.database.capabilities import NEEDED_FOR_STATEMENTS, lacking

SLOW_MS = 100  # of slow_queries


@dataclass(frozen=True)
class Statement:
    """One statement of one role. Times are milliseconds, percentages 0–100, None where nothing is known.

    `rows_per_call` and `blocks_per_call` are means; `io_time_pct` needs track_io_timing.
    """

    id: str
    queryid: int
    username: str
    toplevel: bool
    query: str
    calls: int
    rows: int
    total_exec_time: float
    mean_exec_time: float
    min_exec_time: float
    max_exec_time: float
    stddev_exec_time: float
    variation: float | None
    rows_per_call: float
    total_time_pct: float | None
    cache_hit_pct: float | None
    blocks_per_call: float
    io_time_pct: float | None
    temp_bytes_written: int
    wal_bytes: int
    stats_since: datetime | None


@dataclass(frozen=True)
class Counting:
    """Entries thrown away because pg_stat_statements.max was reached, and since when all is counted."""

    dealloc: int | None
    stats_reset: datetime | None


def slow(*, limit: int = 100) -> list[Statement]:
    """Return statements with a mean above 100 ms, the slowest first. Raises Unavailable."""
    return _counted("slow_queries", "mean_exec_time DESC, id", limit)


def by_total_time(*, limit: int = 100) -> list[Statement]:
    """Return the statements that took most of the database's time. Raises Unavailable."""
    return _counted("monitor.query_stats", "total_exec_time DESC, id", limit)


def counting() -> Counting:
    """Return how complete the counts are. Raises Unavailable."""
    [row] = access.fetch("SELECT dealloc, stats_reset FROM monitor.statements_info()")
    return Counting(*row)


def _counted(view: str, order: str, limit: int) -> list[Statement]:
    """Read a view; one without rows is asked why."""
    found = access.records(Statement, view, order=order, limit=limit)
    if not found:
        require_counting()
    return found


def require_counting() -> None:
    """Raise NotCounted with the first remedy unless statements are counted here."""
    for each in lacking(NEEDED_FOR_STATEMENTS):
        raise access.NotCounted(detail=f"not so: {each.what}", remedy=each.fix)
