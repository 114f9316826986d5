"""Who does jobs, and whether beat and the sweep go on: rows of worker_nodes that are written anew.

A node that was not seen for half a minute is dead. Beat and the sweep have a row each, of no
concurrency, whichever process they run in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.functions import Now

from khaacho import sql
from khaacho.models import WorkerNode

REPORT_SECONDS = 10.0
ALIVE_FOR = timedelta(seconds=30)
BEAT, SWEEP = "beat", "sweep"

SEEN = """
INSERT INTO worker_nodes (name, queues, concurrency, started_at, seen_at)
VALUES (%(name)s, to_jsonb(%(queues)s::text[]), %(concurrency)s, statement_timestamp(), statement_timestamp())
ON CONFLICT (name) DO UPDATE SET
    queues = EXCLUDED.queues, concurrency = EXCLUDED.concurrency, seen_at = EXCLUDED.seen_at,
    started_at = CASE WHEN %(is_new)s THEN EXCLUDED.started_at ELSE worker_nodes.started_at END
"""


@dataclass(frozen=True)
class Node:
    """A process that does jobs of `queues`, `concurrency` of them at once."""

    name: str
    queues: Sequence[str] = ()
    concurrency: int = 0

    def report(self, *, is_new: bool = False, using: BaseDatabaseWrapper | None = None) -> None:
        """Say that the node lives; `is_new` when it just started. One statement."""
        values: dict[str, Any] = {
            "name": self.name[:120],
            "queues": list(self.queues),
            "concurrency": self.concurrency,
            "is_new": is_new,
        }
        with (using or connection).cursor() as cursor:
            cursor.execute(SEEN, values)

    def leave(self, *, using: BaseDatabaseWrapper | None = None) -> None:
        """Take the node off the list: it stopped of its own accord."""
        with (using or connection).cursor() as cursor:
            cursor.execute("DELETE FROM worker_nodes WHERE name = %s", [self.name[:120]])


def live_nodes() -> list[WorkerNode]:
    """Return the nodes seen within the last half minute, by name. One query over few rows."""
    seen = WorkerNode.objects.filter(concurrency__gt=0, seen_at__gt=Now() - ALIVE_FOR)
    return list(seen.order_by("name"))


def sweep_last_run_seconds() -> float | None:
    """Return how many seconds ago a sweep last ran; None when none ever did."""
    return seconds_since(SWEEP)


def seconds_since(name: str) -> float | None:
    """Return how many seconds ago the row of this name was written; None without such a row."""
    row = sql.fetch_one(
        "SELECT extract(epoch FROM statement_timestamp() - seen_at)::float8"
        " FROM worker_nodes WHERE name = %s",
        [name],
    )
    return max(0.0, row[0]) if row else None
