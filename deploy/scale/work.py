"""The jobs, read around the site: what runs, what is left, what became of those whose worker was killed."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

RUNNING = """
SELECT id, kind, fence FROM jobs
WHERE state = 'running' AND queue = ANY (%(queues)s) AND (%(id)s::bigint IS NULL OR id = %(id)s) LIMIT 1
"""
# Due, at work, or to be tried once more; not what waits for its hour.
LEFT = """
SELECT count(*) FROM jobs
WHERE state = 'running' OR state = 'queued' AND (run_after <= now() OR attempts > 0)
"""
DEAD = "SELECT id, kind, left(last_error, 200) FROM jobs WHERE state = 'dead' AND created_at >= %s"
FATE = "SELECT state, stalls, fence FROM jobs WHERE id = %s"
SETTLE_SECONDS = 120.0
POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Job:
    """A job at its `fence`, which grows with each attempt."""

    id: int
    kind: str
    fence: int


@dataclass(frozen=True)
class Watch:
    """Looks for jobs of these queues that are at work."""

    connection: psycopg.Connection
    queues: Sequence[str]

    def running(self, job_id: int | None = None) -> Job | None:
        """Return one that runs, or that one if it runs."""
        values = {"queues": list(self.queues), "id": job_id}
        row = self.connection.execute(RUNNING, values).fetchone()
        return Job(*row) if row else None


@contextmanager
def watching(database_url: str, queues: Sequence[str]) -> Iterator[Watch]:
    """Give a watch with a connection of its own."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield Watch(connection, queues)


def now(database_url: str) -> object:
    """Return the server's time."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT now()").fetchone()
    assert row
    return row[0]


def troubles(database_url: str, killed: Sequence[Job], since: object) -> list[str]:
    """Wait until the workers have nothing left; say what is left, dead, or was not done again.

    `killed` are the jobs in whose middle a worker was killed.
    """
    with psycopg.connect(database_url, autocommit=True) as connection:
        deadline = time.monotonic() + SETTLE_SECONDS
        while left := _count(connection):
            if time.monotonic() > deadline:
                return [f"{left} jobs are not done after {SETTLE_SECONDS:g} s"]
            time.sleep(POLL_SECONDS)
        dead = connection.execute(DEAD, [since]).fetchall()
        found = [f"job {pk} ({kind}) is dead: {error}" for pk, kind, error in dead]
        for job in killed:
            row = connection.execute(FATE, [job.id]).fetchone()
            if row is None or row[0] != "done" or row[1] < 1 or row[2] <= job.fence:
                found.append(f"job {job.id} ({job.kind}) was not done again: {row}")
    return found


def _count(connection: psycopg.Connection) -> int:
    row = connection.execute(LEFT).fetchone()
    assert row
    return int(row[0])
