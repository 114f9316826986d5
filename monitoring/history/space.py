"""How fast the database and its tables grow, from their samples."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from monitoring.history.reading import fetch

DAY = timedelta(days=1)
LEAST_MEASURED = DAY  # a slope of less says nothing of a day

# The slope of all samples, not of the first and last alone: a VACUUM FULL or an import is one step of many.
# A table is known by its oid, which is compared sooner than its name; a restored one begins anew.
GROWTH = """
WITH newest AS MATERIALIZED (
    SELECT DISTINCT ON (relid) relid, relation, total_bytes FROM table_samples
    WHERE sampled_at > statement_timestamp() - %(alive)s ORDER BY relid, sampled_at DESC
), grown AS MATERIALIZED (
    SELECT relid, min(sampled_at) AS since, max(sampled_at) AS until,
        regr_slope(total_bytes, date_part('epoch', sampled_at) / 86400) AS slope
    FROM table_samples WHERE sampled_at > statement_timestamp() - %(back)s GROUP BY relid
), whole AS MATERIALIZED (
    SELECT min(sampled_at) AS since, max(sampled_at) AS until,
        (array_agg(bytes ORDER BY sampled_at DESC))[1] AS bytes,
        regr_slope(bytes, date_part('epoch', sampled_at) / 86400) AS slope
    FROM database_samples WHERE sampled_at > statement_timestamp() - %(back)s
)
SELECT relation AS name, false AS is_database, since, until, total_bytes, slope
FROM newest JOIN grown USING (relid)
UNION ALL
SELECT current_database(), true, since, until, bytes, slope
FROM whole WHERE until > statement_timestamp() - %(alive)s
ORDER BY is_database DESC, slope DESC NULLS LAST, name
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
