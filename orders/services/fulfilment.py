"""From the vendor's shelf to the shop: pack, dispatch, out for delivery, deliver."""

from datetime import date, timedelta

from django.db import transaction

from credit import services as credit
from credit import shown as credit_shown
from credit.enums import EntryType
from credit.models import CreditAccount
from khaacho import events, sql
from khaacho.actors import Actor, require_tenant
from orders.enums import OrderStatus, PaymentTerms
from orders.events import OrderDelivered, OrderDispatched
from orders.models import Order, OrderItem
from orders.services.transitions import check_edge, lock_order, move
from vendors import services as vendors
from vendors.services import StockChange


def _lock_own(order_id: int, actor: Actor) -> Order:
    order = lock_order(order_id, actor=actor)
    require_tenant(actor, vendor_id=order.vendor_id)
    return order


@transaction.atomic
def pack_order(*, order_id: int, actor: Actor) -> Order:
    """The vendor starts packing an ACCEPTED order."""
    return move(_lock_own(order_id, actor), OrderStatus.PACKING)


@transaction.atomic
def dispatch_order(*, order_id: int, actor: Actor) -> Order:
    """The goods leave: what was reserved comes off the stock."""
    order = _lock_own(order_id, actor)
    move(order, OrderStatus.DISPATCHED)
    vendors.move_stock(
        {
            item.offer_id: StockChange(reserved=-item.quantity, on_hand=-item.quantity)
            for item in OrderItem.objects.filter(order=order)
        }
    )
    events.publish(OrderDispatched(order_id=order.pk))
    return order


@transaction.atomic
def send_out_order(*, order_id: int, actor: Actor) -> Order:
    """The goods are on the way to the shop."""
    return move(_lock_own(order_id, actor), OrderStatus.OUT_FOR_DELIVERY)


@transaction.atomic
def deliver_order(*, order_id: int, actor: Actor) -> Order:
    """The shop has the goods: the reservation becomes a debit, due after the account's terms.

    CASH is due today. The order gets the vendor's next invoice number, whose counter is locked last.
    """
    order = _lock_own(order_id, actor)
    check_edge(order, OrderStatus.DELIVERED)
    account = _account(order)
    if order.payment_terms == PaymentTerms.CREDIT:
        credit.release(retailer_id=order.retailer_id, vendor_id=order.vendor_id, amount=order.total)
    due_date = _today()
    if order.payment_terms == PaymentTerms.CREDIT:
        due_date += timedelta(days=account.payment_terms_days)
    entry = credit.post_entry(
        account_id=account.pk,
        kind=EntryType.ORDER_DEBIT,
        amount=order.total,
        key=f"order:{order.pk}:debit",
        reference=order.order_number,
        due_date=due_date,
        actor=actor,
    )
    move(
        order,
        OrderStatus.DELIVERED,
        ledger_entry_id=entry.id,
        due_date=due_date,
        invoice_number=_next_invoice_number(order),
    )
    events.publish(OrderDelivered(order_id=order.pk))
    credit_shown.credit_changed(order.retailer_id)
    return order


def _account(order: Order) -> CreditAccount:
    account_id = credit.open_account(retailer_id=order.retailer_id, vendor_id=order.vendor_id)
    return CreditAccount.objects.get(pk=account_id)


def _today() -> date:
    row = sql.fetch_one("SELECT (now() AT TIME ZONE 'Asia/Kathmandu')::date")
    assert row is not None
    day: date = row[0]
    return day


def _next_invoice_number(order: Order) -> str:
    """Return `VND-000123/2083/84/00042`, gap-free per vendor and fiscal year. Locks the counter."""
    row = sql.fetch_one(
        "WITH year AS (SELECT id, name FROM fiscal_years"
        " WHERE starts_on <= (now() AT TIME ZONE 'Asia/Kathmandu')::date ORDER BY starts_on DESC LIMIT 1),"
        " counter AS (INSERT INTO invoice_counters (vendor_id, fiscal_year_id, last_number)"
        " SELECT %(vendor)s, id, 1 FROM year"
        " ON CONFLICT (vendor_id, fiscal_year_id)"
        " DO UPDATE SET last_number = invoice_counters.last_number + 1 RETURNING last_number)"
        " SELECT v.code || '/' || year.name || '/' || lpad(counter.last_number::text, 5, '0')"
        " FROM year, counter, vendors v WHERE v.id = %(vendor)s",
        {"vendor": order.vendor_id},
    )
    assert row is not None, "no fiscal year covers today"
    return str(row[0])
