"""Around each query of each connection: count it and how long it took, by statement and origin.

Seen is what goes through a Django cursor's execute and executemany (one call, however many rows): the ORM,
khaacho/sql.py, the lists compiled once, and the DECLARE of a server-side cursor. Not seen: its FETCHes,
COPY, the BEGIN, COMMIT and ROLLBACK that psycopg sends by itself, and connections that are not Django's.
"""

import logging
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

from django.db.backends.signals import connection_created

from khaacho import origins
from khaacho.origins import Origin
from monitoring.sources import places, publishing, slow
from monitoring.sources.recorder import recorder

log = logging.getLogger(__name__)

UNWATCHED = frozenset({"monitor"})  # aliases whose queries are about watching
# Faults of this code. Nothing wider: a job's soft limit is raised wherever the job is, also here.
FAULTS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
CACHE: origins.Key = (publishing.CACHE, "redis", "")
COMPOSED = "(composed)"  # a text that psycopg puts together

Execute = Callable[[Any, Any, bool, dict[str, Any]], Any]


def watch(execute: Execute, text: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """Run a query and count it; what it returns or raises is passed on as it is."""
    begun = perf_counter()
    failed = True
    try:
        result = execute(text, params, many, context)
        failed = False
    finally:
        seconds = perf_counter() - begun
        _note(text, seconds, failed)
        if seconds >= slow.SECONDS:
            slow.tell(text, seconds, failed, context)
    return result


def _note(text: Any, seconds: float, failed: bool) -> None:
    try:
        origin = origins.current.get()
        origin.statements += 1
        origin.seconds += seconds
        sent = text if type(text) is str else COMPOSED
        asked = recorder.note(sent, origin.key or origin.found(), seconds, failed)
        if asked is not None:
            place = places.issuing(sys._getframe(2))
            if place:
                recorder.place(asked, place)
            publishing.start()
    except FAULTS:
        log.exception("sources.failed")


def ended(origin: Origin, seconds: float, outcome: str) -> None:
    """Count a request or job that ended."""
    try:
        recorder.end(origin.found(), outcome, seconds, origin.statements, origin.seconds)
    except FAULTS:
        log.exception("sources.failed")


def asked_cache(seconds: float, outcome: str) -> None:
    """Count a question to Redis."""
    recorder.end(CACHE, outcome, seconds, 0, 0.0)


def install(*, connection: Any, **_: Any) -> None:
    """Watch a new connection; one of a pool is new to each request, and is watched once."""
    if connection.alias in UNWATCHED or getattr(connection, "is_unwatched", False):
        return
    if watch not in connection.execute_wrappers:
        connection.execute_wrappers.append(watch)


def begin() -> None:
    """Watch this process's connections, requests and jobs from now on."""
    connection_created.connect(install, dispatch_uid="monitoring.sources")
    origins.watch(ended)
    origins.watch_cache(asked_cache)
