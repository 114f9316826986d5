"""Many small jobs on one worker: how many ran at once, by PostgreSQL's clock."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from django.db import transaction

from bench.chaos.stage import Stage, wait_until
from khaacho import jobs, sql

BATCH = 500
SECONDS_EACH = 0.1  # that a job may take, waiting included, before the measurement gives up
# A child claims its next job after the last one is committed, so its spans never overlap.
MOST_AT_ONCE = """
SELECT max(running) FROM (
    SELECT sum(step) OVER (ORDER BY at, step) AS running FROM (
        SELECT started_at AS at, 1 AS step FROM jobs WHERE kind = 'chaos.small'
        UNION ALL SELECT finished_at, -1 FROM jobs WHERE kind = 'chaos.small') edges) sums
"""
DONE = "SELECT count(*) = 0, now() FROM jobs WHERE kind = 'chaos.small' AND state <> 'done'"


@dataclass(frozen=True)
class Crowd:
    """So many jobs on a worker set to `concurrency`; `most` ran at once."""

    jobs: int
    concurrency: int
    most: int
    attempts: int
    per_second: float

    @property
    def holds(self) -> bool:
        return (self.most, self.attempts) == (self.concurrency, self.jobs)


def crowd(stage: Stage, *, count: int, concurrency: int, say: Callable[[str], None]) -> Crowd:
    """Enqueue `count` jobs, have one worker do them all, and return how many ran at once."""
    with transaction.atomic():
        sql.execute("DELETE FROM jobs WHERE kind = 'chaos.small'")
    for first in range(0, count, BATCH):
        batch = [jobs.NewJob("chaos.small", {})] * min(BATCH, count - first)
        with transaction.atomic():
            jobs.insert(batch)
    say(f"{count} jobs wait for a worker of {concurrency}")
    node = stage.node("node-crowd", "-c", str(concurrency), "-Q", "order_routing")
    stage.start(node, stage.beat("beat-crowd"))
    begun = time.monotonic()
    wait_until(_are_done, 30 + SECONDS_EACH * count, "all jobs done")
    seconds = time.monotonic() - begun
    stage.stop([node.name, "beat-crowd"])
    row = sql.fetch_one(MOST_AT_ONCE)
    tried = sql.fetch_one("SELECT sum(attempts) FROM jobs WHERE kind = 'chaos.small'")
    assert row
    assert tried
    return Crowd(count, concurrency, int(row[0]), int(tried[0]), count / seconds)


def _are_done() -> bool:
    row = sql.fetch_one(DONE)
    time.sleep(0.2)
    return bool(row and row[0])
