"""Promises to pay: they stop reminders through their day, and are kept or broken."""

from datetime import date, timedelta
from decimal import Decimal

from khaacho import audit, sql
from khaacho.actors import Actor, act, require_staff, require_tenant
from khaacho.exceptions import Conflict, Forbidden, Invalid, NotFound
from khaacho.money import ZERO
from khaacho.transactions import verb
from orders import services as orders
from orders.models import Order
from payments.enums import PromiseState
from payments.exceptions import NothingOwed
from payments.models import PaymentPromise

LONGEST = timedelta(days=30)
TODAY = "(now() AT TIME ZONE 'Asia/Kathmandu')::date"


@verb
def record_promise(
    *,
    retailer_id: int,
    until: date,
    actor: Actor,
    order_id: int | None = None,
    amount: Decimal | None = None,
    note: str = "",
) -> PaymentPromise:
    """Note a shop's word to pay `amount` NPR (None: all that is due) by the end of `until`.

    Of one invoice (staff, or its vendor), or of all dues (staff). At most 30 days ahead, and one open
    promise of each kind. Locks the orders. Raises Invalid, NotFound, NothingOwed, Conflict, Forbidden.
    """
    act(actor, note)
    if order_id is None:
        require_staff(actor)
    owing = _owing(retailer_id, order_id)
    for order in owing:
        require_tenant(actor, vendor_id=order.vendor_id)
    _check_day(until)
    due = sum((order.due_amount for order in owing), ZERO)
    if due == 0:
        raise NothingOwed
    if amount is not None and not 0 < amount <= due:
        raise Invalid(errors={"amount": ["An amount is positive, and no more than is due."]})
    open_promises = PaymentPromise.objects.filter(retailer_id=retailer_id, state=PromiseState.OPEN)
    if order_id is None:
        same = open_promises.filter(order=None)
    else:
        same = open_promises.filter(order_id=order_id)
    if same.exists():
        raise Conflict("There is an open promise already.")
    promise = PaymentPromise.objects.create(
        retailer_id=retailer_id,
        order_id=order_id,
        amount=amount or due,
        until=until,
        note=note[:300],
        made_by_id=actor.user_id,
    )
    _note(actor, "promise.recorded", promise, note, amount=promise.amount, until=until)
    return promise


def _owing(retailer_id: int, order_id: int | None) -> list[Order]:
    """Return the named order, or all that owe, locked. Raises NotFound for another shop's order."""
    found = Order.objects.filter(retailer_id=retailer_id)
    chosen = found.owing() if order_id is None else found.filter(pk=order_id)
    locked = orders.lock_orders(chosen.values_list("pk", flat=True))
    if order_id is not None and not locked:
        raise NotFound
    return [order for order in locked if order.due_date is not None]


def _check_day(until: date) -> None:
    row = sql.fetch_one(f"SELECT {TODAY}")
    assert row is not None
    today: date = row[0]
    if not today <= until <= today + LONGEST:
        raise Invalid(
            errors={"until": [f"A day from today on, and within {LONGEST.days} days of it."]}
        )


@verb
def cancel_promise(*, promise_id: int, reason: str, actor: Actor) -> PaymentPromise:
    """Take an open promise back; reminders go on. Locks it. Raises Invalid, NotFound, Conflict."""
    if not reason.strip():
        raise Invalid(errors={"reason": ["A reason is needed."]})
    act(actor, reason)
    promise = (
        PaymentPromise.objects.select_for_update(of=("self",), no_key=True)
        .filter(pk=promise_id)
        .first()
    )
    if promise is None:
        raise NotFound
    if promise.order is None:
        require_staff(actor)
    elif not actor.is_staff and promise.order.vendor_id != actor.vendor_id:
        raise Forbidden
    if promise.state != PromiseState.OPEN:
        raise Conflict(f"This promise is {promise.state.lower()}.")
    sql.execute(
        "UPDATE payment_promises SET state = 'CANCELLED', closed_at = now(), reason = %s WHERE id = %s",
        [reason[:300], promise_id],
    )
    _note(actor, "promise.cancelled", promise, reason)
    promise.refresh_from_db()
    return promise


def _note(
    actor: Actor, action: str, promise: PaymentPromise, reason: str, **details: object
) -> None:
    audit.record(
        actor, action, entity_type="promise", entity_id=promise.pk, reason=reason, **details
    )


# Of one invoice: paid off, or as much was paid on it since. Of all: nothing owed, or as much paid since.
SATISFIED = (
    "CASE WHEN p.order_id IS NOT NULL THEN"
    " (SELECT o.due_amount <= 0 OR p.amount <= (SELECT coalesce(sum(a.amount), 0)"
    "  FROM payment_allocations a WHERE a.order_id = p.order_id AND a.reversed_at IS NULL"
    "  AND a.created_at >= p.created_at) FROM orders o WHERE o.id = p.order_id)"
    " ELSE p.amount <= (SELECT coalesce(sum(m.amount), 0) FROM payments m"
    "  WHERE m.retailer_id = p.retailer_id AND m.payment_status = 'PROCESSED'"
    "  AND m.created_at >= p.created_at)"
    " OR NOT EXISTS (SELECT FROM orders o WHERE o.retailer_id = p.retailer_id"
    "  AND o.due_date IS NOT NULL AND o.due_amount > 0) END"
)
KEEP = (
    "UPDATE payment_promises SET state = 'KEPT', closed_at = now() WHERE id = ANY (ARRAY("
    " SELECT p.id FROM payment_promises p WHERE p.state = 'OPEN' AND p.retailer_id = %(retailer)s"
    f" AND {SATISFIED} ORDER BY p.id FOR NO KEY UPDATE)) AND state = 'OPEN'"
)
# A task for staff comes with each promise that was broken.
BROKEN = (
    "WITH broken AS (UPDATE payment_promises SET state = 'BROKEN', closed_at = now()"
    " WHERE id = ANY (ARRAY({chosen} ORDER BY p.id FOR NO KEY UPDATE))"
    " RETURNING id, retailer_id, order_id)"
    " INSERT INTO collection_tasks (kind, retailer_id, order_id, promise_id, state, outcome)"
    " SELECT 'PROMISE', retailer_id, order_id, id, 'OPEN', '' FROM broken"
)
BREAK_LATE = BROKEN.format(
    chosen=f"SELECT p.id FROM payment_promises p WHERE p.state = 'OPEN' AND p.until < {TODAY}"
    f" AND NOT ({SATISFIED})"
)
BREAK_REVERSED = BROKEN.format(
    chosen="SELECT p.id FROM payment_promises p JOIN payments r ON r.id = %(payment)s"
    " AND r.retailer_id = p.retailer_id AND r.created_at BETWEEN p.created_at AND p.closed_at"
    f" WHERE p.state = 'KEPT' AND NOT ({SATISFIED})"
)
KEEP_LATE = KEEP.replace("p.retailer_id = %(retailer)s", f"p.until < {TODAY}")


@verb
def keep_promises(*, retailer_id: int) -> int:
    """Mark the shop's promises KEPT that payments have kept; return how many. One statement."""
    return sql.execute(KEEP, {"retailer": retailer_id})


@verb
def close_promises() -> int:
    """Mark promises whose day is over KEPT or BROKEN, with a task for each broken one; return those.

    Two statements, over the open promises.
    """
    sql.execute(KEEP_LATE)
    return sql.execute(BREAK_LATE)


@verb
def break_promises(*, payment_id: int) -> int:
    """Mark promises BROKEN that a payment kept which was taken back; return how many."""
    return sql.execute(BREAK_REVERSED, {"payment": payment_id})
