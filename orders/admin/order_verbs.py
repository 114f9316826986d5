"""What staff may do to an order; the state machine decides when."""

from collections.abc import Callable
from typing import Any

from khaacho.actors import Actor
from khaacho.adminsite import (
    Verb,
)
from khaacho.adminsite.forms import ReasonForm
from orders import services
from orders.enums import NEXT, OrderStatus
from orders.models import (
    Order,
)

S = OrderStatus


def _may_become(status: OrderStatus) -> Callable[[Order], str]:
    """Return the hindrance of a verb that leads to `status`, as the state machine has it."""

    def hindrance(order: Order) -> str:
        if status in NEXT[S(order.status)]:
            return ""
        return f"it is {S(order.status).label.lower()}"

    return hindrance


def _simple(service: Callable[..., Any]) -> Callable[[Order, dict[str, Any], Actor], Any]:
    return lambda order, fields, actor: service(order_id=order.pk, actor=actor)


def _reasoned(service: Callable[..., Any]) -> Callable[[Order, dict[str, Any], Actor], Any]:
    return lambda order, fields, actor: service(
        order_id=order.pk, reason=fields["reason"], actor=actor
    )


ORDER_VERBS = (
    Verb(
        name="reroute_order",
        label="Route again",
        permission="orders.reroute_order",
        run=_simple(services.reroute_order),
        effect="The best vendor not asked before is asked now, at no higher total.",
        done="{record} was routed; see its acceptances.",
        hindrance=_may_become(S.PENDING),
        bulk=True,
    ),
    Verb(
        name="accept_order",
        label="Accept",
        permission="orders.accept_order",
        run=_simple(services.accept_order),
        effect="The asked vendor takes the order; you answer for it.",
        done="{record} is accepted.",
        hindrance=_may_become(S.ACCEPTED),
        bulk=True,
    ),
    Verb(
        name="reject_order",
        label="Reject",
        permission="orders.reject_order",
        run=_reasoned(services.reject_order),
        effect="The asked vendor declines; the next one is asked, or the order waits with an alert.",
        done="The vendor's refusal of {record} is recorded.",
        form=ReasonForm,
        hindrance=_may_become(S.ACCEPTED),
        bulk=True,
    ),
    Verb(
        name="pack_order",
        label="Pack",
        permission="orders.pack_order",
        run=_simple(services.pack_order),
        effect="The vendor is packing.",
        done="{record} is being packed.",
        hindrance=_may_become(S.PACKING),
        bulk=True,
    ),
    Verb(
        name="dispatch_order",
        label="Dispatch",
        permission="orders.dispatch_order",
        run=_simple(services.dispatch_order),
        effect="The goods leave: what was reserved comes off the vendor's stock.",
        done="{record} is dispatched.",
        hindrance=_may_become(S.DISPATCHED),
        bulk=True,
    ),
    Verb(
        name="send_out_order",
        label="Out for delivery",
        permission="orders.send_out_order",
        run=_simple(services.send_out_order),
        effect="The goods are on the way to the shop.",
        done="{record} is out for delivery.",
        hindrance=_may_become(S.OUT_FOR_DELIVERY),
        bulk=True,
    ),
    Verb(
        name="deliver_order",
        label="Deliver",
        permission="orders.deliver_order",
        run=_simple(services.deliver_order),
        effect="The shop owes the total from now on, and the order gets its invoice number.",
        done="{record} is delivered.",
        hindrance=_may_become(S.DELIVERED),
        bulk=True,
    ),
    Verb(
        name="complete_order",
        label="Complete",
        permission="orders.complete_order",
        run=_simple(services.complete_order),
        effect="The order is closed.",
        done="{record} is completed.",
        hindrance=_may_become(S.COMPLETED),
        bulk=True,
    ),
    Verb(
        name="cancel_order",
        label="Cancel order",
        permission="orders.cancel_order",
        run=_reasoned(services.cancel_order),
        effect="The order is given up; its stock and credit are released. This cannot be undone.",
        done="{record} is cancelled.",
        form=ReasonForm,
        hindrance=_may_become(S.CANCELLED),
        bulk=True,
        is_grave=True,
    ),
)
