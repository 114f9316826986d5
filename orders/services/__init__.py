"""Verbs on orders. Each owns its transaction: lock, check, write, publish."""

from orders.services.closing import cancel_order, complete_order
from orders.services.credit_desk import approve_refusal, decline_refusal
from orders.services.fulfilment import deliver_order, dispatch_order, pack_order, send_out_order
from orders.services.placing import place_order
from orders.services.quoting import Quote, quote_order
from orders.services.requests import Line, OrderRequest
from orders.services.routing import (
    accept_order,
    expire_acceptance,
    reject_order,
    reroute_order,
    route_order,
)
from orders.services.settlement import lock_orders, lock_owing, mark_overdue, settle

__all__ = [
    "Line",
    "OrderRequest",
    "Quote",
    "accept_order",
    "approve_refusal",
    "cancel_order",
    "complete_order",
    "decline_refusal",
    "deliver_order",
    "dispatch_order",
    "expire_acceptance",
    "lock_orders",
    "lock_owing",
    "mark_overdue",
    "pack_order",
    "place_order",
    "quote_order",
    "reject_order",
    "reroute_order",
    "route_order",
    "send_out_order",
    "settle",
]
