"""Indexes that nothing has used, by our own hourly samples."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from monitoring.database import indexes
from monitoring.database.indexes import IndexUse
from monitoring.history import rests
from monitoring.history.reading import fetch

UNUSED_FOR = timedelta(days=14)
MOST = 10_000  # indexes that are looked at


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


# The rules of `unused`, and PostgreSQL's own count beside them, without reading what nobody is shown.
COUNTS = f"""
SELECT count(*) FILTER (WHERE is_valid AND (drop_candidate OR resting.indexrelid IS NOT NULL)),
    (SELECT count(DISTINCT redundant_index) FROM monitor.duplicate_indexes),
    count(*) FILTER (WHERE NOT is_valid)
FROM index_usage_stats AS used LEFT JOIN ({rests.RESTING}) AS resting ON resting.indexrelid = used.id
WHERE NOT is_valid OR kept_because IS NULL AND NOT is_attached
"""


@dataclass(frozen=True)
class Counts:
    """How many indexes nothing uses, how many do what another does, and how many are broken."""

    unused: int
    twice: int
    invalid: int


def counts(since: datetime) -> Counts:
    """Return how many indexes are of no use, those `unused` since then or by PostgreSQL's count. One statement."""
    return Counts(*fetch(COUNTS, since=since, gap=rests.LONGEST_GAP)[0])


def unused(since: datetime, among: Sequence[IndexUse] | None = None) -> list[UnusedIndex]:
    """Return the indexes that were never scanned since then, the largest first. One statement or two.

    Only those whose samples reach back to `since` without a gap of a day (rests.py); never a unique one, one
    that backs a constraint or the replica identity, the only one of a foreign key, or one of a partition.
    `since` should be UNUSED_FOR ago; nearer, ValueError is raised: monthly reports have indexes too. `among`
    are those that there are, for a caller who has read them.
    """
    if since > timezone.now() - UNUSED_FOR:
        raise ValueError("an index is unused only after 14 days of samples")
    free = [
        each
        for each in (indexes.notable(limit=MOST) if among is None else among)
        if each.kept_because is None and each.is_valid and not each.is_attached
    ]
    oids = [int(each.id) for each in free]
    rows = fetch(rests.RESTING_AMONG, since=since, gap=rests.LONGEST_GAP, among=oids)
    idle = {oid: seen for oid, *seen in rows}
    found = [
        UnusedIndex(
            *(each.table, each.index, each.index_size, each.writes_paid, each.key_columns),
            *idle[each.id],
        )
        for each in free
        if each.id in idle
    ]
    return sorted(found, key=lambda each: (-each.bytes, each.index))
