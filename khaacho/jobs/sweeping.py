"""The sweep: jobs whose worker died are released, pointers that were lost are published again."""

import logging

from django.conf import settings
from django.db import transaction

from khaacho import sql
from khaacho.broker import Pointer, depths
from khaacho.enums import Queue
from khaacho.jobs.enqueueing import pointer, publish_on_commit
from khaacho.jobs.nodes import SWEEP, Node
from khaacho.jobs.queues import NOT_PAUSED
from khaacho.jobs.running import GIVE_BACK

log = logging.getLogger("khaacho.jobs")

SWEEP_LOCK = 0x6B686161  # "khaa": one sweep at a time
LIMIT = 1000  # of each queue and sweep: 200 a second

# ARRAY() is read once; as a plain IN () the planner may read the subquery again for each row, and each
# time skip what it locked before: more than the limit.
EXPIRED = """
WHERE id = ANY (ARRAY(
    SELECT id FROM jobs WHERE state = 'running' AND lease_until < statement_timestamp()
    ORDER BY lease_until LIMIT %(limit)s FOR UPDATE SKIP LOCKED))
RETURNING id, kind, state
"""
WAITING = f"""
SELECT queue, count(*) FILTER (WHERE published_at IS NULL), count(published_at) FROM jobs
WHERE state = 'queued' AND run_after <= statement_timestamp() AND {NOT_PAUSED}
GROUP BY queue ORDER BY queue
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
RETURNING id, queue, kind, priority
"""


def sweep(limit: int = LIMIT) -> int:
    """Release jobs whose worker died and publish what is due but unpublished; return how many.

    At most `limit` of each queue, and none of a paused one. Of what was published before, only as many
    as the broker holds too few: a long backlog that is still in its queue is not published again. One
    sweep works at a time, a second returns 0.
    """
    held = depths(Queue.values)
    pointers: list[Pointer] = []
    with transaction.atomic():
        row = sql.fetch_one("SELECT pg_try_advisory_xact_lock(%s)", [SWEEP_LOCK])
        if row == (False,):
            return 0
        Node(SWEEP).report()
        _release_expired(limit)
        if held is not None:
            for queue, new, published in sql.fetch(WAITING):
                lost = max(0, published - held.get(queue, 0))
                pointers += _take_unpublished(queue, min(limit, new + lost))
        publish_on_commit(pointers)
    return len(pointers)


def _release_expired(limit: int) -> None:
    error = "the worker stopped without an answer (lease expired)"
    rows = sql.fetch(GIVE_BACK + EXPIRED, {"delay": 0, "error": error, "stalls": 1, "limit": limit})
    for job_id, kind, state in rows:
        log.error("job.lease_expired", extra={"job_id": job_id, "kind": kind, "state": state})


def _take_unpublished(queue: str, limit: int) -> list[Pointer]:
    """Stamp and return up to `limit` due jobs that are unpublished, or whose pointer may be lost."""
    if not limit:
        return []
    age = settings.JOB_REPUBLISH_SECONDS
    rows = sql.fetch(TAKE_UNPUBLISHED, {"queue": queue, "age": age, "limit": limit})
    return [pointer(*row) for row in rows]
