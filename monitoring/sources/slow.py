"""The slow-query log: a line for each statement that took long, never with what was bound to it."""

import logging
import sys
from typing import Any

import psycopg
from django.conf import settings

from khaacho import origins
from monitoring.sources import places, shapes

log = logging.getLogger("khaacho.slow_queries")

SECONDS = settings.SLOW_QUERY_MS / 1000 or float("inf")  # of a statement that is logged
LONGEST = 8_000  # characters of a form
# What a driver or a test may hand us instead of a cursor; a job's soft limit is none of these.
FAULTS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def tell(text: Any, seconds: float, failed: bool, context: dict[str, Any]) -> None:
    """Log a statement with its form, fingerprint, duration, place and origin. Raises nothing."""
    try:
        log.warning("query.slow", extra=_facts(text, seconds, failed, context))
    except FAULTS:
        log.exception("query.slow_untold")


def _facts(text: Any, seconds: float, failed: bool, context: dict[str, Any]) -> dict[str, object]:
    form = shapes.normalised(shapes.shortened(text)) if type(text) is str else ""
    kind, name, method = origins.current.get().found()
    place = places.issuing(sys._getframe(3))
    connection = context["connection"]
    cursor = getattr(context["cursor"], "cursor", None)
    rows = getattr(cursor, "rowcount", -1)
    return {
        "ms": round(seconds * 1000, 1),
        "statement": form[:LONGEST],
        "fingerprint": shapes.of_normalised(form) if form else None,
        "file": f"{place.file}:{place.line}" if place else None,
        "function": place.function if place else None,
        "origin": " ".join(part for part in (kind, method, name) if part),
        "rows": rows if rows >= 0 and not failed else None,
        "failed": failed,
        "database": connection.alias,
        "backend_pid": _backend_pid(connection.connection),
    }


def _backend_pid(connection: Any) -> int | None:
    """Return the server process of a connection; None when there is none, or it was hung up meanwhile."""
    try:
        return connection.info.backend_pid or None if connection else None
    except psycopg.Error:
        return None
