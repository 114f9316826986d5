"""What each retailer owes each vendor, by how late it is; every row adds up to the account's balance."""

from monitoring.reports.columns import Column, npr, shop, wholesaler
from monitoring.reports.filters import Allowed, Filters

ALLOWED = Allowed(("retailer_id", "vendor_id", "district", "min_outstanding"))
COLUMNS = (
    *shop(),
    *wholesaler(),
    npr("not_due", "Not due"),
    npr("days_1_30", "1-30 days"),
    npr("days_31_60", "31-60"),
    npr("days_61_90", "61-90"),
    npr("days_91_120", "91-120"),
    npr("days_over_120", "Over 120"),
    npr("unapplied_credit", "Unapplied credit"),
    npr("other", "Other"),
    npr("balance", "Balance"),
)

# Added up by due date first: few dates are put into bands, where there may be a million orders.
# `other` is what belongs to no invoice and no payment: adjustments, interest, refunds.
STATEMENT = """
WITH dues AS (
    SELECT retailer_id, vendor_id, due_date, sum(due_amount) AS due FROM orders o
    WHERE due_date IS NOT NULL AND due_amount > 0 {orders}
    GROUP BY retailer_id, vendor_id, due_date
),
late AS (
    SELECT retailer_id, vendor_id, due, (now() AT TIME ZONE 'Asia/Kathmandu')::date - due_date AS days
    FROM dues
),
aged AS (
    SELECT retailer_id, vendor_id, sum(due) AS open,
        sum(due) FILTER (WHERE days <= 0) AS not_due,
        sum(due) FILTER (WHERE days BETWEEN 1 AND 30) AS days_1_30,
        sum(due) FILTER (WHERE days BETWEEN 31 AND 60) AS days_31_60,
        sum(due) FILTER (WHERE days BETWEEN 61 AND 90) AS days_61_90,
        sum(due) FILTER (WHERE days BETWEEN 91 AND 120) AS days_91_120,
        sum(due) FILTER (WHERE days > 120) AS days_over_120
    FROM late GROUP BY retailer_id, vendor_id
),
unapplied AS (
    SELECT account_id, sum(amount - allocated_amount) AS credit FROM payments o
    WHERE payment_status = 'PROCESSED' AND amount > allocated_amount {orders}
    GROUP BY account_id
)
SELECT r.code AS retailer_code, r.shop_name AS retailer_name, r.shop_name_ne AS retailer_name_ne,
    r.district, v.code AS vendor_code, v.business_name AS vendor_name,
    v.business_name_ne AS vendor_name_ne, coalesce(not_due, 0) AS not_due,
    coalesce(days_1_30, 0) AS days_1_30, coalesce(days_31_60, 0) AS days_31_60,
    coalesce(days_61_90, 0) AS days_61_90, coalesce(days_91_120, 0) AS days_91_120,
    coalesce(days_over_120, 0) AS days_over_120, coalesce(u.credit, 0) AS unapplied_credit,
    a.balance - coalesce(open, 0) + coalesce(u.credit, 0) AS other, a.balance
FROM credit_accounts a JOIN retailers r ON r.id = a.retailer_id JOIN vendors v ON v.id = a.vendor_id
LEFT JOIN aged ON aged.retailer_id = a.retailer_id AND aged.vendor_id = a.vendor_id
LEFT JOIN unapplied u ON u.account_id = a.id
WHERE (a.balance <> 0 OR open IS NOT NULL OR u.credit IS NOT NULL) {accounts}
ORDER BY r.code, v.code, a.id
"""


def columns(filters: Filters) -> tuple[Column, ...]:
    return COLUMNS


def statement(filters: Filters) -> str:
    pair = {
        "retailer_id": "{0}.retailer_id = %(retailer_id)s",
        "vendor_id": "{0}.vendor_id = %(vendor_id)s",
    }
    own = {name: sql.format("a") for name, sql in pair.items()} | {
        "district": "r.district = %(district)s",
        "min_outstanding": "a.balance >= %(min_outstanding)s::numeric",
    }
    return STATEMENT.format(
        orders=filters.where({name: sql.format("o") for name, sql in pair.items()}),
        accounts=filters.where(own),
    )
