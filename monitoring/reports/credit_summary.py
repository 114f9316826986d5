"""How each retailer, or each of its accounts, stands: limit, debt, what is overdue, score, hold."""

from credit.scoring import BANDS, WORST_BAND
from monitoring.reports.columns import Column, Form, count, npr, shop, wholesaler
from monitoring.reports.filters import Allowed, Filters

NAMES = ("group_by", "retailer_id", "vendor_id", "district", "min_outstanding")
ALLOWED = Allowed(NAMES, groups=("retailer", "account"))

AMOUNTS = (
    npr("credit_limit", "Limit"),
    npr("outstanding", "Outstanding"),
    npr("reserved", "Reserved"),
    npr("available", "Available"),
    npr("overdue", "Overdue"),
)
STANDING = (
    Column("is_on_hold", "On hold", Form.YES, 7),
    count("oldest_due_days", "Days late", is_added=False),
    Column("last_payment_on", "Last paid", Form.DAY, 9),
    npr("last_payment", "Last payment", is_added=False),
)
SCORE = (
    count("credit_score", "Score", 6, is_added=False),
    Column("band", "Band", Form.WORD, 8),
)

BAND = " ".join(f"WHEN r.credit_score >= {floor} THEN '{name}'" for floor, name in BANDS)
# Late are dues of yesterday and before; held is who has one that is later than the hold allows.
DUE = """
due AS (
    SELECT {keys}, sum(due_amount) FILTER (WHERE due_date < today) AS overdue,
        max(today - due_date) AS oldest
    FROM orders, (SELECT (now() AT TIME ZONE 'Asia/Kathmandu')::date AS today) AS day
    WHERE due_date IS NOT NULL AND due_amount > 0 {narrowed}
    GROUP BY {keys}
)"""
PAID = """
LEFT JOIN LATERAL (
    SELECT (p.created_at AT TIME ZONE 'Asia/Kathmandu')::date AS paid_on, p.amount FROM payments p
    WHERE p.retailer_id = r.id {of_account} AND p.payment_status = 'PROCESSED'
    ORDER BY p.created_at DESC, p.id DESC LIMIT 1
) AS paid ON true"""
SHOP = "r.code AS retailer_code, r.shop_name AS retailer_name, r.shop_name_ne AS retailer_name_ne, r.district"
LATE = """coalesce(due.overdue, 0) AS overdue,
    coalesce(due.oldest, 0) > %(hold_days)s AS is_on_hold,
    greatest(coalesce(due.oldest, 0), 0) AS oldest_due_days,
    paid.paid_on AS last_payment_on, paid.amount AS last_payment"""
BY_RETAILER = f"""
WITH {DUE}
SELECT {SHOP}, r.credit_limit, r.outstanding_debt AS outstanding, r.reserved_credit AS reserved,
    greatest(r.credit_limit - r.outstanding_debt - r.reserved_credit, 0) AS available, {LATE},
    r.credit_score, CASE {BAND} ELSE '{WORST_BAND}' END AS band
FROM retailers r LEFT JOIN due ON due.retailer_id = r.id {PAID}
WHERE (r.deleted_at IS NULL OR r.outstanding_debt <> 0) {{filtered}}
ORDER BY r.code, r.id
"""
# An account without a limit of its own has the platform's; the narrower of both is what is left.
BY_ACCOUNT = f"""
WITH {DUE}
SELECT {SHOP}, v.code AS vendor_code, v.business_name AS vendor_name,
    v.business_name_ne AS vendor_name_ne, a.credit_limit, a.balance AS outstanding, a.reserved,
    greatest(least(a.credit_limit - a.balance - a.reserved,
        r.credit_limit - r.outstanding_debt - r.reserved_credit), 0) AS available, {LATE},
    a.is_frozen
FROM credit_accounts a JOIN retailers r ON r.id = a.retailer_id JOIN vendors v ON v.id = a.vendor_id
LEFT JOIN due ON due.retailer_id = a.retailer_id AND due.vendor_id = a.vendor_id {PAID}
WHERE (r.deleted_at IS NULL OR a.balance <> 0) {{filtered}}
ORDER BY r.code, v.code, a.id
"""


def columns(filters: Filters) -> tuple[Column, ...]:
    if filters.group_by == "account":
        frozen = Column("is_frozen", "Frozen", Form.YES, 7)
        return (*shop(), *wholesaler(), *AMOUNTS, *STANDING, frozen)
    return (*shop(), *AMOUNTS, *STANDING, *SCORE)


def statement(filters: Filters) -> str:
    narrowed = filters.where({"retailer_id": "retailer_id = %(retailer_id)s"})
    if filters.group_by == "account":
        return BY_ACCOUNT.format(
            keys="retailer_id, vendor_id",
            narrowed=narrowed,
            of_account="AND p.vendor_id = a.vendor_id",
            filtered=filters.where(
                _conditions("a.balance") | {"vendor_id": "a.vendor_id = %(vendor_id)s"}
            ),
        )
    has_account = (
        "EXISTS (SELECT FROM credit_accounts a WHERE a.retailer_id = r.id"
        " AND a.vendor_id = %(vendor_id)s)"
    )
    return BY_RETAILER.format(
        keys="retailer_id",
        narrowed=narrowed,
        of_account="",
        filtered=filters.where(_conditions("r.outstanding_debt") | {"vendor_id": has_account}),
    )


def _conditions(owed: str) -> dict[str, str]:
    return {
        "retailer_id": "r.id = %(retailer_id)s",
        "district": "r.district = %(district)s",
        "min_outstanding": f"{owed} >= %(min_outstanding)s::numeric",
    }
