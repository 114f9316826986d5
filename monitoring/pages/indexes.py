"""Which indexes are used, which are not, and which are there twice or broken."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.utils.translation import gettext_lazy as _

from monitoring.database import access
from monitoring.pages import remedies
from monitoring.pages.framework import MonitoringPage, Panel, Pill, Window, timeout_ms

LIMIT = 500
ORDERS = {
    "scans": "index_scans, index_size DESC",
    "size": "index_size DESC",
    "writes": "writes_paid DESC",
    "table": '"table", index',
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
_COLUMNS = """
schema, "table", index, index_scans, index_size, key_columns, method, is_valid, kept_because,
last_scan, writes_paid, counted_since, is_locked, is_partial
"""
_UNUSED = (
    f"SELECT {_COLUMNS} FROM index_usage_stats WHERE drop_candidate ORDER BY index_size DESC, index"
)
_KNOWN = """
SELECT min(counted_since), min(counted_since) < now() - interval '14 days',
    count(*) FILTER (WHERE index_scans = 0 AND kept_because IS NULL AND is_valid)
FROM index_usage_stats
"""
_INVALID = f"SELECT {_COLUMNS} FROM index_usage_stats WHERE NOT is_valid ORDER BY index"
_ALL = f"SELECT {_COLUMNS}, count(*) OVER () AS found FROM index_usage_stats ORDER BY {{order}} LIMIT {LIMIT}"
_TWICE = "SELECT * FROM monitor.duplicate_indexes ORDER BY wasted_bytes DESC, redundant_index, covered_by"


def _unused(window: Window) -> Mapping[str, Any]:
    since, is_long, idle = access.fetch(_KNOWN, timeout_ms=timeout_ms())[0]
    rows = access.fetch_dicts(_UNUSED, timeout_ms=timeout_ms())
    return {
        "since": since,
        "is_long": bool(is_long),
        "idle": idle,
        "indexes": [
            {**row, "fix": remedies.drop_index(row["schema"], row["table"], row["index"])}
            for row in rows
        ],
    }


def _twice(window: Window) -> Mapping[str, Any]:
    rows = access.fetch_dicts(_TWICE, timeout_ms=timeout_ms())
    return {
        "pairs": [
            {
                **row,
                "fix": remedies.drop_index(
                    row["schemaname"], row["tablename"], row["redundant_index"]
                ),
            }
            for row in rows
        ]
    }


def _invalid(window: Window) -> Mapping[str, Any]:
    rows = access.fetch_dicts(_INVALID, timeout_ms=timeout_ms())
    return {
        "indexes": [
            {**row, "fix": remedies.rebuild_index(row["schema"], row["index"])} for row in rows
        ]
    }


def _all(window: Window) -> Mapping[str, Any]:
    order = window.choice("sort", ORDERS)
    rows = access.fetch_dicts(_ALL.format(order=ORDERS[order]), timeout_ms=timeout_ms())
    return {
        "indexes": [{**row, "kept": KEPT.get(row["kept_because"], "")} for row in rows],
        "found": rows[0]["found"] if rows else 0,
        "limit": LIMIT,
        "sorts": [
            Pill(str(text), f"?{urlencode({'range': window.name, 'sort': name})}", name == order)
            for name, text in SORTS.items()
        ],
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
