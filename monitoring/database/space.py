"""Space, and what runs out: transaction ids, multixacts, sequences, and what holds vacuum back."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from monitoring.database import access


@dataclass(frozen=True)
class Space:
    """Bytes of this database's tables, their indexes and what is kept beside rows (TOAST)."""

    tables: int
    indexes: int
    toast: int

    @property
    def total(self) -> int:
        return self.tables + self.indexes + self.toast


@dataclass(frozen=True)
class Wraparound:
    """How many transaction ids and multixacts a database has used of those it can tell apart.

    PostgreSQL refuses to write when none is left; VACUUM gives them back. Percentages 0–100.
    """

    id: str
    datname: str
    xid_age: int
    xid_pct: Decimal
    xids_left: int
    mxid_age: int
    mxid_pct: Decimal
    mxids_left: int
    freeze_max_age: int
    failsafe_age: int
    multixact_freeze_max_age: int
    is_this_database: bool


@dataclass(frozen=True)
class Sequence:
    """A sequence and how much of it is used (0–100), up to its own end or its column's."""

    id: str
    sequence_name: str
    tablename: str | None
    columnname: str | None
    column_type: str | None
    last_value: int | None
    ceiling: int
    used_pct: Decimal
    values_left: int
    cycles: bool
    unreadable: bool
    locked: bool


@dataclass(frozen=True)
class Holder:
    """Who keeps vacuum from removing dead rows younger than `xmin_age` transactions."""

    id: str
    kind: str
    who: str
    detail: str | None
    xmin_age: int
    held_for: timedelta | None
    state: str | None


def space() -> Space:
    """Return what this database's relations take, without its catalogue. Raises Unavailable."""
    [row] = access.fetch(
        "SELECT coalesce(sum(bytes) FILTER (WHERE relkind IN ('r', 'm')), 0)::bigint,"
        " coalesce(sum(bytes) FILTER (WHERE relkind = 'i'), 0)::bigint,"
        " coalesce(sum(bytes) FILTER (WHERE relkind = 't'), 0)::bigint FROM monitor.relation_sizes"
    )
    return Space(*row)


def wraparound(*, limit: int = 50) -> list[Wraparound]:
    """Return the server's databases, the one with the fewest ids left first. Raises Unavailable."""
    order = "greatest(xid_pct, mxid_pct) DESC, datname"
    return access.records(Wraparound, "monitor.wraparound", order=order, limit=limit)


def sequences(*, limit: int = 200) -> list[Sequence]:
    """Return sequences, the fullest first. Raises Unavailable."""
    order = "used_pct DESC, sequence_name"
    return access.records(Sequence, "monitor.sequence_usage", order=order, limit=limit)


def holders(*, limit: int = 50) -> list[Holder]:
    """Return what holds vacuum back, the longest first. Raises Unavailable."""
    order = "xmin_age DESC NULLS LAST, id"
    return access.records(Holder, "monitor.xmin_holders", order=order, limit=limit)
