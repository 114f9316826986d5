"""Target 6c: for how long other jobs wait while one of their queue is poison.

A worker with as many processes as the queue has in production, and production's backoff and margin of
leases, so that the three attempts of a poison are as far apart as there. Another job is wanted every
so often, alone first and then beside each poison until it is dead, a minute at least.
"""

import time

from django.db import transaction

from bench.harness import servers, worlds
from bench.harness.findings import Bench, Findings
from bench.harness.results import Result, Rule
from bench.harness.rounds import percentiles
from khaacho import jobs, sql
from khaacho.enums import JobState, Queue

EVERY = 0.05  # seconds: twenty jobs a second
WARM = 5.0  # seconds, while processes connect and load
AT_LEAST, AT_MOST = 60.0, 300.0  # seconds
SWEPT = 1.0  # seconds from one sweep to the next
MOST = 2.0  # times as long as alone
TARGET = 6

WAITS = """
SELECT date_part('epoch', started_at - run_after)::float FROM jobs
WHERE kind = %s AND id > %s
"""


def measure(bench: Bench) -> Findings:
    """Put one poison after another into the queue of a worker that has other work."""
    # They are part of the worker, and register kinds that nothing else may know.
    from bench.reference import jobs as work  # noqa: PLC0415
    from bench.reference import poison  # noqa: PLC0415

    bench.small.enter()
    results: list[Result] = []
    with worlds.empty("bench_poison"):
        sql.execute(work.TABLE)
        with servers.worker(
            worlds.World(0).url,
            app="bench.reference.poison",
            processes=jobs.QUEUES[Queue.ORDER_PROCESSING].concurrency,
        ):
            _waits(work.KIND, seconds=WARM)
            bench.say("6c. jobs alone")
            alone = _waits(work.KIND, seconds=AT_LEAST)
            for name in poison.KINDS:
                bench.say(f"6c. jobs beside one that {name.replace('_', ' ')}")
                beside = _waits(work.KIND, seconds=AT_LEAST, poison=f"bench.{name}")
                results.append(_result(name.replace("_", " "), alone, beside))
    bench.small.enter()
    return Findings(results)


def _result(name: str, alone: list[float], beside: list[float]) -> Result:
    return Result(
        target=TARGET,
        name=f"wait of others beside a job that {name}, which is tried three times: p95",
        unit="ms/job",
        reference=percentiles(alone)[1],
        ours=percentiles(beside)[1],
        goal=MOST,
        rule=Rule.RATIO_AT_MOST,
        note=f"of {len(beside):,} jobs, the longest {max(beside) * 1000:,.0f} ms; reference: alone,"
        f" of {len(alone):,}, the longest {max(alone) * 1000:,.0f} ms",
    )


def _waits(kind: str, *, seconds: float, poison: str = "") -> list[float]:
    """Want a job every so often, until the poison is dead; return for how many seconds each waited.

    Raises RuntimeError when the poison is not dead after three attempts and AT_MOST seconds, or when
    one of the others is not done at once.
    """
    row = sql.fetch_one("SELECT coalesce(max(id), 0) FROM jobs")
    assert row is not None
    first = row[0]
    if poison:
        _enqueue(poison)
    begun = swept = time.monotonic()
    number = 0
    while time.monotonic() - begun < seconds or (poison and _is_open(poison)):
        if time.monotonic() - begun > AT_MOST:
            raise RuntimeError(f"{poison} is not dead after {AT_MOST:.0f} s")
        _enqueue(kind, number=number)
        number += 1
        if time.monotonic() - swept > SWEPT:
            jobs.sweep()
            swept = time.monotonic()
        time.sleep(EVERY)
    while _is_open(kind):
        jobs.sweep()
        time.sleep(EVERY)
    if poison and _outcome(poison) != [(JobState.DEAD, 3)]:
        raise RuntimeError(f"{poison}: {_outcome(poison)}")
    return [row[0] for row in sql.fetch(WAITS, [kind, first])]


def _enqueue(kind: str, **args: int) -> None:
    with transaction.atomic():
        jobs.enqueue(kind, args)


def _is_open(kind: str) -> bool:
    return bool(
        sql.fetch(
            "SELECT FROM jobs WHERE kind = %s AND state IN (%s, %s) LIMIT 1",
            [kind, JobState.QUEUED, JobState.RUNNING],
        )
    )


def _outcome(kind: str) -> list[tuple[str, int]]:
    return sql.fetch("SELECT state, attempts FROM jobs WHERE kind = %s", [kind])
