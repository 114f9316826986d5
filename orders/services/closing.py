"""Complete and cancel."""

from credit import services as credit
from khaacho.actors import Actor, require_tenant
from khaacho.enums import Role
from khaacho.exceptions import Forbidden, Invalid
from khaacho.transactions import verb
from orders.enums import UNDISPATCHED, OrderStatus, PaymentTerms
from orders.events import OrderCancelled, OrderCompleted
from orders.exceptions import IllegalTransition
from orders.models import Order
from orders.services.transitions import check_edge, lock_order, move
from vendors import services as vendors
from vendors.services import StockChange


@verb
def complete_order(*, order_id: int, actor: Actor) -> Order:
    """Close a DELIVERED order: its retailer, staff, or the system after three days."""
    order = lock_order(order_id, actor=actor)
    if actor.role == Role.VENDOR:
        raise Forbidden("The shop or staff complete an order.")
    return move(order, OrderStatus.COMPLETED, OrderCompleted(order_id=order.pk))


@verb
def cancel_order(*, order_id: int, reason: str, actor: Actor) -> Order:
    """Give an order up: stock and credit are released.

    The retailer may until it is dispatched, its vendor and staff until it is delivered; after that
    there are returns. Raises Invalid without a reason, IllegalTransition.
    """
    if not reason.strip():
        raise Invalid(errors={"reason": ["A reason is needed."]})
    order = lock_order(order_id, actor=actor, reason=reason)
    require_tenant(actor, retailer_id=order.retailer_id, vendor_id=order.vendor_id)
    check_edge(order, OrderStatus.CANCELLED)
    before_dispatch = order.status in UNDISPATCHED
    if actor.role == Role.RETAILER and not before_dispatch:
        raise IllegalTransition(
            f"Order {order.order_number} is {order.status}: ask the vendor to cancel it.",
            current_status=order.status,
        )
    move(
        order,
        OrderStatus.CANCELLED,
        OrderCancelled(order_id=order.pk),
        beside=WITHDRAW,
        columns={"cancel_reason": "%(reason)s"},
        reason=reason[:300],
    )
    if order.payment_terms == PaymentTerms.CREDIT:
        credit.release(retailer_id=order.retailer_id, vendor_id=order.vendor_id, amount=order.total)
    vendors.move_stock(
        {
            item.offer_id: StockChange(reserved=-item.quantity)
            if before_dispatch
            else StockChange(on_hand=item.quantity)
            for item in order.items.all()
        }
    )
    return order


WITHDRAW = (
    "withdrawn AS (UPDATE vendor_order_acceptances SET status = 'WITHDRAWN',"
    " answered_at = statement_timestamp(), reason = 'the order was cancelled'"
    " WHERE order_id = %(order)s AND status = 'PENDING')"
)
