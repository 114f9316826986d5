"""Indexes that nothing has used, by our own hourly samples."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from monitoring.history.reading import added, fetch

UNUSED_FOR = timedelta(days=14)
LONGEST_GAP = timedelta(
    days=1
)  # between samples of an index, or nobody knows whether it was used and reset

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
