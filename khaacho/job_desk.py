"""What staff do to jobs and queues. Who may is asked at the edges, by khaacho/permissions.py."""

from django.db import IntegrityError, transaction

from khaacho import audit, sql
from khaacho.actors import Actor, act, require_staff
from khaacho.enums import Queue
from khaacho.exceptions import Conflict, Invalid, NotFound
from khaacho.jobs.queues import QUEUES

REASON_MAX = 300  # queue_settings.reason

# The sweep publishes what is due and unpublished within seconds.
RETRY = """
UPDATE jobs SET
    state = 'queued', attempts = CASE WHEN state = 'dead' THEN 0 ELSE attempts END,
    run_after = statement_timestamp(), published_at = NULL, finished_at = NULL
WHERE id = %s AND (state = 'dead' OR (state = 'queued' AND run_after > statement_timestamp()))
RETURNING kind
"""
# The fence is raised: a worker that has the job cannot commit it any more.
CANCEL = """
WITH job AS (SELECT id, state FROM jobs WHERE id = %s FOR NO KEY UPDATE)
UPDATE jobs SET
    state = 'cancelled', fence = fence + 1, rerun = false, lease_until = NULL,
    finished_at = clock_timestamp()
FROM job WHERE jobs.id = job.id AND job.state IN ('queued', 'running', 'dead')
RETURNING jobs.kind, job.state
"""
# Of several dead jobs with one key the newest stands for all, unless an open one does already.
REQUEUE_DEAD = """
UPDATE jobs SET
    state = 'queued', attempts = 0, run_after = statement_timestamp(), published_at = NULL,
    finished_at = NULL
WHERE id IN (
        SELECT max(id) FROM jobs WHERE queue = %(queue)s AND state = 'dead'
        GROUP BY coalesce(dedupe_key, id::text))
    AND state = 'dead'
    AND NOT EXISTS (
        SELECT FROM jobs other
        WHERE other.dedupe_key = jobs.dedupe_key AND other.state IN ('queued', 'running'))
"""
PAUSE = """
INSERT INTO queue_settings (queue, is_paused, reason, changed_by_id, changed_at)
VALUES (%s, true, %s, %s, statement_timestamp())
ON CONFLICT (queue) DO UPDATE SET
    is_paused = true, reason = EXCLUDED.reason, changed_by_id = EXCLUDED.changed_by_id,
    changed_at = EXCLUDED.changed_at
WHERE NOT queue_settings.is_paused
"""
RESUME = """
UPDATE queue_settings SET
    is_paused = false, reason = '', changed_by_id = %s, changed_at = statement_timestamp()
WHERE queue = %s AND is_paused
"""


@transaction.atomic
def retry(job_id: int, actor: Actor) -> None:
    """Let a dead job begin anew, and one that waits for its next attempt run now.

    Raises NotFound, and Conflict for a job that is done, running, cancelled or due already, or that
    another open job has replaced.
    """
    act(actor)
    require_staff(actor)
    try:
        with transaction.atomic():
            row = sql.fetch_one(RETRY, [job_id])
    except IntegrityError as error:  # the constraint on open dedupe keys
        raise Conflict("The same work is queued in another job already.") from error
    if row is None:
        _refuse(job_id)
    else:
        audit.record(actor, "job.retried", entity_type="job", entity_id=job_id, kind=row[0])


@transaction.atomic
def cancel(job_id: int, reason: str, actor: Actor) -> None:
    """Let a waiting job never run, stop a running one, dismiss a dead one; its key is free at once.

    A running atomic job cannot commit any more; one that is not atomic ends when it next reports
    progress, and what it did until then stays done. Raises NotFound, Conflict for a job that is done
    or cancelled, Invalid without a reason.
    """
    act(actor, reason)
    require_staff(actor)
    reason = _required(reason)
    row = sql.fetch_one(CANCEL, [job_id])
    if row is None:
        _refuse(job_id)
    else:
        audit.record(
            actor,
            "job.cancelled",
            entity_type="job",
            entity_id=job_id,
            reason=reason,
            kind=row[0],
            was=row[1],
        )


@transaction.atomic
def requeue_dead(queue: str, actor: Actor) -> int:
    """Let all dead jobs of a queue begin anew; return how many.

    One whose key another job holds stays dead. Raises NotFound for an unknown queue, Conflict when the
    same work is enqueued at this very moment.
    """
    act(actor)
    require_staff(actor)
    number = _number(queue)
    try:
        with transaction.atomic():
            requeued = sql.execute(REQUEUE_DEAD, {"queue": queue})
    except IntegrityError as error:
        raise Conflict("The same work is being queued just now; try again.") from error
    if requeued:
        audit.record(
            actor,
            "queue.dead_requeued",
            entity_type="queue",
            entity_id=number,
            queue=queue,
            jobs=requeued,
        )
    return requeued


@transaction.atomic
def pause(queue: str, reason: str, actor: Actor) -> None:
    """Let the work of a queue wait: nothing of it begins, what runs is finished, enqueuing goes on.

    Raises NotFound for an unknown queue, Conflict for a paused one, Invalid without a reason.
    """
    act(actor, reason)
    require_staff(actor)
    number, reason = _number(queue), _required(reason)
    if not sql.execute(PAUSE, [queue, reason, actor.user_id]):
        raise Conflict("This queue is paused already.")
    audit.record(
        actor, "queue.paused", entity_type="queue", entity_id=number, reason=reason, queue=queue
    )


@transaction.atomic
def resume(queue: str, actor: Actor) -> None:
    """Let a paused queue go on; the sweep publishes within seconds what waited.

    Raises NotFound for an unknown queue, Conflict for one that is not paused.
    """
    act(actor)
    require_staff(actor)
    number = _number(queue)
    if not sql.execute(RESUME, [actor.user_id, queue]):
        raise Conflict("This queue is not paused.")
    audit.record(actor, "queue.resumed", entity_type="queue", entity_id=number, queue=queue)


def _number(queue: str) -> int:
    """Return what the audit calls the queue. Raises NotFound."""
    if queue not in Queue.values:
        raise NotFound(f"There is no queue {queue!r}.")
    return QUEUES[Queue(queue)].number


def _required(reason: str) -> str:
    reason = reason.strip()
    if not reason or len(reason) > REASON_MAX:
        raise Invalid(errors={"reason": [f"Give a reason of at most {REASON_MAX} characters."]})
    return reason


def _refuse(job_id: int) -> None:
    state = sql.fetch_one("SELECT state FROM jobs WHERE id = %s", [job_id])
    if state is None:
        raise NotFound
    raise Conflict(f"This job is {'due already' if state[0] == 'queued' else state[0]}.")
