"""Work done later: PostgreSQL remembers it, Celery does it (docs/jobs.md).

A row of `jobs` is inserted in the business transaction. On commit a Celery message that only points
at the row is published, best effort. A worker claims the row (lease and fence); the effect and
`done` commit in one transaction guarded by the fence. The sweep publishes again what was lost.
PostgreSQL's clock is the only clock: statement_timestamp(), since now() stands still in a
transaction that enqueues and claims.
"""

import json
import logging
import random
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection, transaction
from django.utils.module_loading import import_string
from psycopg.types.json import Jsonb

from khaacho import logs, sql
from khaacho.broker import Pointer, depths, publish
from khaacho.enums import JobState, Queue
from khaacho.exceptions import LeaseLost
from khaacho.rollback import run_after_rollback

log = logging.getLogger(__name__)

NAME_MAX = 80  # jobs.kind
SOFT_LIMIT, HARD_LIMIT = 60, 90  # seconds
LAST_ERROR_MAX = 2000
SWEEP_LOCK = 0x6B686161  # "khaa": one sweep at a time


@dataclass(frozen=True)
class Kind:
    """A kind of work. `function` is a dotted path; limits are seconds of Celery's soft and hard limit.

    An atomic kind runs inside the transaction that marks its job done. A kind that talks to the
    network is not atomic: it receives `claim` and commits its own steps.
    """

    name: str
    function: str
    queue: Queue
    soft_limit: int = SOFT_LIMIT
    hard_limit: int = HARD_LIMIT
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
    request_id: str = ""

    @property
    def soft_limit(self) -> int:
        """Seconds after which the work is interrupted."""
        kind = _kinds.get(self.kind)
        return kind.soft_limit if kind else SOFT_LIMIT


_kinds: dict[str, Kind] = {}


def register(
    name: str,
    function: str,
    *,
    queue: Queue,
    soft_limit: int = SOFT_LIMIT,
    hard_limit: int = HARD_LIMIT,
    atomic: bool = True,
) -> None:
    """Make a kind of work known; called from AppConfig.ready(). Raises ValueError for a bad name."""
    kind = Kind(name, function, queue, soft_limit, hard_limit, atomic)
    if len(name) > NAME_MAX:
        raise ValueError(f"kind of job longer than {NAME_MAX} characters: {name}")
    if _kinds.setdefault(name, kind) != kind:
        raise ValueError(f"two kinds of job are called {name}")


def registered() -> Iterable[Kind]:
    return _kinds.values()


ENQUEUE = """
INSERT INTO jobs
    (queue, kind, args, reference, dedupe_key, slot, priority, request_id, run_after, published_at)
VALUES
    (%(queue)s, %(kind)s, %(args)s, %(reference)s, %(dedupe_key)s, %(slot)s, %(priority)s,
     %(request_id)s, statement_timestamp() + %(delay)s,
     CASE WHEN %(delay)s = interval '0' THEN statement_timestamp() END)
"""
# A running job does not see what is committed after it began: it runs once more. A waiting one does.
COALESCE = """
ON CONFLICT (dedupe_key) WHERE state IN ('queued', 'running') DO UPDATE SET
    rerun = jobs.state = 'running',
    priority = greatest(jobs.priority, EXCLUDED.priority),
    run_after = CASE
        WHEN jobs.state = 'running' AND NOT jobs.rerun THEN EXCLUDED.run_after
        WHEN jobs.state = 'running' OR jobs.attempts = 0
            THEN least(jobs.run_after, EXCLUDED.run_after)
        ELSE jobs.run_after
    END
RETURNING id, xmax = 0
"""
ONCE_PER_SLOT = "ON CONFLICT (kind, slot) WHERE slot IS NOT NULL DO NOTHING RETURNING id, true"


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

    An open job with the same `dedupe_key` keeps its args and is returned instead; if it is running
    already, it runs once more. None when the `slot` was taken before; a slot and a key exclude each
    other. One statement; job rows are locked last of all.
    Raises TransactionManagementError outside a transaction, KeyError for an unknown kind.
    """
    _require_transaction()
    if slot and dedupe_key:
        raise ValueError("a job has a slot or a dedupe key, not both")
    queue = _kinds[kind].queue.value
    row = sql.fetch_one(
        ENQUEUE + (ONCE_PER_SLOT if slot else COALESCE),
        {
            "queue": queue,
            "kind": kind,
            "args": Jsonb(args or {}),
            "reference": reference,
            "dedupe_key": dedupe_key,
            "slot": slot,
            "priority": priority,
            "request_id": logs.request_id.get(),
            "delay": delay,
        },
    )
    if row is None:
        return None
    job_id, inserted = row
    if inserted and not delay:
        _publish_on_commit([_pointer(job_id, queue, kind)])
    return int(job_id)


class NewJob(NamedTuple):
    """Work to insert. A `dedupe_key` here is one that no open job can have: of a row just made."""

    kind: str
    args: dict[str, Any]
    reference: str = ""
    dedupe_key: str | None = None


# Also a part of the statement that writes the fact: bind `parameters`, then `announce` what it returns.
INSERT_MANY = (
    "INSERT INTO jobs (queue, kind, args, reference, dedupe_key, request_id, run_after, published_at)"
    " SELECT q, k, a, r, d, %(job_request_id)s, statement_timestamp(), statement_timestamp()"
    " FROM unnest(%(job_queues)s::text[], %(job_kinds)s::text[], %(job_args)s::jsonb[],"
    " %(job_references)s::text[], %(job_keys)s::text[]) AS j (q, k, a, r, d)"
    " RETURNING id"
)


def parameters(new: Sequence[NewJob]) -> dict[str, Any]:
    """Return what INSERT_MANY binds. Raises KeyError for an unknown kind."""
    return {
        "job_request_id": logs.request_id.get(),
        "job_queues": [_kinds[job.kind].queue.value for job in new],
        "job_kinds": [job.kind for job in new],
        "job_args": [json.dumps(job.args) for job in new],
        "job_references": [job.reference for job in new],
        "job_keys": [job.dedupe_key for job in new],
    }


def announce(new: Sequence[NewJob], ids: Iterable[int]) -> None:
    """Publish on commit the pointers of jobs that INSERT_MANY inserted; `ids` in their order."""
    _publish_on_commit(
        [
            _pointer(job_id, _kinds[job.kind].queue.value, job.kind)
            for job, job_id in zip(new, ids, strict=True)
        ]
    )


def enqueue_many(kind_args: list[tuple[str, dict[str, Any], str]]) -> None:
    """Insert jobs `(kind, args, reference)` without dedupe keys in one statement; publish on commit.

    Raises TransactionManagementError outside a transaction, KeyError for an unknown kind.
    """
    insert([NewJob(*each) for each in kind_args])


def insert(new: Sequence[NewJob]) -> None:
    """Insert jobs in one statement, none for none; publish on commit. Raises as `enqueue_many`."""
    _require_transaction()
    if new:
        announce(new, [row[0] for row in sql.fetch(INSERT_MANY, parameters(new))])


def _require_transaction() -> None:
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("a job belongs to the transaction of its fact")


def _pointer(job_id: int, queue: str, kind: str) -> Pointer:
    known = _kinds.get(kind)
    soft, hard = (known.soft_limit, known.hard_limit) if known else (SOFT_LIMIT, HARD_LIMIT)
    return Pointer(job_id, queue, soft, hard)


def _publish_on_commit(pointers: Sequence[Pointer]) -> None:
    def wake() -> None:
        publish(pointers)  # what the broker does not take, the sweep publishes

    if pointers:
        transaction.on_commit(wake, robust=True)


CLAIM = """
UPDATE jobs SET
    state = 'running', attempts = attempts + 1, fence = fence + 1, rerun = false, progress = NULL,
    started_at = statement_timestamp(), finished_at = NULL,
    lease_until = statement_timestamp()
        + make_interval(secs => coalesce((%(limits)s::jsonb ->> kind)::float, %(limit)s) + %(margin)s)
WHERE id = {job} AND state = 'queued' AND run_after <= statement_timestamp()
RETURNING id, kind, args::text, fence, attempts, max_attempts, request_id
"""
CLAIM_ONE = CLAIM.format(job="%(id)s")
CLAIM_NEXT = CLAIM.format(
    job="""(
    SELECT id FROM jobs
    WHERE state = 'queued' AND run_after <= statement_timestamp()
        AND (%(queue)s::text IS NULL OR queue = %(queue)s)
    ORDER BY priority DESC, run_after, id LIMIT 1 FOR UPDATE SKIP LOCKED)"""
)


def _mend_connection() -> None:
    """Drop a connection that broke since the last job; a test's transaction keeps its own."""
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()


def run(job_id: int) -> bool:
    """Claim and do one job; return whether it was done. A job that is not due or not free is skipped."""
    _mend_connection()
    claim = _claim(CLAIM_ONE, id=job_id)
    return claim is not None and perform(claim)


def run_due(limit: int = 1000, *, queue: str | None = None) -> int:
    """Do due jobs in this process, without Celery or Redis; return how many were attempted."""
    for done in range(limit):
        claim = claim_next(queue)
        if claim is None:
            return done
        perform(claim)
    return limit


def claim_next(queue: str | None = None) -> Claim | None:
    """Take the most urgent due job of a queue, or of all; concurrent callers take different ones."""
    _mend_connection()
    return _claim(CLAIM_NEXT, queue=queue)


def _claim(statement: str, **which: object) -> Claim | None:
    """Take a due job: one conditional UPDATE, committed before the work begins."""
    limits = {
        "limits": Jsonb({kind.name: kind.hard_limit for kind in _kinds.values()}),
        "limit": HARD_LIMIT,
        "margin": settings.JOB_LEASE_MARGIN_SECONDS,
    }
    row = sql.fetch_one(statement, limits | which)
    if row is None:
        return None
    job_id, kind, args, *rest = row
    return Claim(job_id, kind, json.loads(args), *rest)


def perform(claim: Claim) -> bool:
    """Do a claimed job; return whether it was done. What its function raises is its failure alone."""
    origin = logs.request_id.set(claim.request_id or f"job-{claim.job_id}")
    job = logs.job_id.set(claim.job_id)
    try:
        _work(claim)
    except LeaseLost:
        log.warning("job.lease_lost", extra={"kind": claim.kind})
        return False
    except Exception as error:  # noqa: BLE001 - whatever a handler raises is that job's failure alone
        _fail(claim, error)
        return False
    finally:
        logs.job_id.reset(job)
        logs.request_id.reset(origin)
    return True


def _work(claim: Claim) -> None:
    kind = _kinds.get(claim.kind)
    if kind is None:
        raise LookupError(f"unknown kind of job: {claim.kind}")
    function: Callable[..., None] = import_string(kind.function)
    if not kind.atomic:
        function(claim=claim, **claim.args)
    with transaction.atomic():
        if kind.atomic:
            function(**claim.args)
        _finish(claim)


def report_progress(claim: Claim, percent: int) -> None:
    """Show how far a job that is not atomic has come. Raises LeaseLost when another worker has it."""
    if not sql.execute(
        "UPDATE jobs SET progress = %s WHERE id = %s AND fence = %s AND state = 'running'",
        [percent, claim.job_id, claim.fence],
    ):
        raise LeaseLost


def _finish(claim: Claim) -> None:
    """Mark the job done, or queue it again when it was asked for while it ran. Raises LeaseLost."""
    row = sql.fetch_one(
        "UPDATE jobs SET state = CASE WHEN rerun THEN 'queued' ELSE 'done' END,"
        " attempts = CASE WHEN rerun THEN 0 ELSE attempts END,"
        " published_at = CASE WHEN NOT rerun THEN published_at"
        "  WHEN run_after <= clock_timestamp() THEN clock_timestamp() END,"
        " finished_at = CASE WHEN NOT rerun THEN clock_timestamp() END,"
        " rerun = false, lease_until = NULL, last_error = ''"
        " WHERE id = %s AND fence = %s AND state = 'running'"
        " RETURNING state = 'queued' AND published_at IS NOT NULL, queue",
        [claim.job_id, claim.fence],
    )
    if row is None:
        raise LeaseLost
    again, queue = row
    if again:
        _publish_on_commit([_pointer(claim.job_id, queue, claim.kind)])


# A job that was asked for again while its last attempt ran begins anew instead of dying.
GIVE_BACK = """
UPDATE jobs SET
    state = CASE WHEN attempts >= max_attempts AND NOT rerun THEN 'dead' ELSE 'queued' END,
    attempts = CASE WHEN attempts >= max_attempts AND rerun THEN 0 ELSE attempts END,
    finished_at = CASE WHEN attempts >= max_attempts AND NOT rerun THEN clock_timestamp() END,
    run_after = clock_timestamp() + make_interval(secs => %(delay)s),
    lease_until = NULL, published_at = NULL, last_error = %(error)s
"""
_OUTCOMES = {JobState.QUEUED.value: "job.failed", JobState.DEAD.value: "job.dead"}


def _fail(claim: Claim, error: Exception) -> None:
    """Queue the job again after 5 s x 2^n +- 20 %, or declare it dead after its last attempt."""
    _mend_connection()
    run_after_rollback(error)
    delay = settings.JOB_BACKOFF_SECONDS * 2 ** (claim.attempts - 1) * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
    text = logs.scrub("".join(traceback.format_exception(error)))[-LAST_ERROR_MAX:]
    row = sql.fetch_one(
        GIVE_BACK + "WHERE id = %(id)s AND fence = %(fence)s AND state = 'running' RETURNING state",
        {"delay": delay, "error": text, "id": claim.job_id, "fence": claim.fence},
    )
    event = _OUTCOMES[row[0]] if row else "job.lease_lost"
    log.error(event, extra={"kind": claim.kind, "attempt": claim.attempts, "error": text})


# ARRAY() is read once; as a plain IN () the planner may read the subquery again for each row, and each
# time skip what it locked before: more than the limit.
EXPIRED = """
WHERE id = ANY (ARRAY(
    SELECT id FROM jobs WHERE state = 'running' AND lease_until < statement_timestamp()
    ORDER BY lease_until LIMIT %(limit)s FOR UPDATE SKIP LOCKED))
RETURNING id, kind, state
"""
WAITING = """
SELECT queue, count(*) FILTER (WHERE published_at IS NULL), count(published_at) FROM jobs
WHERE state = 'queued' AND run_after <= statement_timestamp() GROUP BY queue ORDER BY queue
"""
TAKE_UNPUBLISHED = """
UPDATE jobs SET published_at = statement_timestamp()
WHERE id = ANY (ARRAY(
    SELECT id FROM jobs
    WHERE state = 'queued' AND run_after <= statement_timestamp() AND queue = %(queue)s
        AND (published_at IS NULL
             OR published_at < statement_timestamp() - make_interval(secs => %(age)s))
    ORDER BY published_at NULLS FIRST, priority DESC, run_after, id
    LIMIT %(limit)s FOR UPDATE SKIP LOCKED))
RETURNING id, queue, kind
"""


def sweep(limit: int = 500) -> int:
    """Release jobs whose worker died and publish what is due but unpublished; return how many.

    At most `limit` of each queue. Of what was published before, only as many as the broker holds too
    few: a long backlog that is still in its queue is not published again. One sweep works at a
    time, a second returns 0.
    """
    held = depths(Queue.values)
    pointers: list[Pointer] = []
    with transaction.atomic():
        row = sql.fetch_one("SELECT pg_try_advisory_xact_lock(%s)", [SWEEP_LOCK])
        if row == (False,):
            return 0
        _release_expired(limit)
        if held is not None:
            for queue, new, published in sql.fetch(WAITING):
                lost = max(0, published - held.get(queue, 0))
                pointers += _take_unpublished(queue, min(limit, new + lost))
        _publish_on_commit(pointers)
    return len(pointers)


def _release_expired(limit: int) -> None:
    error = "the worker stopped without an answer (lease expired)"
    rows = sql.fetch(GIVE_BACK + EXPIRED, {"delay": 0, "error": error, "limit": limit})
    for job_id, kind, state in rows:
        log.error("job.lease_expired", extra={"job_id": job_id, "kind": kind, "state": state})


def _take_unpublished(queue: str, limit: int) -> list[Pointer]:
    """Stamp and return up to `limit` due jobs that are unpublished, or whose pointer may be lost."""
    if not limit:
        return []
    age = settings.JOB_REPUBLISH_SECONDS
    rows = sql.fetch(TAKE_UNPUBLISHED, {"queue": queue, "age": age, "limit": limit})
    return [_pointer(*row) for row in rows]
