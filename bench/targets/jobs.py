"""Target 6: small jobs through real workers, beside plain Celery tasks that write the same rows."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from django.db import transaction

from bench.harness import servers, worlds
from bench.harness.findings import Bench, Findings
from bench.harness.results import Result, Rule
from bench.harness.rounds import alternate
from khaacho import broker, jobs, sql

PROCESSES = (2, 4)
MOST_MS = 5.0  # a job: 200 a second
ENQUEUE_MS = 0.3
TOGETHER = 100  # jobs of one transaction
WARM = 0.1  # of the jobs, while processes connect and load
STALLED_SECONDS = 60.0
TARGET = 6


@dataclass(frozen=True)
class Pace:
    """Of one job: ms from one effect to the next, and ms of CPU of all of the worker's processes."""

    elapsed: float
    cpu: float


def measure(bench: Bench) -> Findings:
    """Let workers empty a queue that was filled before they started, in a database of its own."""
    # It is part of the worker, and registers a kind that nothing else may know.
    from bench.reference import jobs as work  # noqa: PLC0415

    bench.small.enter()
    results: list[Result] = []
    with worlds.empty("bench_jobs"):
        sql.execute(work.TABLE)
        bench.say("6. enqueuing")
        results += _enqueuing(bench, work.KIND)
        for processes in PROCESSES:
            bench.say(f"6. {bench.jobs:,} small jobs, {processes} processes")
            ours = _drained(bench.jobs, processes, lambda: _fill_ours(work.KIND, bench.jobs))
            reference = _drained(bench.jobs, processes, lambda: _fill_plain(work.plain, bench.jobs))
            results.append(_result(bench.jobs, processes, ours, reference))
    bench.small.enter()
    return Findings(results)


def _result(count: int, processes: int, ours: Pace, reference: Pace) -> Result:
    return Result(
        target=TARGET,
        name=f"small jobs with claim, fence and finish, one node of {processes} processes",
        unit="ms/job",
        reference=reference.elapsed,
        ours=ours.elapsed,
        goal=MOST_MS,
        rule=Rule.OURS_AT_MOST,
        note=f"{1000 / ours.elapsed:.0f} jobs/s of {count:,}, {ours.cpu:.2f} ms CPU of the worker;"
        f" as plain Celery tasks {1000 / reference.elapsed:.0f}/s, {reference.cpu:.2f} ms",
    )


def _enqueuing(bench: Bench, kind: str) -> list[Result]:
    """Measure the CPU of enqueuing in a transaction that is open, and of publishing after its commit."""
    pointer = broker.Pointer(0, "order_processing", 60, 90)
    with transaction.atomic():
        found = alternate(
            {
                "enqueuing": lambda: jobs.enqueue(kind, {"number": 0}, reference="order:1"),
                "publishing": lambda: broker.publish([pointer]),
            },
            bench.requests,
            size=20,
        )
        transaction.set_rollback(True)
    return [
        Result(
            target=TARGET,
            name="enqueuing a job in an open transaction: CPU of the application",
            unit="ms/job",
            ours=found["enqueuing"].median,
            goal=ENQUEUE_MS,
            rule=Rule.OURS_AT_MOST,
            note=str(found["enqueuing"]),
        ),
        Result(
            target=TARGET,
            name="publishing the pointer of one job after the commit: CPU of the application",
            unit="ms/job",
            ours=found["publishing"].median,
            note=f"{found['publishing']}; in a batch each costs a quarter",
        ),
    ]


def _fill_ours(kind: str, count: int) -> None:
    for begin in range(0, count, TOGETHER):
        with transaction.atomic():
            jobs.enqueue_many(
                [(kind, {"number": n}, "") for n in range(begin, min(begin + TOGETHER, count))]
            )


def _fill_plain(task: object, count: int) -> None:
    app = task.app  # type: ignore[attr-defined]
    with app.producer_pool.acquire(block=True) as producer:
        for number in range(count):
            task.apply_async((number,), producer=producer, queue="order_processing")  # type: ignore[attr-defined]


def _drained(count: int, processes: int, fill: Callable[[], None]) -> Pace:
    """Return the pace at which a worker empties the queue that `fill` filled."""
    sql.execute("TRUNCATE jobs, bench_effects")
    _flush()
    fill()
    with servers.worker(
        worlds.World(0).url, app="bench.reference.jobs", processes=processes
    ) as server:
        begun, cpu = _effects(), server.all_cpu_seconds()
        _wait(lambda: _effects() >= count)
        cpu = server.all_cpu_seconds() - cpu
    row = sql.fetch_one(
        "SELECT extract(epoch FROM max(at) - min(at)) * 1000 / (count(*) - 1) FROM"
        " (SELECT at FROM bench_effects ORDER BY at OFFSET %s) warm",
        [int(count * WARM)],
    )
    assert row
    return Pace(float(row[0]), cpu * 1000 / max(1, count - begun))


def _flush() -> None:
    """Leave nothing in the broker of what was enqueued before."""
    with servers.broker() as client:
        client.flushdb()


def _effects() -> int:
    row = sql.fetch_one("SELECT count(*) FROM bench_effects")
    assert row
    return int(row[0])


def _wait(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + STALLED_SECONDS
    while not happened():
        if time.monotonic() > deadline:
            raise RuntimeError(f"the worker did not finish its jobs within {STALLED_SECONDS:.0f} s")
        time.sleep(0.2)
