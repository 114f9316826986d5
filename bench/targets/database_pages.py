"""Target 10: the monitoring's pages on a large database with its samples: time and statements.

What is timed is the whole request without a network: the application and PostgreSQL. The connection of the
alias `monitor` is kept, as a web process does for a minute; a first look, which opens it, is timed apart.
The reference is the same page on the smallest trade.
"""

import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from django.db import connections
from django.template.response import TemplateResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from bench.harness import postgres, worlds
from bench.harness.findings import Bench, Findings, Table
from bench.harness.results import Result, Rule
from bench.harness.results import shown as figure
from bench.harness.worlds import World
from bench.targets.desk import signed_in
from khaacho import sql
from khaacho.db.base import DatabaseWrapper
from khaacho.enums import Queue
from monitoring.database import access
from monitoring.history import partitions, sampling, sums
from monitoring.pages.framework import Shown
from monitoring.pages.urls import PAGES
from monitoring.sources import hours

TARGET = 10
MOST_MS = 120
REPEATS, FIRST_LOOKS = 9, 5
DAY, SLOT = timedelta(days=1), sampling.EVERY
HOURS = 29 * 24  # of samples of tables and indexes, which pages read however long ago they are
EMPTIED = (
    *(
        "samples",
        "statement_counters",
        "statement_sums",
        "index_rests",
        "origin_spans",
        "origin_hours",
        "job_minutes",
    ),
    *partitions.TABLES,
)
# Every slot of the day gets the statements that the newest sample holds, with figures that are all alike.
SAMPLES = """
INSERT INTO samples (slot, sampled_at, previous_at, dbid, sees_all, statements_since, statements_read,
    calls, exec_ms)
SELECT at, at, at - %(step)s, dbid, sees_all, at - %(step)s, statements_read, statements_read, 1000
FROM samples, generate_series(slot - %(day)s, slot - %(step)s, %(step)s) at
WHERE sampled_at = %(newest)s
"""
STATEMENTS = """
INSERT INTO statement_samples (sampled_at, queryid, userid, toplevel, calls, rows, exec_ms,
    exec_ms_squares, plan_ms, blocks_hit, blocks_read, blocks_dirtied, temp_blocks, io_ms, jit_ms, wal_bytes)
SELECT s.sampled_at, c.queryid, c.userid, c.toplevel, 10, 10, 20, 50, 0, 100, 1, 0, 0, 0, 0, 0
FROM samples s, statement_counters c ORDER BY s.sampled_at
"""
HOURLY = ("table_samples", "index_samples")
# A table of the history again for each earlier moment.
SHIFTED = """
INSERT INTO {table} ({columns})
SELECT {values} FROM {table} t,
    generate_series(%(newest)s - %(count)s * %(step)s, %(newest)s - %(step)s, %(step)s) AS s (at)
WHERE t.sampled_at = %(newest)s
"""
ROUTES = 60  # that are asked for in each five minutes
REQUESTS = f"""
INSERT INTO origin_spans (since, kind, name, method, outcome, ended, microseconds, statements,
    database_microseconds, buckets)
SELECT date_bin(%(step)s, at, 'epoch'), 'route', 'route-' || n, 'GET', CASE n WHEN 1 THEN '5xx' ELSE '2xx' END,
    60, 1800000, 240, 600000, '{{"80": 5, "85": 10, "90": 30, "95": 10, "100": 4, "120": 1}}'
FROM generate_series(%(newest)s - %(day)s, %(newest)s, %(step)s) at, generate_series(1, {ROUTES}) n
"""
JOBS = """
INSERT INTO job_minutes (queue, minute, counted_until, done, deduplicated, stalled, waits, runs)
SELECT queue, at, at + interval '1 minute', 20, 0, 0, '{"80": 15, "90": 5}', '{"60": 12, "70": 8}'
FROM unnest(%(queues)s::text[]) queue,
    generate_series(date_trunc('minute', %(newest)s - %(day)s), %(newest)s, '1 minute') at
"""
RESTED = "UPDATE index_rests SET since = since - %(count)s * %(step)s, samples = %(count)s + 1"
COLUMNS = """
SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
"""


@dataclass(frozen=True)
class Page:
    """What one page took: ms in all, of a first look, and of the application's CPU, and statements on both aliases."""

    name: str
    ms: float
    first: float  # on a new connection
    application: float
    statements: int
    troubles: tuple[str, ...]  # panels that could not be read


def measure(bench: Bench) -> Findings:
    """Measure every page in the small world and in the big one."""
    small = _measured(bench, bench.small)
    big = small if bench.big is bench.small else _measured(bench, bench.big)
    slowest = max(big, key=lambda page: page.ms)
    few = {page.name: page for page in small}
    grown = [page.name for page in big if page.statements > few[page.name].statements]
    silent = [f"{page.name}: {', '.join(page.troubles)}" for page in big if page.troubles]
    suffix = f"{bench.big.orders:,} orders"
    return Findings(
        [
            _bounded(
                f"slowest monitoring page, {suffix}",
                "ms",
                slowest.ms,
                MOST_MS,
                few[slowest.name].ms,
                slowest.name,
            ),
            _bounded(
                f"monitoring pages with more statements than in a smaller trade, {suffix}",
                "pages",
                len(grown),
                0,
                None,
                ", ".join(grown),
            ),
            _bounded(
                f"monitoring pages with a panel that could not be read in time, {suffix}",
                "pages",
                len(silent),
                0,
                None,
                ", ".join(silent),
            ),
        ],
        [_table(bench, big, few)],
    )


def _measured(bench: Bench, world: World) -> list[Page]:
    world.enter()
    assert postgres.has_statistics()
    with _watched(world):
        fill_history()
        worlds.settle()
        client = signed_in()
        pages = []
        for name, address in _addresses():
            bench.say(f"10. {name}, {world.orders:,} orders")
            pages.append(_page(client, name, address))
        return pages


@contextmanager
def _watched(world: World) -> Iterator[None]:
    """Let the alias `monitor` read this world, too."""
    home = connections[access.ALIAS]
    described = {**home.settings_dict, "NAME": connections["default"].settings_dict["NAME"]}
    described["OPTIONS"] = {**described["OPTIONS"]}
    connections[access.ALIAS] = DatabaseWrapper(described, access.ALIAS)
    try:
        yield
    finally:
        connections[access.ALIAS].close()
        connections[access.ALIAS] = home


def fill_history() -> None:
    """Take a sample and make those that the schedule would have taken before it; others are dropped.

    Of statements, requests and the database a day of them, every five minutes, of jobs by the minute; of tables
    and indexes a month, hourly.
    """
    sql.execute(f"TRUNCATE {', '.join(EMPTIED)}")
    sampling.take()
    row = sql.fetch_one("SELECT max(sampled_at) FROM samples")
    assert row
    values = {"newest": row[0], "day": DAY, "step": SLOT}
    hourly = {"count": HOURS, "step": timedelta(hours=1)}
    partitions.make(row[0] - 31 * DAY, row[0])
    sql.execute(SAMPLES, values)
    sql.execute(STATEMENTS)
    sql.execute(sums.ADD, {"at": row[0]})
    sql.execute(REQUESTS, values)
    while sql.execute(hours.ADD, {"at": row[0]}):
        pass
    sql.execute(JOBS, values | {"queues": Queue.values})
    for table in partitions.TABLES:
        if table == "statement_samples":
            continue
        names = [name for (name,) in sql.fetch(COLUMNS, [table])]
        shifted = ", ".join("s.at" if n == "sampled_at" else f"t.{n}" for n in names)
        statement = SHIFTED.format(table=table, columns=", ".join(names), values=shifted)
        sql.execute(statement, values | (hourly if table in HOURLY else {"count": DAY // SLOT}))
    sql.execute(RESTED, hourly)


def _addresses() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        if page.in_menu:
            yield str(page.title), reverse(page.url_name)
    row = sql.fetch_one(
        "SELECT queryid FROM monitor.query_stats ORDER BY total_exec_time DESC LIMIT 1"
    )
    assert row, "PostgreSQL counts no statement"
    yield "A query", reverse("database-query", args=[row[0]])


def _page(client: Client, name: str, address: str) -> Page:
    def get() -> Sequence[Shown]:
        response = client.get(address)
        if response.status_code != 200:
            raise RuntimeError(f"{address}: {response.status_code}")
        assert isinstance(response, TemplateResponse), address
        assert response.context_data
        panels: Sequence[Shown] = response.context_data["panels"]
        return panels

    get()
    taken, first, worked = [], [], []
    for _ in range(FIRST_LOOKS):
        connections[access.ALIAS].close()
        begin = time.perf_counter()
        get()
        first.append((time.perf_counter() - begin) * 1000)
    for _ in range(REPEATS):
        begin, cpu = time.perf_counter(), time.process_time()
        get()
        worked.append((time.process_time() - cpu) * 1000)
        taken.append((time.perf_counter() - begin) * 1000)
    with (
        CaptureQueriesContext(connections["default"]) as own,
        CaptureQueriesContext(connections[access.ALIAS]) as beside,
    ):
        panels = get()
    return Page(
        name,
        statistics.median(taken),
        statistics.median(first),
        statistics.median(worked),
        len(own) + len(beside),
        tuple(shown.panel.name for shown in panels if shown.trouble),
    )


def _table(bench: Bench, pages: list[Page], few: dict[str, Page]) -> Table:
    header = [
        "page",
        f"ms, {bench.small.orders:,} orders",
        "ms",
        "of which CPU of the application",
        "first look, ms",
        "statements",
    ]
    rows = [
        [
            p.name,
            figure(few[p.name].ms),
            figure(p.ms),
            figure(p.application),
            figure(p.first),
            p.statements,
        ]
        for p in pages
    ]
    note = (
        "With a day of samples, one every five minutes, and a month of tables and indexes. A thread keeps its"
        " connection for a minute; the first look opens one, whose server process reads the catalogue anew."
    )
    return Table(f"Monitoring pages with {bench.big.orders:,} orders", header, rows, note)


def _bounded(
    name: str, unit: str, ours: float, goal: float, reference: float | None, note: str
) -> Result:
    return Result(
        target=TARGET,
        name=name,
        unit=unit,
        reference=reference,
        ours=ours,
        goal=goal,
        rule=Rule.OURS_AT_MOST,
        note=note,
    )
