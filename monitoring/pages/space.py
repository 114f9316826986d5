"""What takes the space, how fast it grows, and what runs out: ids, multixacts, sequences."""

import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from khaacho import months
from khaacho.adminsite import charts
from monitoring.database import access
from monitoring.history import partitions
from monitoring.history import space as history
from monitoring.pages.connections import BAD_SECONDS, WARN_SECONDS, micros
from monitoring.pages.framework import MonitoringPage, Panel, Window, timeout_ms
from monitoring.pages.sharing import once

LIMIT = 50
LARGEST = 10  # in the chart
MEGABYTE = 1024 * 1024
IDS_WARN, IDS_BAD = 40, 75  # per cent; autovacuum begins to freeze by itself at 10
USED_WARN, USED_BAD = 70, 90  # per cent of a sequence
DISK_DAYS = (14, 60)  # below which it is bad, and below which it warns
WEEK_DAYS = (2, 6)  # of weeks ahead; a job makes them at night
_NEVER = datetime.min.replace(tzinfo=UTC)
TABLES = f"""
SELECT "table", schema, table_size, index_size, toast_size, total_size, is_locked,
    sum(total_size) OVER ()::bigint AS whole
FROM table_bloat_stats ORDER BY total_size DESC, id LIMIT {LIMIT}
"""
IDS = """
SELECT datname, xid_age, xid_pct, xids_left, mxid_age, mxid_pct, mxids_left, freeze_max_age,
    is_this_database
FROM monitor.wraparound ORDER BY greatest(xid_pct, mxid_pct) DESC, datname LIMIT 20
"""
SEQUENCES = """
SELECT sequence_name, tablename, columnname, column_type, last_value, ceiling, used_pct, values_left,
    cycles, unreadable, locked
FROM monitor.sequence_usage ORDER BY used_pct DESC, sequence_name LIMIT 20
"""
HOLDERS = """
SELECT h.kind, h.who, h.detail, h.xmin_age, h.state, extract(epoch FROM h.held_for)::float8 AS seconds,
    a.pid, a.backend_start
FROM monitor.xmin_holders h LEFT JOIN pg_stat_activity a ON h.kind = 'session' AND h.id = 'backend:' || a.pid
ORDER BY h.xmin_age DESC NULLS LAST, h.id LIMIT 20
"""


def _tables(window: Window) -> Mapping[str, Any]:
    rows = access.fetch_dicts(TABLES, timeout_ms=timeout_ms())
    bars = [(row["table"], round(row["total_size"] / MEGABYTE, 1)) for row in rows[:LARGEST]]
    return {
        "tables": rows,
        "whole": rows[0]["whole"] if rows else 0,
        "chart": charts.bar_chart(bars, title=_("The largest tables"), unit="MB"),
    }


def _growth(window: Window) -> Mapping[str, Any]:
    """Return the pace by the samples; before a day was sampled it is unknown, and said so."""
    found = once(history.growth)
    return {"database": found.database, "tables": found.tables[:20]}


def _days(window: Window) -> Mapping[str, Any]:
    """Return what ends one day: the disks of this machine at the database's pace, and weeks made ahead."""
    database = once(history.growth).database
    pace = (database.bytes_per_day or 0) if database else 0
    disks = []
    for path in _each_disk():
        room = shutil.disk_usage(path)
        days = int(room.free / pace) if pace > 0 else None
        disks.append(
            {
                "path": path,
                "free": room.free,
                "used_pct": 100 * (room.total - room.free) / room.total,
                "days": days,
                "tone": _ahead(days, *DISK_DAYS),
            }
        )
    names = access.fetch(partitions.EXISTING, [list(partitions.TABLES)])
    ends: dict[str, datetime] = {}
    for table, week in names:
        ends[table] = max(partitions.end_of(week), ends.get(table, _NEVER))
    if ends:
        ends |= {table: months.made_until(table, access.fetch) for table in months.TABLES}
    weeks = [
        {"table": table, "end": end, "tone": _ahead(days, *WEEK_DAYS), "days": days}
        for table, end in sorted(ends.items())
        for days in [(end - timezone.now()).days]
    ]
    return {"disks": disks, "weeks": weeks}


def _each_disk() -> list[str]:
    """Return the watched directories that are there, one of each disk."""
    there = [path for path in settings.WATCHED_DISKS if Path(path).exists()]
    return list({Path(path).stat().st_dev: path for path in reversed(there)}.values())[::-1]


def _ahead(days: float | None, bad: float, warn: float) -> str:
    if days is None:
        return "quiet"
    return "bad" if days < bad else "warn" if days < warn else "good"


def _ids(window: Window) -> Mapping[str, Any]:
    rows = access.fetch_dicts(IDS, timeout_ms=timeout_ms())
    return {
        "databases": [
            {
                **row,
                "xid_tone": _tone(row["xid_pct"], IDS_WARN, IDS_BAD),
                "mxid_tone": _tone(row["mxid_pct"], IDS_WARN, IDS_BAD),
            }
            for row in rows
        ]
    }


def _sequences(window: Window) -> Mapping[str, Any]:
    rows = access.fetch_dicts(SEQUENCES, timeout_ms=timeout_ms())
    return {
        "sequences": [{**row, "tone": _tone(row["used_pct"], USED_WARN, USED_BAD)} for row in rows]
    }


def _holders(window: Window) -> Mapping[str, Any]:
    rows = access.fetch_dicts(HOLDERS, timeout_ms=timeout_ms())
    return {
        "holders": [
            {**row, "pid": str(row["pid"]), "tone": _held(row), "started": _started(row)}
            for row in rows
        ]
    }


def _held(row: Mapping[str, Any]) -> str:
    if row["seconds"] is None:
        return "warn"
    return _tone(row["seconds"], WARN_SECONDS, BAD_SECONDS).replace("good", "quiet")


def _started(row: Mapping[str, Any]) -> int | None:
    return None if row["backend_start"] is None else micros(row["backend_start"])


def _tone(value: Any, warn: float, bad: float) -> str:
    if value is None or value < warn:
        return "good"
    return "bad" if value >= bad else "warn"


PAGE = MonitoringPage(
    name="space",
    title=gettext_lazy("Space and growth"),
    ranged=False,
    panels=(
        Panel(
            name="holders",
            title=gettext_lazy("What holds vacuum back"),
            read=_holders,
            template="monitoring/pages/space_holders.html",
            help=gettext_lazy(
                "VACUUM cannot remove what died after the oldest of these began, however often it runs."
            ),
            wants=("stats.all_users",),
        ),
        Panel(
            name="tables",
            title=gettext_lazy("What takes the space"),
            read=_tables,
            template="monitoring/pages/space_tables.html",
        ),
        Panel(
            name="growth",
            title=gettext_lazy("Growth"),
            read=_growth,
            template="monitoring/pages/space_growth.html",
            help=gettext_lazy("By the samples of the last 30 days."),
        ),
        Panel(
            name="days",
            title=gettext_lazy("Days left"),
            read=_days,
            template="monitoring/pages/space_days.html",
            help=gettext_lazy(
                "The disks of the machine that shows this page (WATCHED_DISKS), as if the database alone"
                " grew on them; and until when tables of samples and months of the audit log are made ahead."
            ),
        ),
        Panel(
            name="ids",
            title=gettext_lazy("Transaction ids and multixacts"),
            read=_ids,
            template="monitoring/pages/space_ids.html",
            help=gettext_lazy(
                "When none is left PostgreSQL stops writing. VACUUM gives them back, by itself from"
                " autovacuum_freeze_max_age on."
            ),
        ),
        Panel(
            name="sequences",
            title=gettext_lazy("Sequences"),
            read=_sequences,
            template="monitoring/pages/space_sequences.html",
            help=gettext_lazy("A sequence ends where its own maximum or its column's type does."),
        ),
    ),
)
