"""A retailer's statement: what was owed before a period, each entry with the balance after it, and what is owed.

The same as `credit.selectors.statement`, read row by row: an account may have a million entries.
"""

from monitoring.reports.columns import Column, Form, npr
from monitoring.reports.filters import Allowed, Filters

ALLOWED = Allowed(("from", "to", "retailer_id", "vendor_id"), required=("retailer_id",))
COLUMNS = (
    Column("date", "Date", Form.DAY, 10),
    Column("entry_number", "Entry", Form.CODE, 15),
    Column("type", "Type", Form.WORD, 18),
    Column("reference", "Reference", width=17),
    Column("vendor", "Wholesaler", width=24),
    Column("vendor_ne", "Wholesaler (Nepali)", width=24, beneath="vendor"),
    Column("due_date", "Due", Form.DAY, 10),
    npr("amount", "Amount", 14, is_added=False),
    npr("balance", "Balance", 14, is_added=False),
)

STATEMENT = """
WITH own AS (SELECT id FROM credit_accounts WHERE retailer_id = %(retailer_id)s {own}),
opening AS (
    SELECT coalesce(sum(last.running_balance), 0) AS balance FROM own
    LEFT JOIN LATERAL (
        SELECT running_balance FROM credit_ledgers l
        WHERE l.account_id = own.id AND l.created_at < %(start_at)s
        ORDER BY l.created_at DESC, l.sequence DESC LIMIT 1
    ) AS last ON true
),
entries AS (
    SELECT l.* FROM own JOIN credit_ledgers l ON l.account_id = own.id
    WHERE l.created_at >= %(start_at)s AND l.created_at < %(end_at)s
)
SELECT date, entry_number, type, reference, vendor, vendor_ne, due_date, amount, balance
FROM (
    SELECT 0 AS part, NULL::timestamptz AS created_at, 0 AS id, %(start)s::date AS date,
        '' AS entry_number, 'OPENING_BALANCE' AS type, '' AS reference, '' AS vendor,
        '' AS vendor_ne, NULL::date AS due_date, NULL::numeric AS amount, balance
    FROM opening
    UNION ALL
    SELECT 1, e.created_at, e.id, (e.created_at AT TIME ZONE 'Asia/Kathmandu')::date, e.entry_number,
        e.transaction_type, e.reference, v.business_name, v.business_name_ne, e.due_date, e.amount,
        opening.balance + sum(e.amount) OVER (ORDER BY e.created_at, e.id)
    FROM opening, entries e JOIN vendors v ON v.id = e.vendor_id
    UNION ALL
    SELECT 2, NULL, 0, %(end)s::date, '', 'CLOSING_BALANCE', '', '', '', NULL, NULL,
        opening.balance + (SELECT coalesce(sum(amount), 0) FROM entries)
    FROM opening
) AS rows
ORDER BY part, created_at, id
"""


def columns(filters: Filters) -> tuple[Column, ...]:
    return COLUMNS


def statement(filters: Filters) -> str:
    return STATEMENT.format(own=filters.where({"vendor_id": "vendor_id = %(vendor_id)s"}))
