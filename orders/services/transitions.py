"""What every change of an order's state shares: the lock, the edge, and the column that is stamped."""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from khaacho import jobs, sql
from khaacho.actors import ACTING, Actor, acting, require_active
from khaacho.enums import Role
from khaacho.events import Event, jobs_of
from khaacho.exceptions import NotFound
from orders import pages
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
NO_COLUMNS: Mapping[str, str] = MappingProxyType({})


# What was read beside the lock may be older than the lock: only `o` is what it is now.
LOCK = (
    f"WITH {ACTING}, o AS (SELECT * FROM orders WHERE id = %(order)s AND (%(sees_all)s"
    " OR retailer_id = %(retailer)s OR vendor_id = %(vendor)s) FOR NO KEY UPDATE)"
    f" SELECT acting.is_active, {pages.columns('o')} FROM acting LEFT JOIN o ON true"
)


def lock_order(order_id: int, *, actor: Actor, reason: str = "") -> Order:
    """Name the actor to the database and return the order, locked. One statement.

    Raises NotFound for an order that the actor may not see, AccountInactive.
    """
    row = sql.fetch_one(
        LOCK,
        {
            **acting(actor, reason),
            "order": order_id,
            "sees_all": actor.is_staff,
            "retailer": actor.retailer_id if actor.role == Role.RETAILER else None,
            "vendor": actor.vendor_id if actor.role == Role.VENDOR else None,
        },
    )
    assert row is not None
    require_active(row[0])
    if row[1] is None:
        raise NotFound
    return Order.from_db("default", pages.NAMES, row[1:])


def check_edge(order: Order, to: OrderStatus) -> None:
    """Raise IllegalTransition unless the state machine has an edge from the order's status."""
    if to not in NEXT[OrderStatus(order.status)]:
        raise IllegalTransition(
            f"Order {order.order_number} is {order.status}: it cannot become {to}.",
            current_status=order.status,
        )


def move(
    order: Order,
    to: OrderStatus,
    *facts: Event,
    beside: str = "",
    columns: Mapping[str, str] = NO_COLUMNS,
    **params: object,
) -> Order:
    """Write the new status and its time, publish the facts, and bring `order` and its page up to date.

    The status log writes itself. `columns` maps further columns to SQL, `beside` is a CTE to run with
    it, `params` are what both bind. One statement: it begins after the lock, so all it reads is fresh.
    """
    check_edge(order, to)
    stamp = {STAMPS[to]: "statement_timestamp()"} if to in STAMPS else {}
    new = jobs_of(*facts)
    row = sql.fetch_one(
        _move(beside, tuple(({"status": "%(status)s"} | stamp | dict(columns)).items())),
        {"order": order.pk, "status": to.value, **jobs.parameters(new), **params},
    )
    assert row is not None
    jobs.announce(new, row[-1] or ())
    return pages.show(order, row)


@cache
def _move(beside: str, columns: tuple[tuple[str, str], ...]) -> str:
    assignments = ", ".join(f"{column} = {value}" for column, value in columns)
    return (
        f"WITH {beside + ', ' if beside else ''}o AS (UPDATE orders SET {assignments}"
        f" WHERE id = %(order)s RETURNING *), j AS ({jobs.INSERT_MANY}) "
        + pages.page("o", more="(SELECT array_agg(j.id) FROM j)")
    )
