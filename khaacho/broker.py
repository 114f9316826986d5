"""Publishing pointers to jobs through Celery: bounded in time, and never worth an error.

A dead or hung Redis costs a request one timeout; after that a circuit breaker skips publishing for
a while, and the sweep publishes what was skipped. It is the breaker of caches and rates too where
these are in the same server. The connection is apart from those of workers, whose timeouts are longer.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from celery.utils.nodenames import anon_nodename
from django.conf import settings
from kombu import Connection
from kombu.pools import producers
from kombu.transport import redis
from kombu.utils.uuid import uuid

from khaacho.breaker import breaker_of

log = logging.getLogger(__name__)

T = TypeVar("T")


class Channel(redis.Channel):
    """Keeps redis-py's client where kombu makes one for each message: half the CPU of publishing.

    A client is a pool and a table of callbacks; a new pool has a new client.
    """

    kept: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:
        if asynchronous:
            return super()._create_client(asynchronous=True)  # type: ignore[misc]  # an untyped library
        if self.kept is None or self.kept.connection_pool is not self.pool:
            self.kept = super()._create_client()  # type: ignore[misc]
        return self.kept


class Transport(redis.Transport):
    Channel = Channel


@dataclass(frozen=True)
class Pointer:
    """What the broker carries: which job, in which queue, and Celery's limits in seconds.

    Of a `priority` other than 0 it overtakes the others of its queue, or lets them pass.
    """

    job_id: int
    queue: str
    soft_limit: int
    hard_limit: int
    priority: int = 0

    @property
    def step(self) -> int:
        """The list of its queue in Redis: workers empty an earlier one of JOB_PRIORITY_STEPS first."""
        urgent, normal, patient = settings.JOB_PRIORITY_STEPS
        if self.priority == 0:
            return int(normal)
        return int(urgent if self.priority > 0 else patient)


def publish(pointers: Sequence[Pointer]) -> bool:
    """Send Celery pointers in one round trip; return whether the broker took them."""

    def send() -> bool:
        with _producer() as producer, producer.batch():
            for pointer in pointers:
                _send(pointer, producer)
        return True

    return _bounded(send) or False


def depths(queues: Iterable[str]) -> dict[str, int] | None:
    """Return how many pointers wait in each queue; None when the broker does not answer."""

    def measure() -> dict[str, int]:
        with _producer() as producer:
            declare = producer.channel.queue_declare
            return {queue: declare(queue=queue).message_count for queue in queues}

    return _bounded(measure)


def _bounded(work: Callable[[], T]) -> T | None:
    breaker = breaker_of(settings.CELERY_BROKER_URL)
    if not breaker.permits():
        return None
    try:
        result = work()
    except Exception as error:  # noqa: BLE001 - the fact is committed; no broker failure may undo it
        breaker.trip()
        log.warning("broker.failed", extra={"error": repr(error)[:200]})
        return None
    breaker.reset()
    return result


@contextmanager
def _producer() -> Iterator[Any]:
    connection = _connection(settings.CELERY_BROKER_URL, settings.REDIS_TIMEOUT)
    pool = producers[connection]
    with pool.acquire(block=True, timeout=settings.REDIS_TIMEOUT) as producer:
        yield producer


@cache
def _connection(url: str, timeout: float) -> Connection:
    options = {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "retry_on_timeout": False,
        "max_retries": 0,
        "priority_steps": settings.JOB_PRIORITY_STEPS,
    }
    return Connection(url, transport=Transport, transport_options=options, connect_timeout=timeout)


def _send(pointer: Pointer, producer: Any) -> None:
    """Publish what `run_job.apply_async` would: its message, made by Celery once, with a new id.

    Making it anew costs Celery twice what publishing costs kombu.
    """
    form = _form(pointer.queue, pointer.soft_limit, pointer.hard_limit)
    task_id = uuid()
    args = (pointer.job_id,)
    producer.publish(
        (args, *form.body[1:]),
        exchange="",
        routing_key=pointer.queue,
        serializer="json",
        delivery_mode="persistent",
        priority=pointer.step,
        headers={**form.headers, "id": task_id, "root_id": task_id, "argsrepr": repr(args)},
        **{**form.properties, "correlation_id": task_id},
    )


@cache
def _form(queue: str, soft_limit: int, hard_limit: int) -> Any:
    """Return Celery's own message of a `run_job` with these limits (seconds), for no job."""
    from khaacho.tasks import run_job  # noqa: PLC0415 - the task imports jobs, which imports this

    return run_job.app.amqp.create_task_message(
        "",
        run_job.name,
        args=(0,),
        kwargs={},
        soft_time_limit=soft_limit,
        time_limit=hard_limit,
        ignore_result=True,
        reply_to=run_job.app.thread_oid,
        origin=anon_nodename(),
    )
