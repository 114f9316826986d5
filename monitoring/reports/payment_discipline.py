"""How each retailer paid the invoices that fell due in a period.

An invoice is paid on the day on which the last part of it was paid; what is unpaid and overdue counts
as if it were paid today. What is not yet due is not judged.
"""

from monitoring.reports.columns import Column, count, npr, share, shop
from monitoring.reports.filters import Allowed, Filters

ALLOWED = Allowed(("from", "to", "retailer_id", "vendor_id", "district"))
COLUMNS = (
    *shop(),
    count("invoices_due", "Due"),
    npr("amount_due", "Amount due"),
    count("paid_on_time", "On time"),
    count("paid_late", "Late"),
    count("unpaid_overdue", "Overdue", 8),
    npr("amount_overdue", "Amount overdue"),
    count("not_yet_due", "Not yet due", 8),
    share("mean_days_late", "Mean days late", 8),
    count("worst_days_late", "Worst days late", 8, is_added=False),
    count("bounced_cheques", "Bounced", 8),
    share("on_time_share", "On time %", 8),
)

STATEMENT = """
WITH day AS (SELECT (now() AT TIME ZONE 'Asia/Kathmandu')::date AS today),
due AS (
    SELECT o.id, o.retailer_id, o.due_date, o.total, o.due_amount FROM orders o
    WHERE o.due_date BETWEEN %(start)s AND %(end)s {orders}
),
settled AS (
    SELECT due.id, max((a.created_at AT TIME ZONE 'Asia/Kathmandu')::date) AS paid_on
    FROM due JOIN payment_allocations a ON a.order_id = due.id AND a.reversed_at IS NULL
    WHERE due.due_amount = 0 GROUP BY due.id
),
judged AS (
    SELECT due.*, due.due_amount = 0 AS is_paid,
        CASE WHEN due.due_amount = 0 THEN greatest(settled.paid_on - due.due_date, 0)
            WHEN due.due_date < day.today THEN day.today - due.due_date END AS late
    FROM day, due LEFT JOIN settled ON settled.id = due.id
),
paying AS (
    SELECT retailer_id, count(*) AS invoices_due, sum(total) AS amount_due,
        count(*) FILTER (WHERE is_paid AND late = 0) AS paid_on_time,
        count(*) FILTER (WHERE is_paid AND late > 0) AS paid_late,
        count(*) FILTER (WHERE NOT is_paid AND late > 0) AS unpaid_overdue,
        coalesce(sum(due_amount) FILTER (WHERE NOT is_paid AND late > 0), 0) AS amount_overdue,
        count(*) FILTER (WHERE late IS NULL) AS not_yet_due,
        avg(late) FILTER (WHERE late > 0) AS mean_days_late,
        coalesce(max(late), 0) AS worst_days_late
    FROM judged GROUP BY retailer_id
),
bounced AS (
    SELECT o.retailer_id, count(*) AS cheques FROM payments o
    WHERE o.bounced AND o.reversed_at >= %(start_at)s AND o.reversed_at < %(end_at)s {orders}
    GROUP BY o.retailer_id
)
SELECT r.code AS retailer_code, r.shop_name AS retailer_name, r.shop_name_ne AS retailer_name_ne,
    r.district, coalesce(invoices_due, 0) AS invoices_due, coalesce(amount_due, 0) AS amount_due,
    coalesce(paid_on_time, 0) AS paid_on_time, coalesce(paid_late, 0) AS paid_late,
    coalesce(unpaid_overdue, 0) AS unpaid_overdue, coalesce(amount_overdue, 0) AS amount_overdue,
    coalesce(not_yet_due, 0) AS not_yet_due, mean_days_late,
    coalesce(worst_days_late, 0) AS worst_days_late, coalesce(bounced.cheques, 0) AS bounced_cheques,
    100.0 * paid_on_time / nullif(paid_on_time + paid_late + unpaid_overdue, 0) AS on_time_share
FROM paying FULL JOIN bounced USING (retailer_id) JOIN retailers r ON r.id = retailer_id
WHERE true {shops}
ORDER BY on_time_share NULLS LAST, amount_overdue DESC, r.code
"""


def columns(filters: Filters) -> tuple[Column, ...]:
    return COLUMNS


def statement(filters: Filters) -> str:
    return STATEMENT.format(
        orders=filters.where(
            {
                "retailer_id": "o.retailer_id = %(retailer_id)s",
                "vendor_id": "o.vendor_id = %(vendor_id)s",
            }
        ),
        shops=filters.where({"district": "r.district = %(district)s"}),
    )
