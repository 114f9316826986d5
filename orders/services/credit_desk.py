"""Refused orders: an officer may let one exceed the credit limits once, with a reason."""

from django.db.models.functions import Now

from credit import services as credit
from khaacho import audit
from khaacho.actors import Actor, act, require_staff
from khaacho.exceptions import Conflict, Invalid, NotFound, Refused
from khaacho.transactions import verb
from orders.enums import OrderSource, RefusalState
from orders.exceptions import AlreadyDecided
from orders.models import Order, OrderRefusal
from orders.services.baskets import find_basket
from orders.services.placing import place_order
from orders.services.requests import OrderRequest

APPROVABLE = ("credit_limit_exceeded", "credit_on_hold")


@verb
def approve_refusal(*, refusal_id: int, reason: str, actor: Actor) -> Order:
    """Place the refused order at today's prices although it exceeds the limits, once.

    Raises AlreadyDecided, Conflict for refusals that are not about credit, and whatever else may
    stand in the way of the order now (stock, a block).
    """
    refusal = _lock_open(refusal_id, reason, actor)
    if refusal.code not in APPROVABLE:
        raise Conflict("Only refusals for credit can be approved.")
    request = OrderRequest.from_json(refusal.request)
    basket = find_basket(request)
    account_id = credit.open_account(retailer_id=request.retailer_id, vendor_id=basket.vendor_id)
    approval = credit.approve_excess(
        account_id=account_id, amount=basket.total, reason=reason, actor=actor
    )
    try:
        order = place_order(request, actor=actor, source=OrderSource.ADMIN, approval=approval)
    except Refused as again:
        again.after_rollback = None  # this refusal is on the desk already
        raise
    _decide(refusal, RefusalState.APPROVED, reason, actor, order)
    return order


@verb
def decline_refusal(*, refusal_id: int, reason: str, actor: Actor) -> OrderRefusal:
    """Leave the order refused, with the reason on record."""
    refusal = _lock_open(refusal_id, reason, actor)
    _decide(refusal, RefusalState.DECLINED, reason, actor, None)
    return refusal


def _lock_open(refusal_id: int, reason: str, actor: Actor) -> OrderRefusal:
    if not reason.strip():
        raise Invalid(errors={"reason": ["A reason is needed."]})
    act(actor, reason)
    require_staff(actor)
    refusal = (
        OrderRefusal.objects.select_for_update(of=("self",), no_key=True)
        .filter(pk=refusal_id)
        .first()
    )
    if refusal is None:
        raise NotFound
    if refusal.state != RefusalState.OPEN:
        raise AlreadyDecided
    return refusal


def _decide(
    refusal: OrderRefusal, state: RefusalState, reason: str, actor: Actor, order: Order | None
) -> None:
    OrderRefusal.objects.filter(pk=refusal.pk).update(
        state=state,
        decision_reason=reason[:300],
        decided_by_id=actor.user_id,
        decided_at=Now(),
        order=order,
    )
    audit.record(
        actor,
        f"refusal.{state.lower()}",
        entity_type="retailer",
        entity_id=refusal.retailer_id,
        reason=reason[:500],
        refusal_id=refusal.pk,
    )
    refusal.refresh_from_db()
