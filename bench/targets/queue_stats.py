"""Target 6b: the figures of the queues with a million jobs done, and the board with 100,000 waiting."""

import time
from collections.abc import Callable

from django.test import Client as Browser

from bench.harness import worlds
from bench.harness.client import Client, staff
from bench.harness.findings import Bench, Findings
from bench.harness.results import Result, Rule
from bench.harness.rounds import percentiles
from bench.reference import queue_recount
from khaacho import sql
from khaacho.enums import Queue, Role
from khaacho.models import User
from monitoring import job_minutes, queues

PATH, BOARD = "/api/v1/queues/stats", "/admin/queues/"
DONE, WAITING = 1_000_000, 100_000
MINUTE_OF_WEEK, MINUTE_OF_HOUR = 7 * 24 * 60, 60
P99_MS, PAGE_MS = 20, 120
RECOUNTS = 20
TARGET = 6

# Evenly over the last so many minutes; waits and runs as varied as work is.
FILL = """
INSERT INTO jobs (queue, kind, args, reference, state, attempts, coalesced, stalls, run_after,
    created_at, started_at, finished_at)
SELECT (%(queues)s::text[])[1 + mod(n, 6)], 'bench', '{}', 'bench:' || n, 'done', 1,
    (mod(n, 5) = 0)::int, (mod(n, 1000) = 0)::int, t - wait - run, t - wait - run, t - run, t
FROM (SELECT n, statement_timestamp() - %(minutes)s * interval '1 minute' * n / %(count)s AS t,
    interval '1 second' * -ln(random() + 1e-9) AS wait,
    interval '0.2 second' * -ln(random() + 1e-9) AS run
    FROM generate_series(1, %(count)s) AS n) AS done
"""
WAIT = """
INSERT INTO jobs (queue, kind, args, reference, dedupe_key, run_after)
SELECT (%(queues)s::text[])[1 + mod(n, 6)], 'bench', '{}', 'waits:' || n, 'waits:' || n,
    statement_timestamp() - n * interval '1 millisecond' FROM generate_series(1, %(count)s) AS n
"""


def measure(bench: Bench) -> Findings:
    """Fill an empty world three times: a week's jobs, an hour's, and what waits."""
    with worlds.empty("bench_queues"):
        return Findings(results(bench, DONE, WAITING))


def results(bench: Bench, done: int, waiting: int) -> list[Result]:
    """Measure with so many jobs in the database that is connected, whose jobs are replaced."""
    boss = User.objects.create(
        phone="+9779800000000", name="Boss", role=Role.ADMIN, is_superuser=True
    )
    found = []
    for period, minutes in (("week", MINUTE_OF_WEEK), ("hour", MINUTE_OF_HOUR)):
        bench.say(f"6b. figures of the queues, {done:,} jobs done in a {period}")
        _fill(FILL, done, minutes=minutes)
        found += _stats(bench, f"{done:,} jobs done in a {period}")
    bench.say(f"6b. queue board, {waiting:,} jobs waiting")
    sql.execute(WAIT, {"queues": Queue.values, "count": waiting})
    worlds.settle()
    found.append(_board(bench, boss, waiting))
    return found


def _fill(statement: str, count: int, **values: int) -> None:
    for table in ("jobs", "job_minutes"):
        sql.execute(f"TRUNCATE {table}")
    sql.execute(statement, {"queues": Queue.values, "count": count, **values})
    job_minutes.count()
    worlds.settle()
    job_minutes.count()  # as the schedule does every minute


def _stats(bench: Bench, name: str) -> list[Result]:
    client = Client([staff()])
    asked = _timed(client.getting(PATH), max(bench.requests, 100))
    plain = _timed(_recount, RECOUNTS)
    p50, p95, p99 = percentiles(asked)
    return [
        Result(
            target=TARGET,
            name=f"figures of the queues, {name}: p99",
            unit="ms/request",
            reference=percentiles(plain)[0],
            ours=p99,
            goal=P99_MS,
            rule=Rule.OURS_AT_MOST,
            note=f"p50/p95 {p50:.1f}/{p95:.1f} ms; the reference is the median of a plain recount",
        ),
        Result(
            target=TARGET,
            name=f"figures of the queues, {name}: counts unlike a recount",
            unit="figures",
            ours=len(_unlike()),
            goal=0,
            rule=Rule.OURS_AT_MOST,
            note=", ".join(_unlike()),
        ),
    ]


def _recount() -> None:
    now = queues.overview().now
    queue_recount.counts(now)
    queue_recount.lasted(now)


def _unlike() -> list[str]:
    """Return the figures that a plain recount of the same moment contradicts."""
    found = queues.overview()
    plain = queue_recount.counts(found.now)
    return [
        f"{each.queue} {field}"
        for each in found.queues
        for field, value in plain.get(each.queue, {}).items()
        if getattr(each, field) != value
    ]


def _board(bench: Bench, boss: User, waiting: int) -> Result:
    browser = Browser(headers={"Host": "127.0.0.1"})
    browser.force_login(boss)
    p50, p95, _ = percentiles(_timed(lambda: _page(browser), max(bench.requests // 4, 20)))
    return Result(
        target=TARGET,
        name=f"queue board, {waiting:,} jobs waiting beside those of the hour: p95",
        unit="ms/page",
        ours=p95,
        goal=PAGE_MS,
        rule=Rule.OURS_AT_MOST,
        note=f"p50 {p50:.1f} ms",
    )


def _page(browser: Browser) -> None:
    status = browser.get(BOARD).status_code
    if status != 200:
        raise RuntimeError(f"{BOARD}: {status}")


def _timed(call: Callable[[], object], times: int) -> list[float]:
    """Return the seconds of each call, after one that is not counted."""
    call()
    seconds = []
    for _ in range(times):
        begun = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begun)
    return seconds
