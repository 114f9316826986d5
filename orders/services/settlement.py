"""What payments tell orders: paid amounts and payment status, in one place."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from django.db import transaction

from khaacho import events, sql
from orders import pages
from orders.events import DuesOverdue
from orders.models import Order

TODAY = "(now() AT TIME ZONE 'Asia/Kathmandu')::date"


def lock_orders(order_ids: Iterable[int]) -> list[Order]:
    """Return the orders, locked in primary-key order."""
    return list(
        Order.objects.select_for_update(of=("self",), no_key=True)
        .filter(pk__in=list(order_ids))
        .order_by("pk")
    )


LOCK_OWING = (
    f"SELECT {pages.columns('o')} FROM orders o WHERE o.retailer_id = %(retailer)s"
    " AND o.vendor_id = %(vendor)s"
    " AND (o.due_date IS NOT NULL AND o.due_amount > 0 OR o.id = ANY (%(also)s::bigint[]))"
    " ORDER BY o.id FOR NO KEY UPDATE"
)


def lock_owing(*, retailer_id: int, vendor_id: int, also: Iterable[int] = ()) -> list[Order]:
    """Return a pair's owing orders, and those of `also` that are the pair's, locked in id order."""
    rows = sql.fetch(
        LOCK_OWING, {"retailer": retailer_id, "vendor": vendor_id, "also": sorted(also)}
    )
    return [Order.from_db("default", pages.NAMES, row) for row in rows]


def settle(amounts: Mapping[int, Decimal]) -> None:
    """Add NPR amounts to orders' paid amounts (negative: a payment was reversed). One statement.

    The caller holds the orders' locks and writes the allocations in the same transaction; the
    database compares the two at commit.
    """
    if not amounts:
        return
    sql.execute(
        "UPDATE orders o SET paid_amount = o.paid_amount + a.amount, payment_status = CASE"
        " WHEN o.paid_amount + a.amount = o.total THEN 'PAID'"
        f" WHEN o.due_date < {TODAY} THEN 'OVERDUE'"
        " WHEN o.paid_amount + a.amount > 0 THEN 'PARTIAL' ELSE 'PENDING' END"
        " FROM unnest(%s::bigint[], %s::numeric[]) AS a (id, amount) WHERE o.id = a.id",
        [list(amounts), list(amounts.values())],
    )


BATCH = 1000
# What the index of dues not yet OVERDUE finds is locked in id order, and looked at again under the lock.
MARK_OVERDUE = (
    "WITH late AS (SELECT id FROM orders WHERE id = ANY (ARRAY(SELECT id FROM orders WHERE {past}"
    " ORDER BY due_date, id LIMIT %(batch)s)) AND {past} ORDER BY id FOR NO KEY UPDATE)"
    " UPDATE orders o SET payment_status = 'OVERDUE' FROM late WHERE o.id = late.id"
    " RETURNING o.retailer_id"
).format(
    past="due_date IS NOT NULL AND due_amount > 0 AND payment_status IN ('PENDING', 'PARTIAL')"
    f" AND due_date < {TODAY}"
)


def mark_overdue(*, batch: int = BATCH) -> int:
    """Mark every due past its date OVERDUE, from the day after it in Kathmandu; return how many.

    A transaction for each batch, which locks no more orders than that and tells of their shops.
    """
    marked = 0
    while found := _mark_batch(batch):
        marked += found
    return marked


@transaction.atomic
def _mark_batch(batch: int) -> int:
    rows = sql.fetch(MARK_OVERDUE, {"batch": batch})
    events.publish(*(DuesOverdue(retailer_id=pk) for pk in sorted({row[0] for row in rows})))
    return len(rows)
