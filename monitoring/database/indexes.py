"""Indexes: how used, which one another does the work of, which one's build failed."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from monitoring.database import access


@dataclass(frozen=True)
class IndexUse:
    """One index. `kept_because` says what it is for beside searching, and forbids to propose dropping it.

    `drop_candidate`: not scanned in 14 days of the server's own counting, and nothing forbids it.
    `is_attached`: a partition's, which comes and goes with its parent's.
    """

    id: str
    schema: str
    table: str
    index: str
    index_scans: int
    tuples_read: int
    tuples_fetched: int
    index_size: int
    is_unique: bool
    is_valid: bool
    is_primary: bool
    method: str
    key_columns: str
    is_partial: bool
    has_expressions: bool
    kept_because: str | None
    drop_candidate: bool
    last_scan: datetime | None
    writes_paid: int
    counted_since: datetime
    is_locked: bool
    is_attached: bool

    @property
    def is_idle(self) -> bool:
        """Whether it was never scanned and may be dropped, however long was counted."""
        return self.index_scans == 0 and self.kept_because is None and self.is_valid


@dataclass(frozen=True)
class DefinedIndex(IndexUse):
    """One index with its CREATE INDEX, which PostgreSQL has to write out; None while the table is locked."""

    definition: str | None


Kind = TypeVar("Kind", bound=IndexUse)


@dataclass(frozen=True)
class Redundant:
    """An index whose work `covered_by` does as well: its duplicate, or longer than it."""

    id: str
    schemaname: str
    tablename: str
    redundant_index: str
    covered_by: str
    kind: str
    wasted_bytes: int


def indexes(*, limit: int = 1000) -> list[IndexUse]:
    """Return indexes, the least used first, of these the biggest. Raises Unavailable."""
    return _indexes(IndexUse, "true", limit)


def notable(*, limit: int = 1000) -> list[IndexUse]:
    """Return those that are broken, and those that might be dropped were they not used. Raises Unavailable."""
    return _indexes(IndexUse, "NOT is_valid OR kept_because IS NULL AND NOT is_attached", limit)


def unused(*, limit: int = 200) -> list[DefinedIndex]:
    """Return indexes without a scan that may be dropped, however long was counted. Raises Unavailable."""
    return _indexes(DefinedIndex, "index_scans = 0 AND kept_because IS NULL AND is_valid", limit)


def invalid(*, limit: int = 200) -> list[DefinedIndex]:
    """Return indexes whose concurrent build failed: they cost writes and serve nobody. Raises Unavailable."""
    return _indexes(DefinedIndex, "NOT is_valid", limit)


def redundant(*, limit: int = 200) -> list[Redundant]:
    """Return indexes that another one replaces, the biggest first. Raises Unavailable."""
    order = "wasted_bytes DESC, id"
    return access.records(Redundant, "monitor.duplicate_indexes", order=order, limit=limit)


def _indexes(kind: type[Kind], where: str, limit: int) -> list[Kind]:
    order = "index_scans, index_size DESC, id"
    return access.records(kind, "index_usage_stats", order=order, where=where, limit=limit)
