"""Who issues a statement, and how long statements, requests and jobs took: sums over all processes.

Read on the alias `monitor`; everything here raises Unavailable of monitoring/database/access.py. Windows
are widened to whole spans of five minutes. Percentiles are of what the caller waited for in Python, the
way to the server included, and off by 5 % at most.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from django.apps import apps
from django.utils import timezone

from khaacho.origins import FAILED, JOB, ROUTE
from monitoring import durations
from monitoring.database import access
from monitoring.sources import hours, shapes

USUAL = timedelta(days=1)
SPAN = timedelta(minutes=5)
FAILURES = ("5xx", FAILED)
MOST = 200  # rows of a list
_TABLE = re.compile(r"\b(?:from|update|into) (?:only )?(?:\w+\.)?(\w+)")


@dataclass(frozen=True, kw_only=True)
class Percentiles:
    """So many calls, of which these shares did not take longer than these ms; None without calls."""

    calls: int
    errors: int
    mean_ms: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, kw_only=True)
class Issuer:
    """A line of code that issues a statement on behalf of a route, a kind of job, a command or a process.

    Without a sample of the place `file` and `function` are empty. `calls` of several places of one origin
    are estimated from samples; the percentiles are of the origin. `share` is of the statement's whole time.
    """

    file: str
    line: int
    function: str
    kind: str
    name: str
    method: str
    model: str
    calls: int
    errors: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    share: float

    @property
    def origin(self) -> str:
        """E.g. "GET orders", "job orders.route"."""
        return origin_text(self.kind, self.name, self.method)

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}" if self.file else ""


@dataclass(frozen=True, kw_only=True)
class RouteFigures:
    """What a route's requests or a kind's jobs took. `errors` are answers 5xx and attempts that failed.

    `database_ms` and `statements` are means of one request or attempt. `name` is empty for requests that
    had no route: files, and addresses that do not exist.
    """

    kind: str
    name: str
    method: str
    requests: int
    errors: int
    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    database_ms: float
    statements: float

    @property
    def origin(self) -> str:
        return origin_text(self.kind, self.name, self.method)


def origin_text(kind: str, name: str, method: str) -> str:
    """Return an origin in words."""
    return f"{method} {name or '(no route)'}" if kind == ROUTE else f"{kind} {name}".strip()


# PostgreSQL's text of a statement: of each user and each level of calls there may be one.
TEXTS = """
SELECT DISTINCT queryid, query FROM monitor.statements(true)
WHERE queryid = ANY (%s) AND query IS NOT NULL
    AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
STATEMENTS = """
WITH parts AS MATERIALIZED (
    SELECT fingerprint, kind, name, method, calls, errors, microseconds, buckets
    FROM statement_spans
    WHERE fingerprint = ANY (%(fingerprints)s) AND since > %(since)s AND since < %(until)s
),
summed AS (
    SELECT fingerprint, kind, name, method, sum(calls) AS calls, sum(errors) AS errors,
        sum(microseconds) AS microseconds
    FROM parts GROUP BY 1, 2, 3, 4
),
lasted AS (
    SELECT fingerprint, kind, name, method, jsonb_object_agg(key, count) AS buckets
    FROM (
        SELECT fingerprint, kind, name, method, key, sum(value::bigint) AS count
        FROM parts CROSS JOIN jsonb_each_text(buckets) GROUP BY 1, 2, 3, 4, 5
    ) AS counts
    GROUP BY 1, 2, 3, 4
)
SELECT fingerprint, kind, name, method,
    calls::bigint, errors::bigint, microseconds::bigint, buckets::text
FROM summed JOIN lasted USING (fingerprint, kind, name, method)
ORDER BY microseconds DESC, kind, name, method
"""
PLACES = """
SELECT fingerprint, kind, name, method, file, line, function, samples FROM statement_places
WHERE fingerprint = ANY (%(fingerprints)s) AND seen_at > %(since)s
ORDER BY samples DESC, file, line
"""
ORIGINS = f"""
WITH {hours.EDGES},
parts AS MATERIALIZED ({hours.rows(hours.COLUMNS)}),
summed AS (
    SELECT name, method, sum(ended) AS ended,
        coalesce(sum(ended) FILTER (WHERE outcome = ANY (%(failures)s)), 0) AS errors,
        sum(microseconds) AS microseconds, sum(statements) AS statements,
        sum(database_microseconds) AS database_microseconds
    FROM parts GROUP BY 1, 2
),
lasted AS (
    SELECT name, method, jsonb_object_agg(key, count) AS buckets
    FROM (
        SELECT name, method, key, sum(value::bigint) AS count
        FROM parts CROSS JOIN jsonb_each_text(buckets) GROUP BY 1, 2, 3
    ) AS counts
    GROUP BY 1, 2
)
SELECT name, method, ended::bigint, errors::bigint, microseconds::bigint, statements::bigint,
    database_microseconds::bigint, buckets::text
FROM summed JOIN lasted USING (name, method)
ORDER BY microseconds DESC, name, method
LIMIT %(limit)s
"""
BUCKETS = f"WITH {hours.EDGES} {hours.rows('buckets::text')}"


def issuers(
    queryid: int,
    since: datetime | None = None,
    until: datetime | None = None,
    *,
    texts: Sequence[str] | None = None,
) -> list[Issuer]:
    """Return who issued a statement of pg_stat_statements in a window, the last day by default.

    The most of its time first; nobody for what is not sent through Django. Three statements, two for who
    has read its `texts`.
    """
    known = _texts([queryid]) if texts is None else {queryid: texts}
    return issuers_of(known, since, until)[queryid]


def chief_issuers(queryids: Sequence[int]) -> dict[int, Issuer]:
    """Return by queryid who has issued a statement for most of its time of the last day, where known.

    Three statements, none for no queryids.
    """
    if not queryids:
        return {}
    found = issuers_of(_texts(queryids))
    return {queryid: issuers[0] for queryid, issuers in found.items() if issuers}


def issuers_of(
    texts: Mapping[int, Sequence[str]],
    since: datetime | None = None,
    until: datetime | None = None,
) -> dict[int, list[Issuer]]:
    """Return by queryid the issuers of statements whose texts are known already. Two statements."""
    numbers = {queryid: {shapes.fingerprint(text) for text in texts[queryid]} for queryid in texts}
    wanted = {"fingerprints": sorted(set().union(*numbers.values())), **_window(since, until)}
    spans = access.fetch(STATEMENTS, wanted)
    places: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for *cell, file, line, function, samples in access.fetch(PLACES, wanted):
        places.setdefault(tuple(cell), []).append((file, line, function, samples))
    return {
        queryid: _issuers([row for row in spans if row[0] in own], places, _model(texts[queryid]))
        for queryid, own in numbers.items()
    }


def _issuers(
    spans: Sequence[tuple[Any, ...]],
    places: Mapping[tuple[Any, ...], Sequence[tuple[Any, ...]]],
    model: str,
) -> list[Issuer]:
    whole = sum(row[6] for row in spans) or 1
    found = []
    for fingerprint, kind, name, method, calls, errors, microseconds, buckets in spans:
        taken = _percentiles(calls, errors, microseconds, [buckets])
        seen = places.get((fingerprint, kind, name, method)) or [("", 0, "", 1)]
        samples = sum(place[3] for place in seen)
        found += [
            Issuer(
                file=file,
                line=line,
                function=function,
                kind=kind,
                name=name,
                method=method,
                model=model,
                calls=round(calls * count / samples),
                errors=round(errors * count / samples),
                p50_ms=taken.p50_ms,
                p95_ms=taken.p95_ms,
                p99_ms=taken.p99_ms,
                share=microseconds / whole * count / samples,
            )
            for file, line, function, count in seen
        ]
    return sorted(found, key=lambda issuer: -issuer.share)


def statement_percentiles(queryid: int, since: datetime, until: datetime) -> Percentiles:
    """Return how long a statement of pg_stat_statements took in a window, whoever issued it."""
    numbers = sorted({shapes.fingerprint(text) for text in _texts([queryid])[queryid]})
    rows = access.fetch(STATEMENTS, {"fingerprints": numbers, **_window(since, until)})
    calls, errors, microseconds = (sum(row[place] for row in rows) for place in (4, 5, 6))
    return _percentiles(calls, errors, microseconds, [row[7] for row in rows])


def routes(since: datetime, until: datetime, limit: int = MOST) -> list[RouteFigures]:
    """Return what the requests of each route and method took in a window, the most time first."""
    return _origins(ROUTE, since, until, limit)


def tasks(since: datetime, until: datetime, limit: int = MOST) -> list[RouteFigures]:
    """Return what the attempts at jobs of each kind took in a window, the most time first."""
    return _origins(JOB, since, until, limit)


def request_buckets(since: datetime, until: datetime) -> list[Mapping[str, int]]:
    """Return how many requests lasted how long, by bucket of microseconds, in parts that add up."""
    rows = access.fetch(BUCKETS, {"kind": ROUTE, **_window(since, until)})
    return [json.loads(row[0]) for row in rows]


def _origins(kind: str, since: datetime, until: datetime, limit: int) -> list[RouteFigures]:
    asked = {
        "kind": kind,
        "failures": list(FAILURES),
        "limit": limit,
        **_window(since, until),
    }
    found = []
    for row in access.fetch(ORIGINS, asked):
        name, method, ended, errors, microseconds, sent, database, buckets = row
        taken = _percentiles(ended, errors, microseconds, [buckets])
        found.append(
            RouteFigures(
                kind=kind,
                name=name,
                method=method,
                requests=ended,
                errors=errors,
                mean_ms=taken.mean_ms or 0.0,
                p50_ms=taken.p50_ms or 0.0,
                p95_ms=taken.p95_ms or 0.0,
                p99_ms=taken.p99_ms or 0.0,
                database_ms=round(database / ended / 1000, 3),
                statements=round(sent / ended, 2),
            )
        )
    return found


def _window(since: datetime | None, until: datetime | None) -> dict[str, datetime]:
    """Return the moments between which the spans of a window begin."""
    until = until or timezone.now() + SPAN
    since = since or until - SPAN - USUAL
    return {"since": since - SPAN, "until": until}


def _texts(queryids: Sequence[int]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {queryid: [] for queryid in queryids}
    for queryid, text in access.fetch(TEXTS, [list(queryids)]):
        found[queryid].append(text)
    return found


def _percentiles(calls: int, errors: int, microseconds: int, buckets: Iterable[str]) -> Percentiles:
    counts = durations.added(json.loads(text) for text in buckets)

    def of(share: float) -> float | None:
        found = durations.percentile(counts, share)
        return None if found is None else round(found / 1000, 3)

    return Percentiles(
        calls=calls,
        errors=errors,
        mean_ms=round(microseconds / calls / 1000, 3) if calls else None,
        p50_ms=of(0.5),
        p95_ms=of(0.95),
        p99_ms=of(0.99),
    )


def _model(texts: Sequence[str]) -> str:
    """Return the label of the model whose table the statement is about; empty when it is of none."""
    for text in texts:
        for table in _TABLE.findall(shapes.normalised(text)):
            if table in _models():
                return _models()[table]
    return ""


@cache
def _models() -> dict[str, str]:
    return {model._meta.db_table: model._meta.label for model in apps.get_models()}
