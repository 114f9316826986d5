"""An order with all that its page shows, read by the very statement that writes it.

A statement that ends in `page(…)` returns one row; `read` makes an Order of it, whose items and whose
parties' names are there already, so that showing it costs no query.
"""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from credit.models import Retailer
from orders.models import Order, OrderItem
from vendors.models import Vendor

NAMES = [field.attname for field in Order._meta.concrete_fields]
WIDTH = len(NAMES)
_ITEM_NAMES = [field.attname for field in OrderItem._meta.concrete_fields]
_DECIMALS = [
    n
    for n, f in enumerate(OrderItem._meta.concrete_fields)
    if f.get_internal_type() == "DecimalField"
]
# numeric as text: JSON's numbers would come back as binary floats
_ITEM = ", ".join(
    f"i.{field.column}" + ("::text" if n in _DECIMALS else "")
    for n, field in enumerate(OrderItem._meta.concrete_fields)
)


def columns(alias: str) -> str:
    """Return all columns of `orders`, in the model's order, as that alias's."""
    return ", ".join(f"{alias}.{field.column}" for field in Order._meta.concrete_fields)


def page(orders: str, *, items: str = "order_items", more: str = "NULL") -> str:
    """Return the SELECT of one order's page, and `more` behind it.

    `orders` and `items` are tables, or CTEs that wrote them: a statement does not see its own rows.
    """
    return (
        f"SELECT {columns('o')}, r.shop_name, v.business_name,"
        f" (SELECT json_agg(json_build_array({_ITEM}) ORDER BY i.id) FROM {items} i"
        f" WHERE i.order_id = o.id)::text, {more}"
        f" FROM {orders} o JOIN retailers r ON r.id = o.retailer_id JOIN vendors v ON v.id = o.vendor_id"
    )


def read(row: Sequence[Any]) -> Order:
    """Return the order of a row that `page` selected."""
    return show(Order.from_db("default", NAMES, row[:WIDTH]), row)


def show(order: Order, row: Sequence[Any]) -> Order:
    """Bring an order up to a row that `page` selected, and return it."""
    for name, value in zip(NAMES, row, strict=False):
        setattr(order, name, value)
    shop_name, business_name, items, _ = row[WIDTH:]
    order._state.fields_cache = {
        "retailer": Retailer.from_db(
            "default", ["id", "shop_name"], [order.retailer_id, shop_name]
        ),
        "vendor": Vendor.from_db(
            "default", ["id", "business_name"], [order.vendor_id, business_name]
        ),
    }
    prefetched: Any = order.items.all()  # as prefetch_related() leaves it
    prefetched._result_cache = [_item(values) for values in json.loads(items or "[]")]
    prefetched._prefetch_done = True
    vars(order)["_prefetched_objects_cache"] = {"items": prefetched}
    return order


def _item(values: list[Any]) -> OrderItem:
    for n in _DECIMALS:
        values[n] = Decimal(values[n])
    return OrderItem.from_db("default", _ITEM_NAMES, values)
