"""What staff do about alerts."""

from django.db import transaction
from django.db.models.functions import Now

from khaacho import audit
from khaacho.actors import Actor, act, require_staff
from khaacho.exceptions import Conflict, NotFound
from khaacho.models import Alert


@transaction.atomic
def acknowledge(*, alert_id: int, actor: Actor) -> None:
    """Say that a person has seen an open alert. Raises NotFound, Conflict."""
    act(actor)
    require_staff(actor)
    alert = _lock(alert_id)
    if alert.acknowledged_at is not None:
        raise Conflict("This alert was acknowledged already.")
    Alert.objects.filter(pk=alert_id).update(
        acknowledged_at=Now(), acknowledged_by_id=actor.user_id
    )
    audit.record(actor, "alert.acknowledged", entity_type="alert", entity_id=alert_id)


@transaction.atomic
def resolve(*, alert_id: int, reason: str, actor: Actor) -> None:
    """Close an alert; the same thing happening again opens another. Raises NotFound, Conflict."""
    act(actor, reason)
    require_staff(actor)
    _lock(alert_id)
    Alert.objects.filter(pk=alert_id).update(resolved_at=Now())
    audit.record(actor, "alert.resolved", entity_type="alert", entity_id=alert_id, reason=reason)


def _lock(alert_id: int) -> Alert:
    """Return an open alert, locked."""
    alert = Alert.objects.select_for_update(of=("self",), no_key=True).filter(pk=alert_id).first()
    if alert is None:
        raise NotFound
    if alert.resolved_at is not None:
        raise Conflict("This alert was resolved already.")
    return alert
