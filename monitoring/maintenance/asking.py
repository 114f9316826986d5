"""What people do about maintenance: ask for it, and stop it."""

import logging
from contextlib import suppress

from khaacho import audit, job_desk, jobs, permissions, sql
from khaacho.actors import Actor, act, require_staff
from khaacho.exceptions import Conflict, NotFound
from khaacho.transactions import verb
from monitoring.maintenance import targets
from monitoring.maintenance.kinds import MaintenanceKind
from monitoring.maintenance.runs import MaintenanceRun

WORK = "monitoring.maintain"
URGENT = 10  # a person waits

log = logging.getLogger(__name__)

ASK = """
INSERT INTO maintenance_runs (kind, target, requested_by_id) VALUES (%s, %s, %s)
ON CONFLICT (target) WHERE state IN ('queued', 'running') DO NOTHING
RETURNING id
"""
# A run whose job is dead or gone would stand open for ever, and in the way of the next.
MEND = """
UPDATE maintenance_runs r SET finished_at = clock_timestamp(),
    state = CASE WHEN j.state = 'cancelled' THEN 'cancelled' ELSE 'failed' END,
    error = CASE WHEN j.state = 'cancelled' THEN '' ELSE
        'The worker stopped without an answer; the job says more.' END
FROM maintenance_runs o LEFT JOIN jobs j ON j.id = o.job_id
WHERE r.id = o.id AND r.state IN ('queued', 'running')
    AND (j.id IS NULL OR j.state IN ('done', 'dead', 'cancelled'))
"""
CANCEL = """
UPDATE maintenance_runs SET state = 'cancelled', finished_at = clock_timestamp()
WHERE id = %s AND state IN ('queued', 'running')
RETURNING job_id, pid, backend_start
"""
# The worker's watch stops the statement too; this reaches one whose worker has died.
STOP = """
SELECT pg_cancel_backend(pid) FROM pg_stat_activity
WHERE pid = %s AND backend_start = %s AND application_name = %s
"""


def application_name(run_id: int) -> str:
    """Return what the session that works on a run calls itself."""
    return f"khaacho maintenance {run_id}"


@verb
def request_maintenance(*, kind: MaintenanceKind, target: str, actor: Actor) -> MaintenanceRun:
    """Have maintenance done by a job; asked for twice while it is open, it is the same run.

    Raises Invalid for a target that is not ours, Conflict while another kind works on it, Forbidden.
    """
    act(actor)
    require_staff(actor)
    permissions.require(actor, "monitoring.start_maintenance")
    found = targets.find(kind, target)
    row = sql.fetch_one(ASK, [kind.value, found.name, actor.user_id])
    if row is None:
        return _under_way(kind, found.name)
    run = MaintenanceRun.objects.get(pk=row[0])
    run.job_id = jobs.enqueue(
        WORK,
        {"run_id": run.pk},
        reference=f"maintenance:{run.pk}",
        dedupe_key=f"maintenance:{run.pk}",
        priority=URGENT,
    )
    run.save(update_fields=["job_id"])
    audit.record(
        actor,
        "maintenance.requested",
        entity_type="maintenance",
        entity_id=run.pk,
        kind=kind.value,
        target=found.name,
    )
    return run


def _under_way(kind: MaintenanceKind, name: str) -> MaintenanceRun:
    run = MaintenanceRun.objects.filter(target=name, state__in=("queued", "running")).first()
    if run is None:  # it ended in this moment
        raise Conflict(f"Maintenance of {name} ended just now; ask again.")
    if run.kind != kind:
        raise Conflict(f"{run.get_kind_display()} of {name} is {run.state}: wait for it.")
    return run


@verb
def cancel_maintenance(*, run_id: int, actor: Actor) -> MaintenanceRun:
    """Stop a run that is not over: its statement is cancelled, its job never runs again.

    What VACUUM freed until then stays free; of a REINDEX an invalid index may be left, which the log
    names. Locks the run, then its job. Raises NotFound, Forbidden, Conflict when it is over already.
    """
    act(actor)
    require_staff(actor)
    permissions.require(actor, "monitoring.cancel_maintenance")
    run = MaintenanceRun.objects.filter(pk=run_id).first()
    if run is None:
        raise NotFound
    row = sql.fetch_one(CANCEL, [run_id])
    if row is None:
        raise Conflict(f"The run is {run.state} already.")
    job_id, pid, backend_start = row
    audit.record(
        actor,
        "maintenance.cancelled",
        entity_type="maintenance",
        entity_id=run_id,
        kind=run.kind,
        target=run.target,
    )
    if job_id is not None:
        with suppress(Conflict, NotFound):  # it ended, or died and was purged, in this moment
            job_desk.cancel(job_id, "Its maintenance was cancelled.", actor)
    if pid is not None:
        sql.fetch(STOP, [pid, backend_start, application_name(run_id)])
    run.refresh_from_db()
    return run


@verb
def close_abandoned() -> int:
    """End runs whose job ended without a word (it died, or was cancelled by itself); return how many."""
    return sql.execute(MEND)
