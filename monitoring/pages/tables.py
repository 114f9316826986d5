"""Tables: what is dead in them, how much of their file is free, and when autovacuum comes."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.utils.translation import gettext_lazy as _

from monitoring.database import access
from monitoring.pages.framework import MonitoringPage, Panel, Pill, Window, timeout_ms

LIMIT = 200
DEAD_WARN, DEAD_BAD = 10, 20  # per cent of a table's rows
SWOLLEN_WARN, SWOLLEN_BAD = 30, 50  # per cent of its file
SMALL = 1024 * 1024  # bytes of a table of which no share is a trouble
ORDERS = {
    "dead": "b.dead_tuples DESC, b.id",
    "free": "b.estimated_bloat_bytes DESC NULLS LAST, b.id",
    "size": "b.total_size DESC, b.id",
    "due": "d.pct_of_threshold DESC NULLS LAST, b.id",
    "table": 'b."table"',
}
SORTS = {
    "dead": _("Most dead rows"),
    "free": _("Most free space"),
    "size": _("Largest"),
    "due": _("Nearest to autovacuum"),
    "table": _("By name"),
}
# The newest exact measurement of each table, from the index that holds only those.
TABLES = f"""
SELECT b.*, ceil(d.vacuum_threshold) AS vacuum_threshold, d.pct_of_threshold, d.due, d.autovacuum_on, d.analyze_due,
    d.n_mod_since_analyze, d.analyze_threshold, d.xid_age, d.freeze_max_age,
    greatest(b.last_vacuum, b.last_autovacuum) AS vacuumed,
    b.last_autovacuum IS NOT NULL AND b.last_autovacuum >= coalesce(b.last_vacuum, b.last_autovacuum)
        AS vacuumed_by_itself,
    greatest(b.last_analyze, b.last_autoanalyze) AS analyzed,
    b.schema = current_schema() AS is_ours, e.finished_at AS measured_at,
    (e.result ->> 'free_space')::bigint AS exact_free, (e.result ->> 'free_percent')::float8 AS exact_percent,
    (e.result ->> 'dead_tuple_len')::bigint AS exact_dead,
    count(*) OVER () AS found
FROM table_bloat_stats b
LEFT JOIN monitor.autovacuum_due d ON d.id = b.id
LEFT JOIN LATERAL (
    SELECT r.finished_at, r.result FROM maintenance_runs r
    WHERE r.target = b."table" AND b.schema = current_schema() AND r.kind = 'exact_bloat' AND r.state = 'done'
    ORDER BY r.id DESC LIMIT 1
) e ON true
ORDER BY {{order}} LIMIT {LIMIT}
"""


def _tables(window: Window) -> Mapping[str, Any]:
    order = window.choice("sort", ORDERS)
    rows = access.fetch_dicts(TABLES.format(order=ORDERS[order]), timeout_ms=timeout_ms())
    return {
        "tables": [{**row, **_tones(row)} for row in rows],
        "found": rows[0]["found"] if rows else 0,
        "limit": LIMIT,
        "sorts": [
            Pill(str(text), f"?{urlencode({'sort': name})}", name == order)
            for name, text in SORTS.items()
        ],
    }


def _tones(row: Mapping[str, Any]) -> dict[str, str]:
    """Return the badges' tones; a small table is no trouble, whatever its share."""
    is_small = row["table_size"] < SMALL
    return {
        "dead_tone": _tone(row["dead_tuple_percent"], DEAD_WARN, DEAD_BAD, is_small),
        "free_tone": _tone(row["estimated_bloat_percent"], SWOLLEN_WARN, SWOLLEN_BAD, is_small),
    }


def _tone(value: Any, warn: int, bad: int, is_small: bool) -> str:
    if value is None or is_small or value < warn:
        return "quiet"
    return "bad" if value >= bad else "warn"


PAGE = MonitoringPage(
    name="tables",
    title=_("Tables and bloat"),
    ranged=False,
    panels=(
        Panel(
            name="tables",
            title=_("Dead rows and free space"),
            read=_tables,
            template="monitoring/pages/tables.html",
            help=_(
                "Many dead rows: autovacuum is behind. Much free space with few dead rows: the file is"
                " swollen, new rows fill it again; VACUUM does not give it back to the disk."
            ),
            wants=("stats.counts",),
        ),
    ),
)
