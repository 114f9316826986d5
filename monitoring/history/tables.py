"""Tables that are read from their beginning to their end, from their hourly samples."""

from dataclasses import dataclass
from datetime import datetime

from monitoring.history.reading import added, fetch

BIG = 8 * 1024 * 1024

PRESSURE = f"""
WITH grown AS (
    SELECT relid, relation, sampled_at, bytes, live_tuples,
        {added("seq_scan", over="w")} AS seq_scan, {added("seq_tup_read", over="w")} AS seq_tup_read,
        {added("coalesce(idx_scan, 0)", over="w")} AS idx_scan
    FROM table_samples
    WHERE sampled_at > %(since)s::timestamptz - interval '2 hours' AND sampled_at <= %(until)s
    WINDOW w AS (PARTITION BY relid ORDER BY sampled_at)
)
SELECT (array_agg(relation ORDER BY sampled_at DESC))[1], sum(seq_scan)::bigint,
    sum(seq_tup_read)::bigint, sum(idx_scan)::bigint,
    (array_agg(bytes ORDER BY sampled_at DESC))[1], (array_agg(live_tuples ORDER BY sampled_at DESC))[1]
FROM grown WHERE sampled_at > %(since)s AND seq_tup_read IS NOT NULL
GROUP BY relid
HAVING sum(seq_tup_read) > 0 AND (array_agg(bytes ORDER BY sampled_at DESC))[1] >= %(big)s
ORDER BY 3 DESC, 1
LIMIT %(limit)s
"""


@dataclass(frozen=True)
class Pressure:
    """What was read of a table from its beginning within a window. A hint where to look, no proof."""

    table: str
    seq_scan: int
    seq_tup_read: int
    idx_scan: int
    bytes: int
    live_tuples: int

    @property
    def tuples_per_scan(self) -> float | None:
        return self.seq_tup_read / self.seq_scan if self.seq_scan else None


def pressure(
    since: datetime, until: datetime, *, at_least_bytes: int = BIG, limit: int = 50
) -> list[Pressure]:
    """Return the tables of that size which were read sequentially, the most rows first. One statement.

    Tables are sampled hourly: a window covers whole hours between samples that end within it.
    """
    rows = fetch(PRESSURE, since=since, until=until, big=at_least_bytes, limit=limit)
    return [Pressure(*row) for row in rows]
