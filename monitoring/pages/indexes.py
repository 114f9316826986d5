"""Which indexes are used, which are not, and which are there twice or broken."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from monitoring.database import indexes
from monitoring.database.indexes import IndexUse
from monitoring.history import indexes as index_history
from monitoring.pages import remedies
from monitoring.pages.framework import MonitoringPage, Panel, Window
from monitoring.pages.sharing import once

LIMIT = 100  # that are listed; the admin's list has them all
UNUSED_LIMIT = 50  # that are shown with what drops them, the largest first
CLOCKS = timedelta(hours=1)  # that ours and the database's may differ by
ORDERS: Mapping[str, Callable[[IndexUse], Any]] = {
    "scans": lambda index: (index.index_scans, -index.index_size),
    "size": lambda index: -index.index_size,
    "writes": lambda index: -index.writes_paid,
    "table": lambda index: (index.table, index.index),
}
SORTS = {
    "scans": _("Fewest scans"),
    "size": _("Largest"),
    "writes": _("Most written"),
    "table": _("By table"),
}
KEPT = {  # what the view says, for people
    "primary key": _("primary key"),
    "constraint": _("constraint"),
    "unique": _("unique"),
    "replica identity": _("replica identity"),
    "foreign key": _("the only one for a foreign key"),
}


@dataclass(frozen=True)
class Unused:
    """An index that could go. `samples` of ours say so since `since`, or PostgreSQL's own count (0)."""

    schema: str
    table: str
    index: str
    size: int
    writes_paid: int
    key_columns: str
    since: datetime
    samples: int

    @property
    def fix(self) -> str:
        return remedies.drop_index(self.schema, self.table, self.index)


def every() -> list[IndexUse]:
    """Return all indexes, the least used first; one statement, however many panels ask."""
    return once(_every)


def _every() -> list[IndexUse]:
    return indexes.indexes(limit=index_history.MOST)


def notable() -> list[IndexUse]:
    """Return the indexes that are broken, or that might go were they not used. One statement."""
    return indexes.notable(limit=index_history.MOST)


def counts() -> index_history.Counts:
    """Return how many indexes the panels below name. One statement."""
    return index_history.counts(_long_ago())


def _long_ago() -> datetime:
    return timezone.now() - index_history.UNUSED_FOR - CLOCKS


def invalid(among: Sequence[IndexUse]) -> list[IndexUse]:
    """Return those whose build failed, or is going on."""
    return [each for each in among if not each.is_valid]


def unused(among: Sequence[IndexUse]) -> list[Unused]:
    """Return the indexes that nothing scanned for 14 days, by our samples or PostgreSQL's count, the largest first.

    `among` are `every` or the `notable` ones. Those of partitions are left out: they come and go with their
    parent's. One statement.
    """
    counted = [
        Unused(
            *(each.schema, each.table, each.index, each.index_size, each.writes_paid),
            *(each.key_columns, each.counted_since, 0),
        )
        for each in among
        if each.drop_candidate and not each.is_attached
    ]
    sampled = [
        Unused(
            *("public", each.table, each.index, each.bytes, each.writes_paid),
            *(each.key_columns, each.since, each.samples),
        )
        for each in index_history.unused(_long_ago(), among)
    ]
    found = {each.index: each for each in [*counted, *sampled]}
    return sorted(found.values(), key=lambda each: (-each.size, each.index))


def _unused(window: Window) -> Mapping[str, Any]:
    found = unused(every())
    since = min((each.counted_since for each in every()), default=None)
    long_ago = timezone.now() - index_history.UNUSED_FOR
    return {
        "since": since,
        "is_long": bool(found) or (since is not None and since < long_ago),
        "idle": sum(each.is_idle for each in every()),
        "found": found[:UNUSED_LIMIT],
        "count": len(found),
        "limit": UNUSED_LIMIT,
    }


def _twice(window: Window) -> Mapping[str, Any]:
    return {
        "pairs": [
            (each, remedies.drop_index(each.schemaname, each.tablename, each.redundant_index))
            for each in indexes.redundant()
        ]
    }


def _invalid(window: Window) -> Mapping[str, Any]:
    return {
        "found": [
            (each, remedies.rebuild_index(each.schema, each.index)) for each in invalid(every())
        ]
    }


def _all(window: Window) -> Mapping[str, Any]:
    order = window.choice("sort", ORDERS)
    found = sorted(every(), key=ORDERS[order])
    return {
        "found": [(each, KEPT.get(each.kept_because or "", "")) for each in found[:LIMIT]],
        "count": len(found),
        "limit": LIMIT,
        "sorts": window.pills("sort", SORTS, order),
    }


PAGE = MonitoringPage(
    name="indexes",
    title=_("Index usage"),
    ranged=False,
    panels=(
        Panel(
            name="unused",
            title=_("Unused"),
            read=_unused,
            template="monitoring/pages/indexes_unused.html",
            help=_(
                "Never scanned in at least 14 days, and nothing depends on them. Look at each standby"
                " too: scans are counted where they run."
            ),
            wants=("stats.counts",),
        ),
        Panel(
            name="twice",
            title=_("There twice"),
            read=_twice,
            template="monitoring/pages/indexes_twice.html",
            help=_(
                "What another index does as well: the same columns, or the first of its columns."
            ),
        ),
        Panel(
            name="invalid",
            title=_("Invalid"),
            read=_invalid,
            template="monitoring/pages/indexes_invalid.html",
            help=_(
                "Left behind by a CREATE INDEX or REINDEX CONCURRENTLY that failed, or being built"
                " right now: written to, and never read."
            ),
        ),
        Panel(
            name="all",
            title=_("All indexes"),
            read=_all,
            template="monitoring/pages/indexes_all.html",
            wants=("stats.counts",),
        ),
    ),
)
