"""What /metrics tells Prometheus: of the whole site, whichever process is asked (docs/adr/0042).

Requests, jobs, statements and questions to Redis are counted in each process anyway, and summed in
PostgreSQL once a minute (monitoring/sources): the counters here are those sums, so they cost a request
nothing, and a process that ends takes none with it. Gauges are read now. Each part is read by itself: one
that cannot be read is missing, and khaacho_scrape_part_success says so.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import Error

from khaacho import sql
from khaacho.jobs.nodes import ALIVE_FOR, BEAT, SWEEP
from khaacho.origins import JOB, ROUTE
from monitoring import health, queues
from monitoring.database import access
from monitoring.exposition import Exposition
from monitoring.sources import pool
from monitoring.sources.publishing import CACHE, DATABASE, DATABASE_ERROR

SECONDS = 2.0  # that all of it may take, however the database is
MOST = 5_000  # rows of sums that are told

TOTALS = f"""
SELECT kind, name, method, outcome, ended, microseconds, statements, database_microseconds, buckets::text
FROM metric_totals ORDER BY kind, name, method, outcome LIMIT {MOST}
"""
NODES = """
SELECT name, concurrency, extract(epoch FROM statement_timestamp() - seen_at)::float8 FROM worker_nodes
"""
CONNECTIONS = """
SELECT application_name, state, sum(connections)::int, max(max_connections - reserved_connections)
FROM monitor.connections GROUP BY 1, 2 ORDER BY 1, 2 LIMIT 100
"""
LAG = """
SELECT application_name, coalesce(extract(epoch FROM max(replay_lag)), 0)::float8
FROM pg_stat_replication GROUP BY 1 ORDER BY 1 LIMIT 20
"""


@dataclass(frozen=True)
class Total:
    """One row of sums. `method` is a request's, `outcome` its status class or what became of a job."""

    kind: str
    name: str
    method: str
    outcome: str
    ended: int
    microseconds: int
    statements: int
    database_microseconds: int
    buckets: str

    @property
    def seconds(self) -> float:
        return self.microseconds / 1e6

    @property
    def counts(self) -> Mapping[int, int]:
        return {int(number): count for number, count in json.loads(self.buckets).items()}


def exposition() -> str:
    """Return the page. It takes at most about two seconds, and raises nothing for a database that is away."""
    page = Exposition()
    page.family("khaacho_build_info", "gauge", "The version that answers.")
    page.sample("khaacho_build_info", 1, version=health.version())
    with access.within(time.monotonic() + SECONDS):
        read = {name: _part(page, part) for name, part in PARTS.items()}
    page.family("khaacho_scrape_part_success", "gauge", "Whether this part could be read.")
    for name, is_read in read.items():
        page.sample("khaacho_scrape_part_success", int(is_read), part=name)
    return page.text()


def _part(page: Exposition, part: Callable[[Exposition], None]) -> bool:
    """Add a part as a whole or not at all; return whether it could be read."""
    own = Exposition()
    try:
        part(own)
    except (access.Unavailable, pool.RedisDown, Error):
        return False
    page.lines += own.lines
    return True


def _fetch(statement: str, params: access.Params = ()) -> list[tuple[Any, ...]]:
    """Read beside the pool; what that alias's role may not read, by the pool."""
    try:
        return access.fetch(statement, params)
    except access.InsufficientPrivilege:
        return sql.fetch(statement, params)


def _totals(page: Exposition) -> None:
    totals: dict[str, list[Total]] = {}
    for row in _fetch(TOTALS):
        totals.setdefault(row[0], []).append(Total(*row))
    _requests(page, totals.get(ROUTE, []))
    _jobs(page, totals.get(JOB, []))
    name = "khaacho_database_statement_duration_seconds"
    page.family(
        name, "histogram", "Statements of Django's connections, by the kind of their origin."
    )
    for each in totals.get(DATABASE, []):
        page.histogram(name, each.counts, each.seconds, origin=each.name)
    name = "khaacho_database_statement_errors_total"
    page.family(name, "counter", "Statements that raised an error.")
    for each in totals.get(DATABASE_ERROR, []):
        page.sample(name, each.ended, origin=each.name)
    name = "khaacho_cache_request_duration_seconds"
    page.family(name, "histogram", "Questions to Redis for caches, rates and sessions.")
    for each in totals.get(CACHE, []):
        page.histogram(name, each.counts, each.seconds, outcome=each.outcome)


def _requests(page: Exposition, rows: list[Total]) -> None:
    name = "khaacho_http_request_duration_seconds"
    page.family(name, "histogram", "Requests by route, method and class of status.")
    for each in rows:
        labels = {"route": each.name, "method": each.method, "status": each.outcome}
        page.histogram(name, each.counts, each.seconds, **labels)
    _asked(page, "khaacho_http_request", rows, lambda r: {"route": r.name, "method": r.method})


def _jobs(page: Exposition, rows: list[Total]) -> None:
    name = "khaacho_job_duration_seconds"
    page.family(name, "histogram", "Attempts at jobs by kind and outcome: done or failed.")
    for each in rows:
        page.histogram(name, each.counts, each.seconds, kind=each.name, outcome=each.outcome)
    _asked(page, "khaacho_job", rows, lambda row: {"kind": row.name})


def _asked(
    page: Exposition, of: str, rows: list[Total], labelled: Callable[[Total], dict[str, str]]
) -> None:
    """Add what requests or jobs asked of the database, whatever became of them."""
    sums: dict[tuple[str, ...], tuple[dict[str, str], int, int]] = {}
    for each in rows:
        labels = labelled(each)
        _, statements, microseconds = sums.get(tuple(labels.values()), (labels, 0, 0))
        statements += each.statements
        microseconds += each.database_microseconds
        sums[tuple(labels.values())] = labels, statements, microseconds
    page.family(f"{of}_statements_total", "counter", "Statements that these sent.")
    for labels, statements, _ in sums.values():
        page.sample(f"{of}_statements_total", statements, **labels)
    page.family(
        f"{of}_database_seconds_total", "counter", "Seconds that these waited for the database."
    )
    for labels, _, microseconds in sums.values():
        page.sample(f"{of}_database_seconds_total", microseconds / 1e6, **labels)


def _queues(page: Exposition) -> None:
    now: datetime = _fetch("SELECT statement_timestamp()")[0][0]
    rows = _fetch(queues.OPEN, queues.asked_at(now))
    page.family("khaacho_queue_jobs", "gauge", "Jobs that are open or dead.")
    for queue, *counts in (row[:6] for row in rows):
        for state, count in zip(
            ("due", "delayed", "retrying", "running", "dead"), counts, strict=True
        ):
            page.sample("khaacho_queue_jobs", int(count), queue=queue, state=state)
    page.family(
        "khaacho_queue_oldest_seconds", "gauge", "How long the job that is due longest waits."
    )
    for row in rows:
        page.sample("khaacho_queue_oldest_seconds", float(row[7]), queue=row[0])


def _nodes(page: Exposition) -> None:
    seen = {name: (concurrency, seconds) for name, concurrency, seconds in _fetch(NODES)}
    live = [c for c, seconds in seen.values() if c and seconds < ALIVE_FOR.total_seconds()]
    page.family("khaacho_workers", "gauge", "Workers that were seen within half a minute.")
    page.sample("khaacho_workers", len(live))
    page.family("khaacho_worker_slots", "gauge", "Jobs that these can do at once.")
    page.sample("khaacho_worker_slots", sum(live))
    for name, row in (("khaacho_beat_age_seconds", BEAT), ("khaacho_sweep_age_seconds", SWEEP)):
        page.family(name, "gauge", f"Since the {row} last gave a sign of life.")
        page.sample(name, seen[row][1] if row in seen else None)


def _connections(page: Exposition) -> None:
    rows = _fetch(CONNECTIONS)
    page.family("khaacho_database_connections", "gauge", "Sessions at PostgreSQL.")
    for application, state, count, _ in rows:
        labels = {"application": application, "state": state}
        page.sample("khaacho_database_connections", count, **labels)
    page.family(
        "khaacho_database_connections_max", "gauge", "Sessions that PostgreSQL takes of us."
    )
    page.sample("khaacho_database_connections_max", max((row[3] for row in rows), default=None))
    page.family("khaacho_replica_lag_seconds", "gauge", "How far each replica is behind.")
    for replica, seconds in _fetch(LAG):
        page.sample("khaacho_replica_lag_seconds", seconds, replica=replica)


def _pools(page: Exposition) -> None:
    found = pool.totals(pool.processes())
    for field, says in (
        ("processes", "Processes that have a connection pool."),
        ("size", "Connections that the pools hold."),
        ("max", "Connections that the pools may hold."),
        ("available", "Connections that are open and free."),
        ("waiting", "Callers who wait for a connection now."),
    ):
        page.family(f"khaacho_pool_{field}", "gauge", says)
        page.sample(f"khaacho_pool_{field}", getattr(found, field))


PARTS: Mapping[str, Callable[[Exposition], None]] = {
    "totals": _totals,
    "queues": _queues,
    "nodes": _nodes,
    "connections": _connections,
    "pools": _pools,
}
