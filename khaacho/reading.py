"""Which server a read of this moment goes to: the primary, unless khaacho.replica says otherwise.

Nothing here decides: `from_replica` and `pinned` mark what runs inside of them, and plain SQL
(khaacho/sql.py) and the ORM (Router) obey the same mark. A transaction of the primary keeps what it reads.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Model

REPLICA = "replica"
_NOT_MIGRATED = (REPLICA, "direct")

_is_from_replica: ContextVar[bool] = ContextVar("from_replica", default=False)
_is_pinned: ContextVar[bool] = ContextVar("pinned_to_primary", default=False)


@contextmanager
def from_replica() -> Iterator[None]:
    """Let what is read in here be read from the replica."""
    token = _is_from_replica.set(True)
    try:
        yield
    finally:
        _is_from_replica.reset(token)


@contextmanager
def pinned() -> Iterator[None]:
    """Let nothing in here be read from the replica: what is kept for others must be the newest."""
    token = _is_pinned.set(True)
    try:
        yield
    finally:
        _is_pinned.reset(token)


def is_pinned() -> bool:
    """Return whether reads must be of the primary here: pinned, or in a transaction of it."""
    return _is_pinned.get() or connections[DEFAULT_DB_ALIAS].in_atomic_block


def alias() -> str:
    """Return the alias that a read goes to now."""
    if _is_from_replica.get() and not is_pinned():
        return REPLICA
    return DEFAULT_DB_ALIAS


class Router:
    """The ORM's reads go where `alias` says; its writes never go to the replica."""

    def db_for_read(self, model: type[Model], **hints: Any) -> str | None:
        return REPLICA if alias() == REPLICA else None

    def db_for_write(self, model: type[Model], **hints: Any) -> str | None:
        instance = hints.get("instance")
        is_from_there = instance is not None and instance._state.db == REPLICA
        return DEFAULT_DB_ALIAS if is_from_there else None

    def allow_relation(self, one: Model, other: Model, **hints: Any) -> bool | None:
        places = {one._state.db, other._state.db}
        return True if places == {REPLICA, DEFAULT_DB_ALIAS} else None

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return False if db in _NOT_MIGRATED else None
