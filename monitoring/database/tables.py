"""Tables: how big, how dead, how swollen, how read, and what autovacuum has left to do."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from monitoring.database import access


@dataclass(frozen=True)
class TableSize:
    """One table. Sizes are bytes of the main fork, percentages 0–100.

    The estimate of free space is None with the reason in `estimate_note`. `is_locked`: the size is
    that of the last VACUUM or ANALYZE, since somebody holds ACCESS EXCLUSIVE.
    """

    id: str
    schema: str
    table: str
    total_size: int
    table_size: int
    index_size: int
    toast_size: int
    live_tuples: int
    dead_tuples: int
    dead_tuple_percent: Decimal
    estimated_bloat_bytes: int | None
    estimated_bloat_percent: Decimal | None
    estimate_note: str | None
    last_vacuum: datetime | None
    last_autovacuum: datetime | None
    last_analyze: datetime | None
    last_autoanalyze: datetime | None
    modified_since_analyze: int
    vacuums: int
    hot_update_percent: Decimal | None
    fillfactor: int
    is_locked: bool


@dataclass(frozen=True)
class Scanned:
    """A table above 1 MB that is read from end to end more often than by an index."""

    id: str
    schema: str
    table: str
    seq_scan: int
    seq_tup_read: int
    idx_scan: int
    avg_rows_per_scan: Decimal
    table_size: int
    live_tuples: int
    has_no_index: bool
    avg_percent_of_table_read: Decimal
    last_seq_scan: datetime | None


@dataclass(frozen=True)
class VacuumDue:
    """How near autovacuum is to a table: dead rows against the threshold at which it comes."""

    id: str
    schemaname: str
    tablename: str
    n_dead_tup: int
    vacuum_threshold: float
    pct_of_threshold: Decimal | None
    due: bool
    autovacuum_on: bool
    xid_age: int
    freeze_max_age: int
    n_mod_since_analyze: int
    analyze_threshold: float
    analyze_due: bool


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key that no index of its own table serves: deleting what it refers to reads the table."""

    id: str
    schemaname: str
    tablename: str
    constraint_name: str
    columns: str
    references_table: str
    estimated_rows: int
    on_delete: str


def tables(*, limit: int = 200) -> list[TableSize]:
    """Return tables, the biggest first. Raises Unavailable."""
    return access.records(TableSize, "table_bloat_stats", order="total_size DESC, id", limit=limit)


def swollen(*, limit: int = 200) -> list[TableSize]:
    """Return tables whose free space can be estimated, the most swollen first. Raises Unavailable."""
    return access.records(
        TableSize,
        "table_bloat_stats",
        order="estimated_bloat_bytes DESC, id",
        where="estimated_bloat_bytes IS NOT NULL",
        limit=limit,
    )


def scanned(*, limit: int = 200) -> list[Scanned]:
    """Return tables where an index may be missing, by rows read in vain. Raises Unavailable."""
    return access.records(Scanned, "missing_indexes", order="seq_tup_read DESC, id", limit=limit)


def vacuum_due(*, limit: int = 200) -> list[VacuumDue]:
    """Return tables by how near autovacuum is. Raises Unavailable."""
    order = "pct_of_threshold DESC NULLS LAST, id"
    return access.records(VacuumDue, "monitor.autovacuum_due", order=order, limit=limit)


def unindexed_foreign_keys(*, limit: int = 200) -> list[ForeignKey]:
    """Return foreign keys without an index, the biggest tables first. Raises Unavailable."""
    order = "estimated_rows DESC, tablename, constraint_name"
    return access.records(ForeignKey, "monitor.unindexed_foreign_keys", order=order, limit=limit)
