"""What staff do to jobs."""

from django.db import IntegrityError, transaction

from khaacho import audit, sql
from khaacho.actors import Actor, act, require_staff
from khaacho.exceptions import Conflict, NotFound

# The sweep publishes what is due and unpublished within seconds.
RETRY = """
UPDATE jobs SET
    state = 'queued', attempts = CASE WHEN state = 'dead' THEN 0 ELSE attempts END,
    run_after = statement_timestamp(), published_at = NULL, finished_at = NULL
WHERE id = %s AND (state = 'dead' OR (state = 'queued' AND run_after > statement_timestamp()))
RETURNING kind
"""


@transaction.atomic
def retry(job_id: int, actor: Actor) -> None:
    """Let a dead job begin anew, and one that waits for its next attempt run now.

    Raises NotFound, and Conflict for a job that is done, running or due already, or that another
    open job has replaced.
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


def _refuse(job_id: int) -> None:
    state = sql.fetch_one("SELECT state FROM jobs WHERE id = %s", [job_id])
    if state is None:
        raise NotFound
    raise Conflict(f"This job is {'due already' if state[0] == 'queued' else state[0]}.")
