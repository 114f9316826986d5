"""From the vendor's shelf to the shop: pack, dispatch, out for delivery, deliver."""

from credit import services as credit
from khaacho.actors import Actor, require_tenant
from khaacho.money import ZERO
from khaacho.transactions import verb
from orders.enums import OrderStatus, PaymentTerms
from orders.events import OrderDelivered, OrderDispatched
from orders.models import Order
from orders.services.transitions import check_edge, lock_order, move
from vendors import services as vendors
from vendors.services import StockChange


def _lock_own(order_id: int, actor: Actor) -> Order:
    order = lock_order(order_id, actor=actor)
    require_tenant(actor, vendor_id=order.vendor_id)
    return order


@verb
def pack_order(*, order_id: int, actor: Actor) -> Order:
    """The vendor starts packing an ACCEPTED order."""
    return move(_lock_own(order_id, actor), OrderStatus.PACKING)


@verb
def dispatch_order(*, order_id: int, actor: Actor) -> Order:
    """The goods leave: what was reserved comes off the stock."""
    order = _lock_own(order_id, actor)
    move(order, OrderStatus.DISPATCHED, OrderDispatched(order_id=order.pk))
    vendors.move_stock(
        {
            item.offer_id: StockChange(reserved=-item.quantity, on_hand=-item.quantity)
            for item in order.items.all()
        }
    )
    return order


@verb
def send_out_order(*, order_id: int, actor: Actor) -> Order:
    """The goods are on the way to the shop."""
    return move(_lock_own(order_id, actor), OrderStatus.OUT_FOR_DELIVERY)


@verb
def deliver_order(*, order_id: int, actor: Actor) -> Order:
    """The shop has the goods: the reservation becomes a debit, due after the account's terms.

    CASH is due today. The order gets the vendor's next invoice number, whose counter is locked last.
    """
    order = _lock_own(order_id, actor)
    check_edge(order, OrderStatus.DELIVERED)
    on_credit = order.payment_terms == PaymentTerms.CREDIT
    entry = credit.post_delivery(
        retailer_id=order.retailer_id,
        vendor_id=order.vendor_id,
        amount=order.total,
        reserved=order.total if on_credit else ZERO,
        due_by_terms=on_credit,
        key=f"order:{order.pk}:debit",
        reference=order.order_number,
        actor=actor,
    )
    return move(
        order,
        OrderStatus.DELIVERED,
        OrderDelivered(order_id=order.pk),
        beside=INVOICE,
        columns=INVOICED_COLUMNS,
        entry=entry.id,
        due_date=entry.due_date,
        vendor=order.vendor_id,
    )


# `VND-000123/2083/84/00042`, gap-free per vendor and fiscal year; its counter's row is locked last.
INVOICE = (
    "year AS (SELECT id, name FROM fiscal_years"
    " WHERE starts_on <= (now() AT TIME ZONE 'Asia/Kathmandu')::date ORDER BY starts_on DESC LIMIT 1),"
    " counter AS (INSERT INTO invoice_counters (vendor_id, fiscal_year_id, last_number)"
    " SELECT %(vendor)s, id, 1 FROM year"
    " ON CONFLICT (vendor_id, fiscal_year_id)"
    " DO UPDATE SET last_number = invoice_counters.last_number + 1 RETURNING last_number)"
)
INVOICED_COLUMNS = {
    "ledger_entry_id": "%(entry)s",
    "due_date": "%(due_date)s",
    "invoice_number": "(SELECT v.code || '/' || year.name || '/' || to_char(counter.last_number, 'FM9999900000')"
    " FROM year, counter, vendors v WHERE v.id = %(vendor)s)",
}
