"""The transaction of a verb: its own, or a request's that ends with it.

A verb inside another transaction takes a savepoint, since its caller may catch what it raises and go
on. A request under an idempotency key does not go on: whatever is raised ends it. There a savepoint
would be two round trips for nothing.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import ParamSpec, TypeVar

from django.db import transaction

from khaacho import sql

P = ParamSpec("P")
R = TypeVar("R")

_ends_with_the_verb: ContextVar[bool] = ContextVar("ends_with_the_verb", default=False)


@contextmanager
def request() -> Iterator[None]:
    """Open a transaction that any error inside rolls back, and whose verbs therefore need no savepoint."""
    token = _ends_with_the_verb.set(True)
    try:
        with transaction.atomic():
            yield
    finally:
        _ends_with_the_verb.reset(token)


def in_request() -> bool:
    """Return whether an error here ends the whole transaction: whoever opened it may begin it anew."""
    return _ends_with_the_verb.get()


def verb(function: Callable[P, R]) -> Callable[P, R]:
    """Run a service in a transaction of its own, in a savepoint, or as the end of a request's."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        with transaction.atomic(savepoint=not in_request()):
            return function(*args, **kwargs)

    return wrapped


@contextmanager
def bounded_waits(patience: str) -> Iterator[None]:
    """Wait no longer than `patience` for a lock; a savepoint, whose end puts back what held before.

    Raises OperationalError from the statement that waited in vain.
    """
    with transaction.atomic():
        before = sql.fetch_one("SELECT current_setting('lock_timeout')")
        assert before is not None
        sql.fetch_one("SELECT set_config('lock_timeout', %s, true)", [patience])
        yield
        sql.fetch_one("SELECT set_config('lock_timeout', %s, true)", [before[0]])
