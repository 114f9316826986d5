"""The database at a glance, for terminals and machines."""

import json
from dataclasses import asdict
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder
from django.template.defaultfilters import filesizeformat
from django.utils import timezone

from monitoring.database.overview import Section, overview

WIDEST = 60
# Columns of the text form; the JSON form has all.
COLUMNS = {
    "capabilities": ("ok", "id", "what", "fix"),
    "statements": ("total_exec_time", "mean_exec_time", "calls", "total_time_pct", "query"),
    "slow_queries": ("mean_exec_time", "max_exec_time", "calls", "total_exec_time", "query"),
    "tables": (
        "table",
        "total_size",
        "table_size",
        "live_tuples",
        "dead_tuples",
        "last_autovacuum",
    ),
    "swollen_tables": ("table", "table_size", "estimated_bloat_bytes", "estimated_bloat_percent"),
    "missing_indexes": ("table", "seq_tup_read", "seq_scan", "idx_scan", "table_size"),
    "unindexed_foreign_keys": ("tablename", "columns", "references_table", "estimated_rows"),
    "autovacuum": ("tablename", "n_dead_tup", "vacuum_threshold", "due", "autovacuum_on"),
    "unused_indexes": ("index", "table", "index_size", "counted_since"),
    "duplicate_indexes": ("redundant_index", "covered_by", "kind", "wasted_bytes"),
    "invalid_indexes": ("index", "table", "index_size"),
    "connections": ("connections", "state", "application_name", "usename", "longest_in_state"),
    "blocking": ("depth", "pid", "usename", "waiting_for", "waiting_on", "blocks_n", "query"),
    "maintenance": ("kind", "relation", "phase", "pct", "pid"),
    "space": ("tables", "indexes", "toast"),
    "wraparound": ("datname", "xid_pct", "xids_left", "mxid_pct", "mxids_left"),
    "vacuum_held_back": ("kind", "who", "detail", "xmin_age", "held_for", "state"),
    "sequences": ("sequence_name", "used_pct", "last_value", "ceiling", "values_left"),
}
BYTES = {
    *("total_size", "table_size", "index_size", "estimated_bloat_bytes", "wasted_bytes"),
    *("toast", "indexes", "tables"),
}


class Command(BaseCommand):
    help = (
        "Print what PostgreSQL says about this database: what is lacking with its remedy, top statements, tables,"
        " indexes (unused, duplicate, invalid), connections, blocking, space, wraparound and sequences. Reads"
        " only, beside the application's pool, each part within a second. Exit code 0: all was read; 1: something"
        " could not be, and the report says what and why."
    )
    requires_system_checks = []  # it must run when other things do not

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--format", choices=["text", "json"], default="text")
        parser.add_argument("--top", type=_rows, default=10, help="rows of each part, 1–1000 (10)")

    def handle(self, *args: Any, **options: Any) -> None:
        found = overview(top=options["top"])
        self.stdout.write(_as_json(found) if options["format"] == "json" else _as_text(found))
        failed = [section.name for section in found if section.problem]
        if failed:
            raise CommandError(f"not read: {', '.join(failed)}")


def _rows(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 1000:
        raise ValueError(text)
    return number


def _as_json(found: list[Section]) -> str:
    document = {
        "at": timezone.now(),
        "sections": {section.name: [asdict(row) for row in section.rows] for section in found},
        "problems": {
            section.name: {
                "reason": section.problem.reason,
                "message": section.problem.message,
                "detail": section.problem.detail,
                "remedy": section.problem.remedy,
            }
            for section in found
            if section.problem
        },
    }
    return json.dumps(document, indent=2, ensure_ascii=False, cls=DjangoJSONEncoder)


def _as_text(found: list[Section]) -> str:
    return "\n\n".join(_section(section) for section in found)


def _section(section: Section) -> str:
    title = section.name.replace("_", " ").capitalize()
    if section.problem:
        problem = section.problem
        return (
            f"{title}\n  NOT READ: {problem.message} {problem.detail}\n  Remedy: {problem.remedy}"
        )
    if not section.rows:
        return f"{title}\n  none"
    columns = COLUMNS[section.name]
    table = [[_shown(name, getattr(row, name)) for name in columns] for row in section.rows]
    if section.name == "capabilities":
        table = [[*row[:-1], "" if row[0] == "yes" else row[-1]] for row in table]
    widths = [max(len(cells[n]) for cells in [columns, *table]) for n in range(len(columns))]
    lines = [
        "  "
        + "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
        for cells in ([*columns], *table)
    ]
    return "\n".join([title, *lines])


def _shown(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if name in BYTES and isinstance(value, int):
        return filesizeformat(value).replace("\xa0", " ")
    if isinstance(value, datetime):
        return f"{timezone.localtime(value):%Y-%m-%d %H:%M}"
    if isinstance(value, timedelta):
        return f"{max(0, value.total_seconds()):.0f} s"
    if isinstance(value, float | Decimal):
        return f"{value:,.1f}"
    text = " ".join(str(value).split())
    return text if len(text) <= WIDEST or name == "fix" else f"{text[:WIDEST]}…"
