"""What payments tell orders: paid amounts and payment status, in one place."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from khaacho import sql
from orders import pages
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


def mark_overdue() -> int:
    """Mark every due past its date OVERDUE; return how many. One statement, rows in id order."""
    return sql.execute(
        "UPDATE orders SET payment_status = 'OVERDUE' WHERE id IN (SELECT id FROM orders"
        " WHERE due_date IS NOT NULL AND due_amount > 0"
        f" AND due_date < {TODAY} AND payment_status IN ('PENDING', 'PARTIAL')"
        " ORDER BY id FOR NO KEY UPDATE)"
    )
