"""Work done later: PostgreSQL remembers it, Celery does it.

A row of `jobs` is inserted in the business transaction. On commit a Celery message that only points
at the row is published, best effort. A worker claims the row (lease and fence); the effect and
`done` commit in one transaction guarded by the fence. The sweep publishes again what was lost.
PostgreSQL's now() is the only clock.
"""

import json
import logging
import random
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils.module_loading import import_string
from psycopg.types.json import Jsonb

from khaacho import broker
from khaacho.enums import JobState, Queue
from khaacho.exceptions import LeaseLost
from khaacho.logs import request_id

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kind:
    """A kind of work. `function` is a dotted path; limits are seconds of Celery's soft and hard limit.

    An atomic kind runs inside the transaction that marks its job done. A kind that talks to the
    network is not atomic: it receives `claim` and commits its own steps.
    """

    name: str
    function: str
    queue: Queue
    soft_limit: int = 60
    hard_limit: int = 90
    atomic: bool = True


@dataclass(frozen=True)
class Claim:
    """A job as taken by one worker. Whoever holds the highest fence may finish it."""

    job_id: int
    kind: str
    args: dict[str, Any]
    fence: int
    attempts: int
    max_attempts: int


_kinds: dict[str, Kind] = {}


def register(
    name: str,
    function: str,
    *,
    queue: Queue,
    soft_limit: int = 60,
    hard_limit: int = 90,
    atomic: bool = True,
) -> None:
    """Make a kind of work known; called from AppConfig.ready()."""
    _kinds[name] = Kind(name, function, queue, soft_limit, hard_limit, atomic)


def registered() -> Iterable[Kind]:
    return _kinds.values()


def enqueue(
    kind: str,
    args: dict[str, Any] | None = None,
    *,
    reference: str = "",
    dedupe_key: str | None = None,
    delay: timedelta = timedelta(0),
    slot: datetime | None = None,
    priority: int = 0,
) -> int | None:
    """Insert one job in the caller's transaction and publish its pointer on commit; return its id.

    An open job with the same `dedupe_key` is returned instead; if it is running already, it runs
    once more. None when the `slot` was taken before. One statement; job rows are locked last of all.
    Raises TransactionManagementError outside a transaction, KeyError for an unknown kind.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("enqueue() outside a transaction")
    conflict = (
        "ON CONFLICT (kind, slot) WHERE slot IS NOT NULL DO NOTHING"
        if slot
        else "ON CONFLICT (dedupe_key) WHERE state IN ('queued', 'running')"
        " DO UPDATE SET rerun = jobs.state = 'running'"
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO jobs (queue, kind, args, reference, dedupe_key, slot, priority, request_id,"
            " run_after, published_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, now() + %s,"
            " CASE WHEN %s THEN NULL ELSE now() END)"
            f" {conflict} RETURNING id",
            [
                _kinds[kind].queue,
                kind,
                Jsonb(args or {}),
                reference,
                dedupe_key,
                slot,
                priority,
                request_id.get(),
                delay,
                delay > timedelta(0),
            ],
        )
        row = cursor.fetchone()
    if row is None:
        return None
    if not delay:
        publish_on_commit([(row[0], kind)])
    return int(row[0])


def enqueue_many(kind_args: list[tuple[str, dict[str, Any], str]]) -> None:
    """Insert jobs `(kind, args, reference)` without dedupe keys in one statement; publish on commit."""
    if not kind_args:
        return
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("enqueue_many() outside a transaction")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO jobs (queue, kind, args, reference, request_id, published_at)"
            " SELECT q, k, a, r, %s, now()"
            " FROM unnest(%s::text[], %s::text[], %s::jsonb[], %s::text[]) AS j (q, k, a, r)"
            " RETURNING id, kind",
            [
                request_id.get(),
                [_kinds[kind].queue.value for kind, _, _ in kind_args],
                [kind for kind, _, _ in kind_args],
                [Jsonb(args) for _, args, _ in kind_args],
                [reference for _, _, reference in kind_args],
            ],
        )
        publish_on_commit([(job_id, kind) for job_id, kind in cursor.fetchall()])


def publish_on_commit(jobs: list[tuple[int, str]]) -> None:
    """Publish pointers to jobs `(id, kind)` once the transaction has committed."""

    def wake() -> None:
        for job_id, kind in jobs:
            if not broker.publish(job_id, _kinds[kind]):
                return  # the sweep publishes what is left

    transaction.on_commit(wake, robust=True)


def run(job_id: int) -> bool:
    """Claim and do one job; return whether it was done. A job that is not due or not free is skipped."""
    claim = _claim(job_id)
    if claim is None:
        return False
    kind = _kinds.get(claim.kind)
    context = request_id.set(f"job-{job_id}")
    try:
        if kind is None:
            raise LookupError(f"unknown kind of job: {claim.kind}")
        _perform(import_string(kind.function), claim, atomic=kind.atomic)
    except LeaseLost:
        log.warning("job.lease_lost", extra={"job_id": job_id, "kind": claim.kind})
        return False
    except Exception as error:  # noqa: BLE001 - whatever a handler raises is that job's failure alone
        _fail(claim, error)
        return False
    finally:
        request_id.reset(context)
    return True


def _perform(function: Callable[..., None], claim: Claim, *, atomic: bool) -> None:
    if not atomic:
        function(claim=claim, **claim.args)
        with transaction.atomic():
            _finish(claim)
        return
    with transaction.atomic():
        function(**claim.args)
        _finish(claim)


def _claim(job_id: int) -> Claim | None:
    """Take a due job: one conditional UPDATE, committed before the work begins."""
    limit = max((k.hard_limit for k in _kinds.values()), default=90)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE jobs SET state = 'running', attempts = attempts + 1, fence = fence + 1,"
            " started_at = now(), lease_until = now() + make_interval(secs => coalesce("
            "(%s::jsonb ->> kind)::float, %s) + %s)"
            " WHERE id = %s AND state = 'queued' AND run_after <= now()"
            " RETURNING id, kind, args, fence, attempts, max_attempts",
            [
                Jsonb({k.name: k.hard_limit for k in _kinds.values()}),
                limit,
                settings.JOB_LEASE_MARGIN_SECONDS,
                job_id,
            ],
        )
        row = cursor.fetchone()
    if row is None:
        return None
    args = row[2] if isinstance(row[2], dict) else json.loads(row[2])
    return Claim(row[0], row[1], args, row[3], row[4], row[5])


def _finish(claim: Claim) -> None:
    """Mark the job done, or queue it again when its facts changed while it ran. Raises LeaseLost."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE jobs SET state = CASE WHEN rerun THEN 'queued' ELSE 'done' END,"
            " attempts = CASE WHEN rerun THEN 0 ELSE attempts END,"
            " run_after = CASE WHEN rerun THEN now() ELSE run_after END,"
            " published_at = CASE WHEN rerun THEN NULL ELSE published_at END,"
            " finished_at = CASE WHEN rerun THEN NULL ELSE clock_timestamp() END,"
            " rerun = false, lease_until = NULL, last_error = ''"
            " WHERE id = %s AND fence = %s AND state = 'running' RETURNING state",
            [claim.job_id, claim.fence],
        )
        row = cursor.fetchone()
    if row is None:
        raise LeaseLost
    if row[0] == JobState.QUEUED:
        publish_on_commit([(claim.job_id, claim.kind)])


def _fail(claim: Claim, error: BaseException) -> None:
    """Queue the job again after 5 s x 2^n +- 20 %, or declare it dead after its last attempt."""
    delay = settings.JOB_BACKOFF_SECONDS * 2 ** (claim.attempts - 1) * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
    text = "".join(traceback.format_exception(error))[-2000:]
    dead = claim.attempts >= claim.max_attempts
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE jobs SET state = %s, lease_until = NULL, published_at = NULL, last_error = %s,"
            " run_after = now() + make_interval(secs => %s),"
            " finished_at = CASE WHEN %s THEN clock_timestamp() END"
            " WHERE id = %s AND fence = %s AND state = 'running'",
            [
                JobState.DEAD if dead else JobState.QUEUED,
                text,
                delay,
                dead,
                claim.job_id,
                claim.fence,
            ],
        )
    log.error(
        "job.dead" if dead else "job.failed",
        extra={"job_id": claim.job_id, "kind": claim.kind, "attempt": claim.attempts},
        exc_info=error,
    )


def sweep(limit: int = 500) -> int:
    """Release jobs whose worker died and publish what is due but unpublished; return how many.

    Two statements over two partial indexes; concurrent sweeps skip each other's rows.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE jobs SET lease_until = NULL, published_at = NULL,"
            " state = CASE WHEN attempts >= max_attempts THEN 'dead' ELSE 'queued' END,"
            " finished_at = CASE WHEN attempts >= max_attempts THEN now() END,"
            " last_error = 'the worker stopped without an answer (lease expired)'"
            " WHERE id IN (SELECT id FROM jobs WHERE state = 'running' AND lease_until < now()"
            " ORDER BY lease_until LIMIT %s FOR UPDATE SKIP LOCKED)",
            [limit],
        )
        cursor.execute(
            "UPDATE jobs SET published_at = now()"
            " WHERE id IN (SELECT id FROM jobs WHERE state = 'queued' AND run_after <= now()"
            " AND (published_at IS NULL OR published_at < now() - make_interval(secs => %s))"
            " ORDER BY priority DESC, run_after LIMIT %s FOR UPDATE SKIP LOCKED)"
            " RETURNING id, kind",
            [settings.JOB_REPUBLISH_SECONDS, limit],
        )
        due = [(job_id, kind) for job_id, kind in cursor.fetchall() if kind in _kinds]
        publish_on_commit(due)
    return len(due)


def run_due(limit: int = 1000) -> int:
    """Do due jobs in this process, without Celery or Redis; return how many were attempted."""
    done = 0
    while done < limit:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT id FROM jobs WHERE state = 'queued' AND run_after <= now()"
                " ORDER BY priority DESC, run_after, id LIMIT 1"
            )
            row = cursor.fetchone()
        if row is None:
            break
        run(row[0])
        done += 1
    return done
