"""Disputes: nobody is reminded of an invoice while its shop contests it."""

from khaacho import audit, sql
from khaacho.actors import Actor, act, require_tenant
from khaacho.exceptions import Conflict, Forbidden, Invalid, NotFound
from khaacho.transactions import verb
from orders import services as orders
from payments.exceptions import NothingOwed
from payments.models import InvoiceDispute


@verb
def open_dispute(*, order_id: int, reason: str, actor: Actor) -> InvoiceDispute:
    """Note that a shop contests an invoice that it owes. Staff, or its vendor. Locks the order.

    Raises Invalid, NotFound, NothingOwed, Conflict, Forbidden.
    """
    if not reason.strip():
        raise Invalid(errors={"reason": ["A reason is needed."]})
    act(actor, reason)
    order = next(iter(orders.lock_orders([order_id])), None)
    if order is None:
        raise NotFound
    require_tenant(actor, vendor_id=order.vendor_id)
    if order.due_date is None or order.due_amount <= 0:
        raise NothingOwed
    if InvoiceDispute.objects.filter(order=order, resolved_at=None).exists():
        raise Conflict("This invoice is disputed already.")
    dispute = InvoiceDispute.objects.create(
        order=order,
        retailer_id=order.retailer_id,
        reason=reason[:300],
        opened_by_id=actor.user_id,
    )
    audit.record(
        actor, "dispute.opened", entity_type="dispute", entity_id=dispute.pk, reason=reason
    )
    return dispute


@verb
def resolve_dispute(*, dispute_id: int, resolution: str, actor: Actor) -> InvoiceDispute:
    """Close a dispute; reminders go on where the ladder stands. Locks it.

    Raises Invalid, NotFound, Conflict, Forbidden.
    """
    if not resolution.strip():
        raise Invalid(errors={"resolution": ["Say how it was resolved."]})
    act(actor, resolution)
    dispute = (
        InvoiceDispute.objects.select_for_update(of=("self",), no_key=True)
        .select_related("order")
        .filter(pk=dispute_id)
        .first()
    )
    if dispute is None:
        raise NotFound
    if not actor.is_staff and dispute.order.vendor_id != actor.vendor_id:
        raise Forbidden
    if dispute.resolved_at is not None:
        raise Conflict("This dispute was resolved already.")
    sql.execute(
        "UPDATE invoice_disputes SET resolved_at = now(), resolution = %s, resolved_by_id = %s"
        " WHERE id = %s",
        [resolution[:300], actor.user_id, dispute_id],
    )
    audit.record(
        actor, "dispute.resolved", entity_type="dispute", entity_id=dispute_id, reason=resolution
    )
    dispute.refresh_from_db()
    return dispute
