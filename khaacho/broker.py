"""Publishing pointers to jobs through Celery: bounded in time, and never worth an error.

A dead or hung Redis costs a request one timeout; after that a circuit breaker skips publishing for
a while, and the sweep publishes what was skipped.
"""

import logging
import time
from functools import cache
from typing import TYPE_CHECKING, Any

from django.conf import settings
from kombu import Connection
from kombu.pools import producers

if TYPE_CHECKING:
    from khaacho.jobs import Kind

log = logging.getLogger(__name__)

BREAKER_SECONDS = 5.0
_closed_until = 0.0


@cache
def _connection() -> Connection:
    timeout = settings.REDIS_TIMEOUT
    return Connection(
        settings.CELERY_BROKER_URL,
        transport_options={
            "socket_timeout": timeout,
            "socket_connect_timeout": timeout,
            "retry_on_timeout": False,
            "max_retries": 0,
        },
        connect_timeout=timeout,
    )


def publish(job_id: int, kind: "Kind") -> bool:
    """Send Celery a pointer to a job; return whether the broker took it."""
    global _closed_until  # noqa: PLW0603 - the breaker is this process's own memory
    if time.monotonic() < _closed_until:
        return False
    try:
        _send(job_id, kind)
    except Exception as error:  # noqa: BLE001 - the fact is committed; no broker failure may undo it
        _closed_until = time.monotonic() + BREAKER_SECONDS
        log.warning("broker.publish_failed", extra={"job_id": job_id, "error": repr(error)[:200]})
        return False
    return True


def _send(job_id: int, kind: "Kind") -> None:
    from khaacho.tasks import run_job  # noqa: PLC0415 - the task imports jobs, which imports this

    options: dict[str, Any] = {
        "queue": kind.queue.value,
        "soft_time_limit": kind.soft_limit,
        "time_limit": kind.hard_limit,
        "retry": False,
    }
    with producers[_connection()].acquire(block=True, timeout=settings.REDIS_TIMEOUT) as producer:
        run_job.apply_async(args=[job_id], producer=producer, **options)
