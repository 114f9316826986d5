"""`celery -A bench.reference.jobs`: a small job of ours, and the same work as a plain Celery task.

Both write one row. The task is what Celery does with Redis alone: a worker that is killed, or a Redis
that is flushed, loses it.
"""

import django

from khaacho.celery import app

__all__ = ["app"]

django.setup()

from khaacho import jobs, sql  # noqa: E402 - models need the set-up
from khaacho.enums import Queue  # noqa: E402

KIND = "bench.write"
QUEUE = Queue.ORDER_PROCESSING
TABLE = (
    "CREATE TABLE IF NOT EXISTS bench_effects"
    " (number integer NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp())"
)


def write(*, number: int) -> None:
    sql.execute("INSERT INTO bench_effects (number) VALUES (%s)", [number])


@app.task(name="bench.plain")
def plain(number: int) -> None:
    write(number=number)


jobs.register(KIND, "bench.reference.jobs.write", queue=QUEUE)
