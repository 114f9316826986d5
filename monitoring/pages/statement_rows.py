"""Statements as the pages show them: one row per queryid, whoever ran it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from monitoring.database import access
from monitoring.pages.framework import timeout_ms

LIMIT = 50
# From what is asked for to what the rows are sorted by; the first is the usual.
ORDERS: Mapping[str, str] = {
    "total": "total_ms",
    "mean": "mean_ms",
    "calls": "calls",
    "rows": "rows_per_call",
    "spread": "stddev_ms",
    "reads": "blocks_read",
}


@dataclass(frozen=True, kw_only=True)
class StatementRow:
    """A statement's figures. Times in ms; shares and hits in per cent; `text` has its secrets masked."""

    queryid: int
    text: str
    calls: int
    total_ms: float
    mean_ms: float
    stddev_ms: float
    rows_per_call: float
    share: float | None
    cache_hit: float | None
    blocks_read: int


# The spread of several users' calls together: of each, calls × (stddev² + mean²) adds up.
_COUNTED = """
SELECT s.queryid, min(s.query) AS text, sum(s.calls)::bigint AS calls,
    sum(s.total_exec_time) AS total_ms, sum(s.total_exec_time) / sum(s.calls) AS mean_ms,
    sqrt(greatest(0, sum(s.calls * (s.stddev_exec_time ^ 2 + s.mean_exec_time ^ 2)) / sum(s.calls)
        - (sum(s.total_exec_time) / sum(s.calls)) ^ 2)) AS stddev_ms,
    sum(s.rows)::double precision / sum(s.calls) AS rows_per_call,
    100 * sum(s.total_exec_time) / nullif(sum(sum(s.total_exec_time)) OVER (), 0) AS share,
    100.0 * sum(s.shared_blks_hit) / nullif(sum(s.shared_blks_hit + s.shared_blks_read), 0) AS cache_hit,
    sum(s.shared_blks_read)::bigint AS blocks_read
FROM monitor.statements(true) s
WHERE s.queryid IS NOT NULL AND s.query IS NOT NULL
GROUP BY s.queryid
"""
_TOP = f"""
SELECT queryid, monitor.masked(text) AS text, calls, total_ms, mean_ms, stddev_ms, rows_per_call,
    share::double precision, cache_hit::double precision, blocks_read
FROM ({_COUNTED}) AS counted ORDER BY {{order}} DESC, queryid LIMIT %(limit)s
"""
_SINCE = """
SELECT coalesce(stats_reset, pg_postmaster_start_time()), dealloc FROM monitor.statements_info()
"""


def counted(order: str, limit: int = LIMIT) -> list[StatementRow]:
    """Return the statements that lead by `order`, from all that PostgreSQL has counted. One statement."""
    rows = access.fetch_dicts(
        _TOP.format(order=ORDERS[order]), {"limit": limit}, timeout_ms=timeout_ms()
    )
    return [StatementRow(**row) for row in rows]


def counted_since() -> tuple[datetime | None, int]:
    """Return since when PostgreSQL counts, and how many statements it has forgotten for lack of room."""
    rows = access.fetch(_SINCE, timeout_ms=timeout_ms())
    return (rows[0][0], rows[0][1] or 0) if rows else (None, 0)


def of_users(queryid: int) -> Sequence[Mapping[str, Any]]:
    """Return a statement's figures by who ran it, with its whole text. One statement."""
    return access.fetch_dicts(
        "SELECT * FROM monitor.query_stats WHERE queryid = %s ORDER BY total_exec_time DESC",
        [queryid],
        timeout_ms=timeout_ms(),
    )
