"""Questions about the trade as a whole."""

from dataclasses import dataclass
from decimal import Decimal

from django.db.models import QuerySet

from khaacho import permissions, sql
from khaacho.actors import Actor
from khaacho.enums import Role
from monitoring.models import Report

TOP_PRODUCTS = 5


@dataclass(frozen=True)
class Period:
    """Orders placed and not cancelled since a midnight in Kathmandu, and money received; NPR."""

    orders: int
    value: Decimal
    collection: Decimal


@dataclass(frozen=True)
class TopProduct:
    """What was ordered most by value (NPR without VAT) in 30 days; `quantity` counts packs."""

    product_id: int
    product_name: str
    quantity: int
    value: Decimal


@dataclass(frozen=True, kw_only=True)
class Dashboard:
    today: Period
    last_30_days: Period
    open_orders: int
    outstanding: Decimal
    overdue: Decimal
    top_products: tuple[TopProduct, ...]


# Days are Kathmandu's; the period of 30 days ends with today. `{own}` narrows to the tenant.
FIGURES = """
WITH day AS (SELECT (now() AT TIME ZONE 'Asia/Kathmandu')::date AS today),
since AS (SELECT today, today::timestamp AT TIME ZONE 'Asia/Kathmandu' AS midnight,
    (today - 29)::timestamp AT TIME ZONE 'Asia/Kathmandu' AS month FROM day),
placed AS (SELECT count(*) FILTER (WHERE created_at >= midnight) AS today_orders,
    coalesce(sum(total) FILTER (WHERE created_at >= midnight), 0) AS today_value,
    count(*) AS orders, coalesce(sum(total), 0) AS value
    FROM orders, since WHERE created_at >= month AND status <> 'CANCELLED' AND {own}),
received AS (SELECT coalesce(sum(amount) FILTER (WHERE created_at >= midnight), 0) AS today_amount,
    coalesce(sum(amount), 0) AS amount
    FROM payments, since WHERE created_at >= month AND payment_status = 'PROCESSED' AND {own}),
open AS (SELECT count(*) AS orders FROM orders WHERE status NOT IN ('COMPLETED', 'CANCELLED') AND {own}),
due AS (SELECT coalesce(sum(due_amount), 0) AS amount,
    coalesce(sum(due_amount) FILTER (WHERE due_date < today), 0) AS overdue
    FROM orders, since WHERE due_date IS NOT NULL AND due_amount > 0 AND {own})
SELECT today_orders, today_value, today_amount, placed.orders, value, received.amount,
    open.orders, due.amount, due.overdue FROM placed, received, open, due
"""
# OFFSET 0 keeps the planner from reading all lines there are for those of a month, as it does for fear of
# single reads: three times as long at a million orders.
BEST = """
SELECT i.product_id, min(i.product_name), sum(i.quantity)::bigint, sum(i.line_total)
FROM orders o CROSS JOIN LATERAL (SELECT product_id, product_name, quantity, line_total
    FROM order_items WHERE order_id = o.id OFFSET 0) i
WHERE o.created_at >= (((now() AT TIME ZONE 'Asia/Kathmandu')::date - 29)::timestamp
    AT TIME ZONE 'Asia/Kathmandu') AND o.status <> 'CANCELLED' AND {own}
GROUP BY i.product_id ORDER BY sum(i.line_total) DESC, i.product_id LIMIT %(limit)s
"""


def dashboard(actor: Actor) -> Dashboard:
    """Return the actor's figures: own for retailers and vendors, the platform's for staff. Two statements."""
    own, tenant = _own(actor)
    row = sql.fetch_one(FIGURES.format(own=own), {"tenant": tenant})
    best = sql.fetch(BEST.format(own=own), {"tenant": tenant, "limit": TOP_PRODUCTS})
    assert row is not None
    return Dashboard(
        today=Period(*row[0:3]),
        last_30_days=Period(*row[3:6]),
        open_orders=row[6],
        outstanding=row[7],
        overdue=row[8],
        top_products=tuple(TopProduct(*each) for each in best),
    )


def _own(actor: Actor) -> tuple[str, int]:
    if actor.is_staff:
        return "true", 0
    if actor.role == Role.RETAILER:
        return "retailer_id = %(tenant)s", actor.retailer_id or 0
    return "vendor_id = %(tenant)s", actor.vendor_id or 0


def reports(actor: Actor) -> QuerySet[Report]:
    """Reports that the actor may see: an employee's own, all with the permission to view them; else none."""
    found = Report.objects.select_related("requested_by")
    if not actor.is_staff:
        return found.none()
    if permissions.allows(actor, "monitoring.view_report"):
        return found
    return found.filter(requested_by_id=actor.user_id)


def has_file(report_id: int) -> bool:
    """Return whether the file of a report that is done is still kept and may be sent."""
    row = sql.fetch_one(
        "SELECT FROM reports r WHERE r.id = %s AND r.expires_at > now()"
        " AND EXISTS (SELECT FROM report_files f WHERE f.report_id = r.id)",
        [report_id],
    )
    return row is not None
