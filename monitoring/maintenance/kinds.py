"""What may be done to a table or an index."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import TextChoices


class MaintenanceKind(TextChoices):
    ANALYZE = "analyze", "ANALYZE"
    VACUUM = "vacuum", "VACUUM"
    VACUUM_ANALYZE = "vacuum_analyze", "VACUUM ANALYZE"
    REINDEX_INDEX = "reindex_index", "REINDEX INDEX CONCURRENTLY"
    REINDEX_TABLE = "reindex_table", "REINDEX TABLE CONCURRENTLY"
    EXACT_BLOAT = "exact_bloat", "Exact bloat"


class MaintenanceState(TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN_STATES = (MaintenanceState.QUEUED, MaintenanceState.RUNNING)
TABLES, INDEXES = "rm", "i"  # pg_class.relkind


@dataclass(frozen=True)
class Rule:
    """How a kind is done. `statement` has a place for the quoted name; `relkinds` are those it may be done to.

    `lock_seconds` is how long it may wait for a lock. All of them take SHARE UPDATE EXCLUSIVE at most,
    behind which no reader or writer waits; the wait of a REINDEX is for old transactions to end.
    """

    statement: str
    relkinds: str
    lock_seconds: int
    effect: str


RULES: Mapping[MaintenanceKind, Rule] = {
    MaintenanceKind.ANALYZE: Rule(
        "ANALYZE (VERBOSE) {}",
        TABLES,
        3,
        "Reads a sample of the table and renews the planner's statistics. Reading and writing go on.",
    ),
    MaintenanceKind.VACUUM: Rule(
        "VACUUM (VERBOSE) {}",
        TABLES,
        3,
        "Makes the room of dead rows free for new ones. Reading and writing go on; the file does not shrink.",
    ),
    MaintenanceKind.VACUUM_ANALYZE: Rule(
        "VACUUM (VERBOSE, ANALYZE) {}",
        TABLES,
        3,
        "Makes the room of dead rows free for new ones, then renews the planner's statistics."
        " Reading and writing go on.",
    ),
    MaintenanceKind.REINDEX_INDEX: Rule(
        "REINDEX (VERBOSE) INDEX CONCURRENTLY {}",
        INDEXES,
        30,
        "Builds the index anew beside the old one, then replaces it. Reading and writing go on; it needs"
        " as much free disk as the index, and waits for transactions that are older than itself.",
    ),
    MaintenanceKind.REINDEX_TABLE: Rule(
        "REINDEX (VERBOSE) TABLE CONCURRENTLY {}",
        "r",
        30,
        "Builds each index of the table anew beside the old one, then replaces it. Reading and writing go"
        " on; it needs as much free disk as the indexes, and waits for older transactions.",
    ),
    MaintenanceKind.EXACT_BLOAT: Rule(
        "SELECT to_jsonb(s) FROM {function}({target}::regclass) s",
        TABLES + INDEXES,
        3,
        "Reads the whole table or index to count its free space. Changes nothing.",
    ),
}
