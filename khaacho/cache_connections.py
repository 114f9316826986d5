"""Connections of django-redis, which keeps sessions: bounded by the request's budget and the breaker.

redis-py's own timeouts are per system call; one command may make several. Here connecting, each
write and each read ask for leave, take what is left of the budget, and tell the breaker how it went.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from django_redis.pool import ConnectionFactory
from redis import exceptions
from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection

from khaacho import cache_budget, origins
from khaacho.breaker import breaker_of

log = logging.getLogger(__name__)

BROKEN = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.InvalidResponse,
    exceptions.OutOfMemoryError,
)


class Deadlined:
    """A socket whose every read and write ends by a moment, where one is set; a timeout is for each alone."""

    def __init__(self, plain: Any) -> None:
        self._plain = plain
        self.deadline: float | None = None
        self.patience = 0.0  # seconds that the last read or write had
        self.is_answering = False  # something was read since `until` was called

    def until(self, deadline: float) -> None:
        """Begin a call that ends by this moment (time.monotonic())."""
        self.deadline, self.is_answering = deadline, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plain, name)

    def recv(self, *args: Any) -> Any:
        self._arm()
        received = self._plain.recv(*args)
        self.is_answering = True
        return received

    def recv_into(self, *args: Any) -> Any:
        self._arm()
        return self._plain.recv_into(*args)

    def sendall(self, *args: Any) -> Any:
        self._arm()
        return self._plain.sendall(*args)

    def _arm(self) -> None:
        if self.deadline is not None:
            self.patience = max(0.001, self.deadline - time.monotonic())
            self._plain.settimeout(self.patience)


class Bounded:
    """Mixed into redis-py's connections. Raises TimeoutError of redis-py without leave or time."""

    url: str
    _sock: Any
    socket_timeout: Any
    socket_connect_timeout: Any

    @contextmanager
    def _bounded(self) -> Iterator[None]:
        begun = time.monotonic()
        seconds = cache_budget.left()
        breaker = breaker_of(self.url)
        if seconds <= 0 or not breaker.permits():
            raise exceptions.TimeoutError("Redis is left alone for now.")
        self.socket_connect_timeout = self.socket_timeout = seconds
        if self._sock is not None:
            self._sock.deadline = begun + seconds
        outcome = origins.FAILED
        try:
            yield
            outcome = origins.DONE
        except (*BROKEN, OSError) as error:
            if breaker.trip():
                log.warning("redis.failed", extra={"error": type(error).__name__})
            raise
        finally:
            cache_budget.spend(begun)
            origins.asked_cache(time.monotonic() - begun, outcome)
            if self._sock is not None:
                self._sock.deadline = None
        breaker.reset()

    def _connect(self) -> Any:
        with self._bounded():
            return Deadlined(super()._connect())  # type: ignore[misc]

    def read_response(self, *args: Any, **options: Any) -> Any:
        with self._bounded():
            return super().read_response(*args, **options)  # type: ignore[misc]


class BoundedConnection(Bounded, Connection):
    pass


class BoundedTLS(Bounded, SSLConnection):
    pass


class BoundedUnix(Bounded, UnixDomainSocketConnection):
    pass


CLASSES = {"rediss": BoundedTLS, "unix": BoundedUnix}


class Factory(ConnectionFactory):  # type: ignore[misc] # django-redis is untyped here
    """django-redis's pools, of bounded connections that do not try again."""

    def make_connection_params(self, url: str) -> dict[str, Any]:
        kind = CLASSES.get(urlsplit(url).scheme, BoundedConnection)
        bound = type(kind.__name__, (kind,), {"url": url})
        return {**super().make_connection_params(url), "connection_class": bound}
