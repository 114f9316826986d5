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
