"""Each process tells PostgreSQL once a minute what it counted, from a thread and a connection of its own.

Rows are sums over processes: one upsert for each table, in the order of its key. A database that is away
costs nothing but the memory of what is not yet told, which is bounded (monitoring/sources/recorder.py);
what is told late counts for the span in which it is told. What a killed process had not told is lost: a
minute at most.
"""

import atexit
import json
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import closing
from time import monotonic
from typing import Any

from django.conf import settings
from django.db import Error, connections

from khaacho import origins
from monitoring.sources import pool
from monitoring.sources.recorder import Counts, Seen, recorder

log = logging.getLogger(__name__)

CONNECT_SECONDS = 2
LEAVE_SECONDS = 3.0  # that the end of a process waits for its last words
RETOLD_SECONDS = 24 * 3600.0  # a statement's form, so that it outlives the purge while it is in use
TOLD = 10_000  # forms that are remembered as told

# No request waits for these rows, and they wait for nobody long.
BOUNDS = (
    "SET LOCAL statement_timeout = '4s'",
    "SET LOCAL lock_timeout = '2s'",
    "SET LOCAL synchronous_commit = off",
)
FORMS = """
INSERT INTO statement_forms AS kept (fingerprint, form, seen_at)
SELECT fingerprint, form, statement_timestamp()
FROM jsonb_to_recordset(%s::jsonb) AS told (fingerprint bigint, form text)
ORDER BY fingerprint
ON CONFLICT (fingerprint) DO UPDATE SET seen_at = EXCLUDED.seen_at
WHERE kept.seen_at < EXCLUDED.seen_at - interval '1 hour'
"""
PLACES = """
INSERT INTO statement_places AS kept
    (fingerprint, kind, name, method, file, line, function, samples, seen_at)
SELECT fingerprint, kind, name, method, file, line, function, samples, statement_timestamp()
FROM jsonb_to_recordset(%s::jsonb) AS told (fingerprint bigint, kind text, name text, method text,
    file text, line int, function text, samples bigint)
ORDER BY fingerprint, kind, name, method, file, line
ON CONFLICT (fingerprint, kind, name, method, file, line) DO UPDATE SET
    function = EXCLUDED.function, samples = kept.samples + EXCLUDED.samples,
    seen_at = EXCLUDED.seen_at
"""
SPAN = "date_bin('5 minutes', statement_timestamp(), timestamptz '2000-01-01 00:00+00')"
BUCKETS = """(
    SELECT coalesce(jsonb_object_agg(key, count), '{}') FROM (
        SELECT key, sum(value::bigint) AS count FROM (
            SELECT * FROM jsonb_each_text(kept.buckets)
            UNION ALL SELECT * FROM jsonb_each_text(EXCLUDED.buckets)
        ) AS parts GROUP BY key
    ) AS sums
)"""
STATEMENTS = f"""
INSERT INTO statement_spans AS kept
    (since, fingerprint, kind, name, method, calls, errors, microseconds, buckets)
SELECT {SPAN}, fingerprint, kind, name, method, calls, errors, microseconds, buckets
FROM jsonb_to_recordset(%s::jsonb) AS told (fingerprint bigint, kind text, name text, method text,
    calls bigint, errors bigint, microseconds bigint, buckets jsonb)
ORDER BY fingerprint, kind, name, method
ON CONFLICT (fingerprint, since, kind, name, method) DO UPDATE SET
    calls = kept.calls + EXCLUDED.calls, errors = kept.errors + EXCLUDED.errors,
    microseconds = kept.microseconds + EXCLUDED.microseconds, buckets = {BUCKETS}
"""
ORIGINS = f"""
INSERT INTO origin_spans AS kept (since, kind, name, method, outcome, ended, microseconds,
    statements, database_microseconds, buckets)
SELECT {SPAN}, kind, name, method, outcome, ended, microseconds, statements,
    database_microseconds, buckets
FROM jsonb_to_recordset(%s::jsonb) AS told (kind text, name text, method text, outcome text,
    ended bigint, microseconds bigint, statements bigint, database_microseconds bigint, buckets jsonb)
ORDER BY kind, name, method, outcome
ON CONFLICT (since, kind, name, method, outcome) DO UPDATE SET
    ended = kept.ended + EXCLUDED.ended,
    microseconds = kept.microseconds + EXCLUDED.microseconds,
    statements = kept.statements + EXCLUDED.statements,
    database_microseconds = kept.database_microseconds + EXCLUDED.database_microseconds,
    buckets = {BUCKETS}
"""
# For /metrics, which must never see a sum shrink: rows that no purge touches (monitoring/metrics.py).
TOTALS = f"""
INSERT INTO metric_totals AS kept (kind, name, method, outcome, ended, microseconds,
    statements, database_microseconds, buckets)
SELECT kind, name, method, outcome, ended, microseconds, statements, database_microseconds, buckets
FROM jsonb_to_recordset(%s::jsonb) AS told (kind text, name text, method text, outcome text,
    ended bigint, microseconds bigint, statements bigint, database_microseconds bigint, buckets jsonb)
ORDER BY kind, name, method, outcome
ON CONFLICT (kind, name, method, outcome) DO UPDATE SET
    ended = kept.ended + EXCLUDED.ended,
    microseconds = kept.microseconds + EXCLUDED.microseconds,
    statements = kept.statements + EXCLUDED.statements,
    database_microseconds = kept.database_microseconds + EXCLUDED.database_microseconds,
    buckets = {BUCKETS}
"""
DATABASE, DATABASE_ERROR, CACHE = "database", "database_error", "cache"  # kinds beside the origins'

_told: dict[int, float] = {}  # fingerprint to time.monotonic(); of the publishing thread alone


def publish() -> bool:
    """Add what this process counted to the tables; return False when it must try again."""
    seen = recorder.take()
    if seen.is_empty:
        return True
    try:
        _write(seen)
    except Error as error:
        recorder.give_back(seen)
        log.warning("sources.unpublished", extra={"error": repr(error)[:200]})
        return False
    except BaseException:
        recorder.give_back(seen)
        raise
    return True


def _write(seen: Seen) -> None:
    forms, ended = _untold(seen), list(_ended(seen))
    parts: tuple[tuple[str, list[dict[str, Any]]], ...] = (
        (FORMS, [{"fingerprint": number, "form": _clean(form)} for number, form in forms.items()]),
        (PLACES, list(_places(seen))),
        (STATEMENTS, list(_statements(seen))),
        (ORIGINS, [row for row in ended if row["kind"] != CACHE]),
        (TOTALS, [*ended, *_database(seen)]),
    )
    own = _connection()
    with closing(own):
        own.set_autocommit(False)
        with own.cursor() as cursor:
            for bound in BOUNDS:
                cursor.execute(bound)
            for statement, rows in parts:
                if rows:
                    cursor.execute(statement, [json.dumps(rows)])
        own.commit()
    if len(_told) > TOLD:
        _told.clear()
    _told.update(dict.fromkeys(forms, monotonic()))


def _connection() -> Any:
    """Return a connection of no pool, whose own queries are not counted."""
    own: Any = connections["default"].copy()
    own.settings_dict["OPTIONS"].pop("pool", None)
    own.settings_dict["OPTIONS"]["connect_timeout"] = CONNECT_SECONDS
    own.is_unwatched = True
    return own


def _untold(seen: Seen) -> dict[int, str]:
    now = monotonic()
    return {
        number: form
        for number, form in seen.forms.items()
        if now - _told.get(number, -RETOLD_SECONDS) >= RETOLD_SECONDS
    }


def _clean(text: str) -> str:
    """Return text as jsonb takes it."""
    return text.replace("\0", "").encode(errors="replace").decode()


def _places(seen: Seen) -> Iterator[dict[str, Any]]:
    for (number, (kind, name, method)), counts in seen.statements.items():
        for place, samples in counts.places.items():
            yield {
                "fingerprint": number,
                "kind": kind,
                "name": _clean(name),
                "method": method,
                "file": place.file,
                "line": place.line,
                "function": place.function,
                "samples": samples,
            }


def _statements(seen: Seen) -> Iterator[dict[str, Any]]:
    for (number, (kind, name, method)), counts in seen.statements.items():
        yield {
            "fingerprint": number,
            "kind": kind,
            "name": _clean(name),
            "method": method,
            "calls": counts.calls,
            "errors": counts.errors,
            **_lasted(counts),
        }


def _ended(seen: Seen) -> Iterator[dict[str, Any]]:
    for ((kind, name, method), outcome), ended in seen.ended.items():
        yield {
            "kind": kind,
            "name": _clean(name),
            "method": method,
            "outcome": outcome,
            "ended": ended.counts.calls,
            "statements": ended.statements,
            "database_microseconds": round(ended.database_seconds * 1e6),
            **_lasted(ended.counts),
        }


def _database(seen: Seen) -> Iterator[dict[str, Any]]:
    """Add statements up by the kind of their origin, those that failed beside them."""
    sums: dict[tuple[str, str], Counts] = {}
    for (_, (origin, _, _)), counts in seen.statements.items():
        sums.setdefault((DATABASE, origin), Counts()).add(counts)
        if counts.errors:
            failed = sums.setdefault((DATABASE_ERROR, origin), Counts())
            failed.calls += counts.errors
    for (kind, origin), counts in sums.items():
        yield {
            "kind": kind,
            "name": origin,
            "method": "",
            "outcome": "",
            "ended": counts.calls,
            "statements": 0,
            "database_microseconds": 0,
            **_lasted(counts),
        }


def _lasted(counts: Counts) -> dict[str, Any]:
    return {"microseconds": round(counts.seconds * 1e6), "buckets": counts.buckets}


class Publisher(threading.Thread):
    """Tells what was counted every SOURCES_SECONDS, and the pool's figures more often, until it is stopped."""

    def __init__(self, every: float) -> None:
        super().__init__(name="sources", daemon=True)
        self.every = every
        self.stopping = threading.Event()

    def run(self) -> None:
        due = monotonic() + self.every
        beat = min(pool.BEAT_SECONDS, self.every)
        self._say(pool.report)
        while not self.stopping.wait(beat):
            self._say(pool.report)
            if monotonic() >= due:
                self._say(publish)
                due = monotonic() + self.every
        self._say(publish)
        self._say(pool.leave)

    def stop(self) -> None:
        """Have the last words said; a database or Redis that hangs delays this by three seconds at most."""
        self.stopping.set()
        self.join(LEAVE_SECONDS)

    def _say(self, what: Any) -> None:
        try:
            what()
        except Exception:  # this thread must outlive whatever went wrong once
            log.exception("sources.failed")


_publisher: Publisher | None = None
_starting = threading.Lock()


def start() -> None:
    """Start this process's publisher unless it has one; SOURCES_SECONDS = 0 means that it has none."""
    global _publisher  # noqa: PLW0603 - one per process
    every = settings.SOURCES_SECONDS
    if _publisher is not None or not every:
        return
    with _starting:
        if _publisher is None:
            publisher = Publisher(every)
            publisher.start()
            _publisher = publisher


def stop() -> None:
    """Publish for the last time; the process ends."""
    global _publisher
    publisher, _publisher = _publisher, None
    if publisher is not None:
        publisher.stop()


def _forget() -> None:
    """A child has no threads but its own, and has told nothing."""
    global _publisher, _starting
    _publisher, _starting = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)


def begin() -> None:
    """Have the last words said however this process ends, but by a kill."""
    atexit.register(stop)
    origins.at_end(stop)
