"""How long a request may spend on Redis, over all that it asks of it: rates, pages and sessions together."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings


class _Left(threading.local):
    seconds: float | None = None  # None outside requests: each command has REDIS_TIMEOUT of its own


_left = _Left()


@contextmanager
def of_request() -> Iterator[None]:
    """Give this thread REDIS_BUDGET seconds for all its commands inside."""
    _left.seconds = settings.REDIS_BUDGET
    try:
        yield
    finally:
        _left.seconds = None


def left() -> float:
    """Return how many seconds the next command may take; 0 when nothing is left."""
    seconds = _left.seconds
    if seconds is None:
        return float(settings.REDIS_TIMEOUT)
    return max(0.0, min(seconds, settings.REDIS_TIMEOUT))


def spend(begun: float) -> None:
    """Take what has passed since `begun` (time.monotonic()) from the request's budget."""
    if _left.seconds is not None:
        _left.seconds -= time.monotonic() - begun
