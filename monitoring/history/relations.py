"""Tables and indexes over time, from their hourly samples: growth, indexes without use, sequential reading."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from monitoring.history.reading import added, fetch

DAY = timedelta(days=1)
UNUSED_FOR = 14 * DAY
LONGEST_GAP = DAY  # between samples of an index, or nobody knows whether it was used and reset
LEAST_MEASURED = DAY  # a slope of less says nothing of a day
BIG = 8 * 1024 * 1024

# The slope of all samples, not of the first and last alone: a VACUUM FULL or an import is one step of many.
GROWTH = """
WITH size AS (
    SELECT relation AS name, sampled_at, total_bytes AS bytes, false AS is_database FROM table_samples
    WHERE sampled_at > statement_timestamp() - %(back)s
    UNION ALL
    SELECT current_database(), sampled_at, bytes, true FROM database_samples
    WHERE sampled_at > statement_timestamp() - %(back)s
)
SELECT name, is_database, min(sampled_at), max(sampled_at),
    (array_agg(bytes ORDER BY sampled_at DESC))[1],
    regr_slope(bytes, extract(epoch FROM sampled_at)::float8 / 86400)
FROM size GROUP BY name, is_database
HAVING max(sampled_at) > statement_timestamp() - %(alive)s
ORDER BY is_database DESC, 6 DESC NULLS LAST, name
"""
TABLES_SEEN = timedelta(hours=3)  # one that the last samples do not have was dropped


@dataclass(frozen=True)
class Growth:
    """How one table with its indexes, or the whole database, grew. `bytes` are those of the last sample."""

    name: str
    is_database: bool
    since: datetime
    until: datetime
    bytes: int
    slope: float | None

    @property
    def bytes_per_day(self) -> float | None:
        """None when less than a day was measured."""
        return self.slope if self.until - self.since >= LEAST_MEASURED else None

    def days_until(self, limit: int) -> float | None:
        """Return in how many days it has `limit` bytes at this pace: 0 when it has, None when never."""
        if self.bytes >= limit:
            return 0.0
        pace = self.bytes_per_day
        return (limit - self.bytes) / pace if pace is not None and pace > 0 else None


@dataclass(frozen=True)
class SpaceGrowth:
    """The database and its tables, the fastest first; `database` is None before the first sample."""

    database: Growth | None
    tables: list[Growth]


def growth(days: int = 30) -> SpaceGrowth:
    """Return how fast everything grew within the last `days`. One statement."""
    rows = [Growth(*row) for row in fetch(GROWTH, back=days * DAY, alive=TABLES_SEEN)]
    return SpaceGrowth(
        database=next((each for each in rows if each.is_database), None),
        tables=[each for each in rows if not each.is_database],
    )


# `kept_because` holds what an index does that scans do not show: rules, and the search of a foreign key.
UNUSED = f"""
WITH scanned AS (
    SELECT indexrelid, sampled_at, scans, {added("scans", over="w")} AS more,
        sampled_at - lag(sampled_at) OVER w AS gap
    FROM index_samples
    WHERE sampled_at > %(since)s::timestamptz - %(gap)s
    WINDOW w AS (PARTITION BY indexrelid ORDER BY sampled_at)
),
idle AS (
    SELECT indexrelid, min(sampled_at) AS since, max(sampled_at) AS until, count(*) AS samples
    FROM scanned GROUP BY indexrelid
    HAVING coalesce(sum(more), 0) = 0 AND min(sampled_at) <= %(since)s
        AND coalesce(max(gap), %(gap)s) <= %(gap)s
        AND max(sampled_at) > statement_timestamp() - %(gap)s
)
SELECT u."table", u.index, u.index_size, u.writes_paid, u.key_columns, idle.since, idle.until, idle.samples
FROM idle JOIN index_usage_stats u ON u.id = idle.indexrelid::text
WHERE u.kept_because IS NULL AND u.is_valid
ORDER BY u.index_size DESC, u.index
"""


@dataclass(frozen=True)
class UnusedIndex:
    """An index that was scanned in none of our samples. `writes_paid` are those of its table."""

    table: str
    index: str
    bytes: int
    writes_paid: int
    key_columns: str
    since: datetime
    until: datetime
    samples: int


def unused(since: datetime) -> list[UnusedIndex]:
    """Return the indexes that were never scanned since then, the largest first. One statement.

    Only those whose samples reach back to `since` without a gap of a day; never a unique one, one that
    backs a constraint or the replica identity, or the only one of a foreign key. `since` should be
    UNUSED_FOR ago; nearer, ValueError is raised: monthly reports have indexes too.
    """
    [(near,)] = fetch(
        "SELECT %(since)s > statement_timestamp() - %(least)s", since=since, least=UNUSED_FOR
    )
    if near:
        raise ValueError("an index is unused only after 14 days of samples")
    return [UnusedIndex(*row) for row in fetch(UNUSED, since=since, gap=LONGEST_GAP)]


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
