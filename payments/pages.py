"""A payment with all that its page shows, read by the very statement that writes it; as orders/pages.py."""

import json
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from credit.models import Retailer
from orders.models import Order
from payments.models import Payment, PaymentAllocation
from vendors.models import Vendor

NAMES = [field.attname for field in Payment._meta.concrete_fields]
COLUMNS = ", ".join(f"{field.column}" for field in Payment._meta.concrete_fields)
WIDTH = len(NAMES)


def page(payments: str, *, allocations: str, more: str) -> str:
    """Return the SELECT of one payment's page, and `more` behind it; the tables are CTEs that wrote it."""
    columns = ", ".join(f"p.{field.column}" for field in Payment._meta.concrete_fields)
    return (
        f"SELECT {columns}, r.shop_name, v.business_name,"
        " (SELECT json_agg(json_build_array(al.id, al.order_id, o.order_number, al.amount::text,"
        f" al.created_at) ORDER BY al.id) FROM {allocations} al JOIN orders o ON o.id = al.order_id"
        f" WHERE al.payment_id = p.id)::text, {more}"
        f" FROM {payments} p JOIN retailers r ON r.id = p.retailer_id JOIN vendors v ON v.id = p.vendor_id"
    )


def read(row: Sequence[Any]) -> Payment:
    """Return the payment of a row that `page` selected, with its allocations and its parties' names."""
    payment = Payment.from_db("default", NAMES, row[:WIDTH])
    shop_name, business_name, allocations, _ = row[WIDTH:]
    payment._state.fields_cache = {
        "retailer": Retailer.from_db(
            "default", ["id", "shop_name"], [payment.retailer_id, shop_name]
        ),
        "vendor": Vendor.from_db(
            "default", ["id", "business_name"], [payment.vendor_id, business_name]
        ),
    }
    prefetched: Any = payment.allocations.all()  # as prefetch_related() leaves it
    prefetched._result_cache = [
        _allocation(payment.pk, *each) for each in json.loads(allocations or "[]")
    ]
    prefetched._prefetch_done = True
    vars(payment)["_prefetched_objects_cache"] = {"allocations": prefetched}
    return payment


def _allocation(
    payment_id: int, pk: int, order_id: int, order_number: str, amount: str, created_at: str
) -> PaymentAllocation:
    part = PaymentAllocation(
        pk=pk,
        payment_id=payment_id,
        order_id=order_id,
        amount=Decimal(amount),
        created_at=datetime.fromisoformat(created_at),
        reversed_at=None,
    )
    part._state.adding = False
    part._state.fields_cache["order"] = Order.from_db(
        "default", ["id", "order_number"], [order_id, order_number]
    )
    return part
