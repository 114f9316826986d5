"""Claiming a job, doing it, and what becomes of it."""

import json
import logging
import random
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils.module_loading import import_string
from psycopg.types.json import Jsonb

from khaacho import logs, origins, sql
from khaacho.enums import JobState
from khaacho.exceptions import JobCancelled, LeaseLost
from khaacho.jobs import interrupting, kinds
from khaacho.jobs.enqueueing import pointer, publish_on_commit
from khaacho.jobs.queues import NOT_PAUSED
from khaacho.rollback import run_after_rollback

log = logging.getLogger("khaacho.jobs")

LAST_ERROR_MAX = 2000


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
    queue: str = ""
    user_id: int | None = None

    @property
    def soft_limit(self) -> int:
        """Seconds after which the work is interrupted."""
        return kinds.limits_of(self.kind, self.queue)[0]

    @property
    def hard_limit(self) -> int:
        """Seconds after which the process that works is killed."""
        return kinds.limits_of(self.kind, self.queue)[1]


# A kind that this process does not know has its queue's limit.
CLAIM = """
UPDATE jobs SET
    state = 'running', attempts = attempts + 1, fence = fence + 1, rerun = false, progress = NULL,
    started_at = statement_timestamp(), finished_at = NULL,
    lease_until = statement_timestamp() + make_interval(
        secs => coalesce(%(limits)s::jsonb ->> kind, %(limits)s::jsonb ->> queue)::float + %(margin)s)
WHERE id = {job} AND state = 'queued' AND run_after <= statement_timestamp() AND {not_paused}
RETURNING id, kind, args::text, fence, attempts, max_attempts, request_id, queue, user_id
"""
CLAIM_ONE = CLAIM.format(job="%(id)s", not_paused=NOT_PAUSED)
CLAIM_NEXT = CLAIM.format(
    job=f"""(
    SELECT id FROM jobs
    WHERE state = 'queued' AND run_after <= statement_timestamp() AND {NOT_PAUSED}
        AND (%(queue)s::text IS NULL OR queue = %(queue)s)
    ORDER BY priority DESC, run_after, id LIMIT 1 FOR UPDATE SKIP LOCKED)""",
    not_paused="true",
)
# Nothing in Redis points at it any more: the sweep publishes it as soon as its queue goes on.
UNPUBLISH = """
UPDATE jobs SET published_at = NULL
WHERE id = %s AND state = 'queued' AND run_after <= statement_timestamp()
"""


def _mend_connection() -> None:
    """Drop a connection that broke since the last job; a test's transaction keeps its own."""
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()


def run(job_id: int) -> bool:
    """Claim and do one job; return whether it was done. A job that is not due or not free is skipped.

    A job of a paused queue stays as it is, for the sweep to publish when the queue is resumed.
    """
    _mend_connection()
    claim = None if interrupting.is_leaving() else _claim(CLAIM_ONE, id=job_id)
    if claim is None:
        sql.execute(UNPUBLISH, [job_id])
        return False
    return perform(claim)


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
    known = {"limits": Jsonb(kinds.hard_limits()), "margin": settings.JOB_LEASE_MARGIN_SECONDS}
    row = sql.fetch_one(statement, known | which)
    if row is None:
        return None
    job_id, kind, args, *rest = row
    return Claim(job_id, kind, json.loads(args), *rest)


def perform(claim: Claim) -> bool:
    """Do a claimed job; return whether it was done. What its function raises is its failure alone."""
    with origins.of_job(claim.kind) as work:
        is_done = _attempt(claim)
        work.outcome = origins.DONE if is_done else origins.FAILED
    return is_done


def _attempt(claim: Claim) -> bool:
    origin = logs.request_id.set(claim.request_id or f"job-{claim.job_id}")
    job, user = logs.job_id.set(claim.job_id), logs.user_id.set(claim.user_id)
    subject = logs.about.set(logs.ids_of(claim.args))
    begun = perf_counter()
    try:
        with interrupting.working():
            _work(claim)
    except interrupting.HandedBack:
        _hand_back(claim)
        return False
    except LeaseLost as lost:
        event = "job.cancelled" if isinstance(lost, JobCancelled) else "job.lease_lost"
        log.warning(event, extra=_facts(claim, begun))
        return False
    except Exception as error:  # noqa: BLE001 - whatever a handler raises is that job's failure alone
        _fail(claim, error)
        return False
    else:
        log.info("job.done", extra=_facts(claim, begun))
    finally:
        logs.about.reset(subject)
        logs.user_id.reset(user)
        logs.job_id.reset(job)
        logs.request_id.reset(origin)
    return True


def _facts(claim: Claim, begun: float) -> dict[str, object]:
    seconds = round(perf_counter() - begun, 4)
    return {"kind": claim.kind, "attempt": claim.attempts, "seconds": seconds}


def _work(claim: Claim) -> None:
    kind = kinds.known.get(claim.kind)
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
    """Show how far a job that is not atomic has come.

    Raises LeaseLost when another worker has it, and JobCancelled, which is one too.
    """
    if not sql.execute(
        "UPDATE jobs SET progress = %s WHERE id = %s AND fence = %s AND state = 'running'",
        [percent, claim.job_id, claim.fence],
    ):
        raise _lost(claim)


def _lost(claim: Claim) -> LeaseLost:
    """Say why the job is not this worker's any more."""
    row = sql.fetch_one("SELECT state FROM jobs WHERE id = %s", [claim.job_id])
    return JobCancelled() if row == (JobState.CANCELLED.value,) else LeaseLost()


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
        " RETURNING state = 'queued' AND published_at IS NOT NULL, priority",
        [claim.job_id, claim.fence],
    )
    if row is None:
        raise _lost(claim)
    again, priority = row
    if again:
        publish_on_commit([pointer(claim.job_id, claim.queue, claim.kind, priority)])


HAND_BACK = """
UPDATE jobs SET
    state = 'queued', attempts = attempts - 1, rerun = false, run_after = clock_timestamp(),
    lease_until = NULL, published_at = clock_timestamp()
WHERE id = %s AND fence = %s AND state = 'running' RETURNING priority
"""


def _hand_back(claim: Claim) -> None:
    """Let another worker do the job now: this one is leaving. The attempt does not count."""
    _mend_connection()
    with transaction.atomic():
        row = sql.fetch_one(HAND_BACK, [claim.job_id, claim.fence])
        if row is not None:
            publish_on_commit([pointer(claim.job_id, claim.queue, claim.kind, row[0])])
    log.warning("job.handed_back", extra={"kind": claim.kind})


# A job that was asked for again while its last attempt ran begins anew instead of dying.
GIVE_BACK = """
UPDATE jobs SET
    state = CASE WHEN attempts >= max_attempts AND NOT rerun THEN 'dead' ELSE 'queued' END,
    attempts = CASE WHEN attempts >= max_attempts AND rerun THEN 0 ELSE attempts END,
    finished_at = CASE WHEN attempts >= max_attempts AND NOT rerun THEN clock_timestamp() END,
    run_after = clock_timestamp() + make_interval(secs => %(delay)s),
    lease_until = NULL, published_at = NULL, last_error = %(error)s,
    failed_at = clock_timestamp(), stalls = stalls + %(stalls)s
"""
_OUTCOMES = {JobState.QUEUED.value: "job.failed", JobState.DEAD.value: "job.dead"}


def _fail(claim: Claim, error: Exception) -> None:
    """Remember what went wrong and give the job back."""
    text = "".join(traceback.format_exception(error))
    if isinstance(error, MemoryError):
        traceback.clear_frames(error.__traceback__)  # they hold what was too much
    _mend_connection()
    run_after_rollback(error)
    give_back(claim, text)


def give_back(claim: Claim, error: str, *, stalls: int = 0) -> None:
    """Queue the job again after 5 s x 2^n +- 20 %, or declare it dead after its last attempt.

    Phones and tokens in `error` are blanked, and the last 2 kB kept. `stalls` counts a worker that died.
    """
    delay = settings.JOB_BACKOFF_SECONDS * 2 ** (claim.attempts - 1) * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
    text = logs.scrub(error)[-LAST_ERROR_MAX:]
    row = sql.fetch_one(
        GIVE_BACK + "WHERE id = %(id)s AND fence = %(fence)s AND state = 'running' RETURNING state",
        {
            "delay": delay,
            "error": text,
            "stalls": stalls,
            "id": claim.job_id,
            "fence": claim.fence,
        },
    )
    event = _OUTCOMES[row[0]] if row else "job.lease_lost"
    log.error(event, extra={"kind": claim.kind, "attempt": claim.attempts, "error": text})
