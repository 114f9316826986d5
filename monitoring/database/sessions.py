"""Sessions: how many, in which state, who waits for whom, and what maintenance is doing."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from monitoring.database import access


@dataclass(frozen=True)
class Connections:
    """Sessions alike: of one database, role, program, address and state."""

    id: str
    datname: str
    usename: str | None
    application_name: str
    client_addr: str | None
    state: str
    connections: int
    longest_in_state: timedelta | None
    oldest: timedelta | None
    max_connections: int
    reserved_connections: int


@dataclass(frozen=True)
class Waiter:
    """A session in the tree of who waits for whom; depth 0 is a root, which waits for nobody.

    pid 0 is a prepared transaction. What the role may not see is None.
    """

    id: str
    root: int
    depth: int
    pid: int
    usename: str | None
    application_name: str | None
    state: str | None
    wait_event: str | None
    xact_age: timedelta | None
    waiting_for: timedelta | None
    waiting_on: str | None
    wants: str | None
    blocks_n: int
    query: str | None
    blocked_by: list[int]
    backend_start: datetime | None
    path: list[int]


@dataclass(frozen=True)
class Progress:
    """A VACUUM, ANALYZE, index build, CLUSTER or VACUUM FULL that is running; `pct` 0–100."""

    id: str
    kind: str
    pid: int
    relation: str | None
    phase: str | None
    pct: Decimal | None
    is_automatic: bool
    started_at: datetime | None


def connections(*, limit: int = 200) -> list[Connections]:
    """Return sessions by their kind, the most numerous first. Raises Unavailable."""
    order = "connections DESC, id"
    return access.records(Connections, "monitor.connections", order=order, limit=limit)


def blocking(*, limit: int = 200) -> list[Waiter]:
    """Return the tree from the roots down, a root before who waits for it. Raises Unavailable."""
    return access.records(Waiter, "monitor.blocking_tree", order="path", limit=limit)


def progress(*, limit: int = 50) -> list[Progress]:
    """Return the maintenance that is running. Raises Unavailable."""
    return access.records(Progress, "monitor.maintenance_progress", order="id", limit=limit)
