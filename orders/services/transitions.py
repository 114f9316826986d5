"""What every change of an order's state shares: the lock, the edge, and the column that is stamped."""

from typing import Any

from django.db.models.functions import Now

from khaacho.actors import Actor, act
from khaacho.exceptions import NotFound
from orders.enums import NEXT, OrderStatus
from orders.exceptions import IllegalTransition
from orders.models import Order

STAMPS = {
    OrderStatus.ACCEPTED: "accepted_at",
    OrderStatus.PACKING: "packed_at",
    OrderStatus.DISPATCHED: "dispatched_at",
    OrderStatus.OUT_FOR_DELIVERY: "out_for_delivery_at",
    OrderStatus.DELIVERED: "delivered_at",
    OrderStatus.COMPLETED: "completed_at",
    OrderStatus.CANCELLED: "cancelled_at",
}


def lock_order(order_id: int, *, actor: Actor, reason: str = "") -> Order:
    """Name the actor to the database and return the order, locked.

    Raises NotFound for an order that the actor may not see, AccountInactive.
    """
    act(actor, reason)
    order = (
        Order.objects.for_user(actor)
        .select_for_update(of=("self",), no_key=True)
        .filter(pk=order_id)
        .first()
    )
    if order is None:
        raise NotFound
    return order


def check_edge(order: Order, to: OrderStatus) -> None:
    """Raise IllegalTransition unless the state machine has an edge from the order's status."""
    if to not in NEXT[OrderStatus(order.status)]:
        raise IllegalTransition(
            f"Order {order.order_number} is {order.status}: it cannot become {to}.",
            current_status=order.status,
        )


def move(order: Order, to: OrderStatus, **fields: Any) -> Order:
    """Write the new status, its time and `fields`; the status log writes itself. One or two statements."""
    check_edge(order, to)
    if stamp := STAMPS.get(to):
        fields[stamp] = Now()
    Order.objects.filter(pk=order.pk).update(status=to, **fields)
    order.refresh_from_db()
    return order
