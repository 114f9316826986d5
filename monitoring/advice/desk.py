"""What staff do with advice: have it searched for now, dismiss it, take it up again."""

from khaacho import audit, jobs, permissions
from khaacho.actors import Actor, act, require_staff
from khaacho.exceptions import Conflict, NotFound
from khaacho.transactions import verb
from monitoring.enums import AdviceState
from monitoring.models import IndexAdvice

ADVISE = "monitoring.advise_indexes"
REQUEST, DISMISS = "monitoring.request_indexadvice", "monitoring.dismiss_indexadvice"
URGENT = 10


@verb
def request_advice(*, actor: Actor) -> int:
    """Have missing indexes searched for by a job; return its id, also when it waits already."""
    act(actor)
    require_staff(actor)
    permissions.require(actor, REQUEST)
    job_id = jobs.enqueue(ADVISE, {}, dedupe_key=ADVISE, priority=URGENT)
    assert job_id is not None
    audit.record(actor, "index_advice.requested", entity_type="index_advice", entity_id=0)
    return job_id


@verb
def dismiss(*, advice_id: int, reason: str, actor: Actor) -> IndexAdvice:
    """Close advice that will not be followed; it stays closed when it is found again.

    Locks the advice. Raises NotFound, Forbidden, Conflict unless it is open.
    """
    return _close(advice_id, AdviceState.OPEN, AdviceState.DISMISSED, reason, actor)


@verb
def reopen(*, advice_id: int, actor: Actor) -> IndexAdvice:
    """Take dismissed advice up again. Locks it. Raises NotFound, Forbidden, Conflict."""
    return _close(advice_id, AdviceState.DISMISSED, AdviceState.OPEN, "", actor)


def _close(
    advice_id: int, before: AdviceState, after: AdviceState, reason: str, actor: Actor
) -> IndexAdvice:
    act(actor, reason)
    require_staff(actor)
    permissions.require(actor, DISMISS)
    found = IndexAdvice.objects.select_for_update(no_key=True).filter(pk=advice_id).first()
    if found is None:
        raise NotFound
    if found.state != before:
        raise Conflict(f"The advice is {found.state}.")
    found.state, found.reason = after, reason
    found.save(update_fields=["state", "reason"])
    said = "dismissed" if after == AdviceState.DISMISSED else "reopened"
    audit.record(
        actor,
        f"index_advice.{said}",
        entity_type="index_advice",
        entity_id=advice_id,
        reason=reason,
        index=str(found),
    )
    return found
