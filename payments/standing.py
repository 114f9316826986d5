"""What orders, payments and the ledger say of shops: the facts of their credit scores.

Set-based: the same seven statements for one shop and for a hundred. Days are Kathmandu's.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from credit.scoring import Facts, Invoice, Model, rhythm, utilisation
from khaacho import sql
from khaacho.money import ZERO

TODAY = "(now() AT TIME ZONE 'Asia/Kathmandu')::date"
KATHMANDU_DAY = "({} AT TIME ZONE 'Asia/Kathmandu')::date"
SINCE = f"(({TODAY} - %(history)s::int)::timestamp AT TIME ZONE 'Asia/Kathmandu')"

SHOPS = (
    f"SELECT id, {TODAY}, credit_limit, outstanding_debt FROM retailers WHERE id = ANY(%(shops)s)"
)
# Settled on the day of the last live allocation.
INVOICES = (
    "SELECT o.retailer_id, o.due_date, CASE WHEN o.due_amount = 0 THEN coalesce((SELECT"
    f" {KATHMANDU_DAY.format('max(a.created_at)')} FROM payment_allocations a"
    " WHERE a.order_id = o.id AND a.reversed_at IS NULL), o.due_date) END,"
    " o.order_number, o.due_amount FROM orders o WHERE o.retailer_id = ANY(%(shops)s)"
    f" AND o.due_date IS NOT NULL AND (o.due_date > {TODAY} - %(history)s::int OR o.due_amount > 0)"
    " ORDER BY o.retailer_id, o.due_date, o.id"
)
ORDER_DAYS = (
    f"SELECT retailer_id, {KATHMANDU_DAY.format('created_at')}, count(*) FROM orders"
    " WHERE retailer_id = ANY(%(shops)s) GROUP BY 1, 2 ORDER BY 1, 2"
)
# Cancelled by the shop itself after a vendor accepted; returned (a refund that stands). Subqueries of one value
# each: as EXISTS and a join the planner may read the whole log, or the whole ledger, for the sake of a few orders.
DISPUTES = (
    "SELECT r.id, (SELECT count(*) FROM orders o WHERE o.retailer_id = r.id AND o.status = 'CANCELLED'"
    f" AND o.accepted_at IS NOT NULL AND o.created_at >= {SINCE} AND r.user_id ="
    " (SELECT l.actor_id FROM order_status_logs l WHERE l.order_id = o.id AND l.to_status = 'CANCELLED'"
    " ORDER BY l.sequence DESC LIMIT 1))"
    " + (SELECT count(*) FROM credit_ledgers e WHERE e.retailer_id = r.id"
    f" AND e.transaction_type = 'REFUND_CREDIT' AND e.created_at >= {SINCE} AND"
    " (SELECT m.id FROM credit_ledgers m WHERE m.reverses_id = e.id) IS NULL)"
    " FROM retailers r WHERE r.id = ANY(%(shops)s)"
)
BOUNCED = (
    f"SELECT retailer_id, {KATHMANDU_DAY.format('reversed_at')} FROM payments"
    " WHERE retailer_id = ANY(%(shops)s) AND payment_status = 'REVERSED' AND bounced"
    f" AND reversed_at >= {SINCE} ORDER BY 1, 2"
)
DEBT_CHANGES = (
    f"SELECT retailer_id, {KATHMANDU_DAY.format('created_at')}, sum(amount) FROM credit_ledgers"
    " WHERE retailer_id = ANY(%(shops)s) AND created_at >="
    f" (({TODAY} - %(recent)s::int)::timestamp AT TIME ZONE 'Asia/Kathmandu') GROUP BY 1, 2"
)
LIMITS_BEFORE = (
    f"SELECT retailer_id, {KATHMANDU_DAY.format('decided_at')}, old_limit FROM credit_limit_changes"
    " WHERE retailer_id = ANY(%(shops)s) AND account_id IS NULL AND state = 'APPROVED'"
    " AND old_limit IS NOT NULL AND decided_at >="
    f" (({TODAY} - %(recent)s::int)::timestamp AT TIME ZONE 'Asia/Kathmandu') ORDER BY decided_at, id"
)


def facts(retailer_ids: Sequence[int], model: Model) -> dict[int, Facts]:
    """Return the facts of each retailer that exists, as of today. Seven statements.

    The caller holds the retailers' locks when a score is to be made of them.
    """
    params = {
        "shops": list(retailer_ids),
        "history": model.history_days,
        "recent": model.utilisation_days,
    }
    invoices = _grouped(sql.fetch(INVOICES, params))
    order_days = _grouped(sql.fetch(ORDER_DAYS, params))
    disputes = _grouped(sql.fetch(DISPUTES, params))
    bounced = _grouped(sql.fetch(BOUNCED, params))
    changes = _grouped(sql.fetch(DEBT_CHANGES, params))
    limits = _grouped(sql.fetch(LIMITS_BEFORE, params))
    found = {}
    for shop, today, limit, debt in sql.fetch(SHOPS, params):
        days = order_days[shop]
        trade = rhythm((day for day, _ in days), today, model)
        bounces = tuple(day for (day,) in bounced[shop])
        found[shop] = Facts(
            as_of=today,
            invoices=tuple(_invoice(*each) for each in invoices[shop]),
            utilisation=utilisation(
                debt=debt,
                limit=limit,
                changes=dict(changes[shop]),
                limits_before=limits[shop],
                since=trade.customer_since,
                as_of=today,
                model=model,
            ),
            orders=_recent(days, today, model),
            disputes=len(bounces) + sum(number for (number,) in disputes[shop]),
            active_periods=trade.active_periods,
            gaps=trade.gaps,
            customer_since=trade.customer_since,
            bounced_on=bounces,
        )
    return found


def _grouped(rows: Sequence[tuple[Any, ...]]) -> Mapping[int, list[Any]]:
    """Return the rows' other columns by their first, the retailer."""
    found: defaultdict[int, list[Any]] = defaultdict(list)
    for retailer_id, *rest in rows:
        found[retailer_id].append(tuple(rest))
    return found


def _invoice(due: date, settled: date | None, number: str, left: Decimal) -> Invoice:
    return Invoice(due, settled, *(("", ZERO) if settled else (number, left)))


def _recent(days: Sequence[tuple[date, int]], today: date, model: Model) -> int:
    """Return the number of orders of the last 24 months."""
    return sum(number for day, number in days if (today - day).days < model.history_days)
