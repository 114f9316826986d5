"""On whose behalf code runs: a request's route, a job's kind, or else the process's own command.

Whoever watches from above (monitoring) reads `current`, and hears through `watch` how long each request
and each job took. Nobody need watch: then this costs a context variable.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter
from typing import Any

from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase

from khaacho import process_names
from khaacho.process_names import COMMAND, PROCESS

ROUTE, JOB = "route", "job"
__all__ = ["COMMAND", "DONE", "FAILED", "JOB", "METHODS", "PROCESS", "ROUTE"]
DONE, FAILED = "done", "failed"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_CLASSES = ("", "1xx", "2xx", "3xx", "4xx", "5xx")

Key = tuple[str, str, str]  # one of the kinds above, a name, and a route's method


class Origin:
    """One request or job. `statements` and `seconds` count what it asked of the database so far.

    They are its own thread's alone; those of the process's origin mean nothing.
    """

    __slots__ = ("key", "request", "seconds", "statements")

    def __init__(self, key: Key | None = None, request: HttpRequest | None = None) -> None:
        self.key = key
        self.request = request
        self.statements = 0
        self.seconds = 0.0

    def found(self) -> Key:
        """Return the key; of a request that has no route yet, or never gets one, the name is empty."""
        if self.key is not None:
            return self.key
        request = self.request
        method = (request and request.method) or ""
        method = method if method in METHODS else "other"
        match = request and request.resolver_match
        if not match:
            return ROUTE, "", method
        self.key = (ROUTE, match.view_name, method)
        return self.key


def of_process(arguments: list[str]) -> Key:
    """Name a process by how it was started: a command of manage.py, or what celery and gunicorn do."""
    return *process_names.kind_of(arguments), ""


_own = Origin(of_process(sys.argv))
current: ContextVar[Origin] = ContextVar("origin", default=_own)

Observer = Callable[[Origin, float, str], None]
_observers: list[Observer] = []


def watch(observer: Observer) -> None:
    """Have `observer` called with each origin that ended, its seconds and its outcome.

    That is "2xx" and so on of a request, DONE or FAILED of a job. It must be quick and must not raise.
    """
    if observer not in _observers:
        _observers.append(observer)


CacheObserver = Callable[[float, str], None]
_cache_observers: list[CacheObserver] = []


def watch_cache(observer: CacheObserver) -> None:
    """Have `observer` called with the seconds of each question to Redis, and DONE or FAILED."""
    if observer not in _cache_observers:
        _cache_observers.append(observer)


def asked_cache(seconds: float, outcome: str) -> None:
    """Tell who watches that Redis was asked, for a request's own thread."""
    for observer in _cache_observers:
        observer(seconds, outcome)


def ended(origin: Origin, begun: float, outcome: str) -> None:
    """Tell who watches that this ended; `begun` is of time.perf_counter()."""
    if _observers:
        seconds = perf_counter() - begun
        for observer in _observers:
            observer(origin, seconds, outcome)


def answered(origin: Origin, begun: float, response: HttpResponseBase) -> None:
    """Tell that a request is answered; one whose body is still to be read ends with its last part."""
    outcome = _CLASSES[response.status_code // 100]
    if type(response) is StreamingHttpResponse and not response.is_async:
        parts = _Streamed(origin, begun, outcome, response.streaming_content)
        response.streaming_content = parts
    else:
        ended(origin, begun, outcome)


class _Streamed:
    """The parts of a body, each made on behalf of the request that asked for it."""

    def __init__(self, origin: Origin, begun: float, outcome: str, parts: Any) -> None:
        self._origin, self._begun, self._outcome = origin, begun, outcome
        self._parts = iter(parts)
        self._is_open = True

    def __iter__(self) -> "_Streamed":
        return self

    def __next__(self) -> Any:
        token = current.set(self._origin)
        try:
            return next(self._parts)
        finally:
            current.reset(token)

    def close(self) -> None:
        """The response calls it when it is closed, also when nobody read the body to its end."""
        if self._is_open:
            self._is_open = False
            ended(self._origin, self._begun, self._outcome)


_last_words: list[Callable[[], None]] = []


def at_end(say: Callable[[], None]) -> None:
    """Have `say` called by a process that ends without Python's own `atexit`: a child that does jobs."""
    if say not in _last_words:
        _last_words.append(say)


def end_process() -> None:
    """Let everybody say their last words."""
    for say in _last_words:
        say()


class Work:
    """How a job ended; FAILED until it says otherwise."""

    outcome = FAILED


@contextmanager
def of_job(kind: str) -> Iterator[Work]:
    """Do what is inside on behalf of this kind of job."""
    origin, work, begun = Origin((JOB, kind, "")), Work(), perf_counter()
    token = current.set(origin)
    try:
        yield work
    finally:
        current.reset(token)
        ended(origin, begun, work.outcome)
