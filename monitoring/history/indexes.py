"""Indexes that nothing has used, by our own hourly samples."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitoring.database import indexes
from monitoring.database.indexes import IndexUse
from monitoring.history.reading import added, fetch

UNUSED_FOR = timedelta(days=14)
MOST = 10_000  # indexes that are looked at
LONGEST_GAP = timedelta(
    days=1
)  # between samples of an index, or nobody knows whether it was used and reset

IDLE = f"""
WITH scanned AS (
    SELECT indexrelid, sampled_at, scans, {added("scans", over="w")} AS more,
        sampled_at - lag(sampled_at) OVER w AS gap
    FROM index_samples
    WHERE sampled_at > %(since)s::timestamptz - %(gap)s
    WINDOW w AS (PARTITION BY indexrelid ORDER BY sampled_at)
)
SELECT indexrelid::text, min(sampled_at), max(sampled_at), count(*)
FROM scanned GROUP BY indexrelid
HAVING coalesce(sum(more), 0) = 0 AND min(sampled_at) <= %(since)s
    AND coalesce(max(gap), %(gap)s) <= %(gap)s
    AND max(sampled_at) > statement_timestamp() - %(gap)s
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


def unused(since: datetime, among: Sequence[IndexUse] | None = None) -> list[UnusedIndex]:
    """Return the indexes that were never scanned since then, the largest first. Two or three statements.

    Only those whose samples reach back to `since` without a gap of a day; never a unique one, one that
    backs a constraint or the replica identity, or the only one of a foreign key. `since` should be
    UNUSED_FOR ago; nearer, ValueError is raised: monthly reports have indexes too. `among` are those that
    there are, for a caller who has read them.
    """
    [(near,)] = fetch(
        "SELECT %(since)s > statement_timestamp() - %(least)s", since=since, least=UNUSED_FOR
    )
    if near:
        raise ValueError("an index is unused only after 14 days of samples")
    idle = {oid: seen for oid, *seen in fetch(IDLE, since=since, gap=LONGEST_GAP)}
    found = [
        UnusedIndex(
            *(each.table, each.index, each.index_size, each.writes_paid, each.key_columns),
            *idle[each.id],
        )
        for each in (indexes.indexes(limit=MOST) if among is None else among)
        if each.id in idle and each.kept_because is None and each.is_valid
    ]
    return sorted(found, key=lambda each: (-each.bytes, each.index))
