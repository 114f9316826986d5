"""What was ordered in a period, by retailer, vendor, product or month, and against the period before."""

from monitoring.reports.columns import Column, Form, count, npr, share, shop, wholesaler
from monitoring.reports.filters import Allowed, Filters

NAMES = ("from", "to", "group_by", "retailer_id", "vendor_id", "district")
ALLOWED = Allowed(NAMES, groups=("retailer", "vendor", "product", "month"))

VOLUME = (
    count("orders", "Orders"),
    count("quantity", "Packs", 8),
    npr("net", "Net"),
    npr("vat", "VAT"),
    npr("total", "Total"),
    share("share", "Share %"),
    npr("previous", "Before"),
    share("change", "Change %", 8),
)
PRODUCT = (
    Column("sku", "SKU", width=11),
    Column("product_name", "Product", width=20),
    Column("product_name_ne", "Product (Nepali)", width=20, beneath="product_name"),
    Column("category", "Category", width=11),
)
GROUPS = {
    "retailer": shop(),
    "vendor": wholesaler(),
    "product": PRODUCT,
    "month": (Column("month", "Month", Form.CODE, 9),),
}
SHOP = "r.code AS retailer_code, r.shop_name AS retailer_name, r.shop_name_ne AS retailer_name_ne"
NAMED = {
    "retailer": (
        f"{SHOP}, r.district",
        "JOIN retailers r ON r.id = volume.key",
    ),
    "vendor": (
        "v.code AS vendor_code, v.business_name AS vendor_name, v.business_name_ne AS vendor_name_ne",
        "JOIN vendors v ON v.id = volume.key",
    ),
    "product": (
        "p.sku, p.name AS product_name, p.name_ne AS product_name_ne, p.category",
        "JOIN products p ON p.id = volume.key",
    ),
}

PLACED = """
placed AS (
    SELECT o.id, o.retailer_id, o.vendor_id, o.subtotal, o.tax_amount, o.total,
        to_char(o.created_at AT TIME ZONE 'Asia/Kathmandu', 'YYYY-MM') AS month,
        o.created_at >= %(start_at)s AS is_now
    FROM orders o
    WHERE o.created_at >= {since} AND o.created_at < %(end_at)s AND o.status <> 'CANCELLED'
        {filtered}
)"""
# An order has a product on one line at most: lines of a product are its orders.
BY_LINE = """
volume AS (
    SELECT i.product_id AS key, count(*) FILTER (WHERE is_now) AS orders,
        sum(i.quantity) FILTER (WHERE is_now) AS quantity,
        sum(i.line_total) FILTER (WHERE is_now) AS net,
        sum(i.tax_amount) FILTER (WHERE is_now) AS vat,
        sum(i.line_total + i.tax_amount) FILTER (WHERE is_now) AS total,
        sum(i.line_total + i.tax_amount) FILTER (WHERE NOT is_now) AS previous
    FROM placed JOIN order_items i ON i.order_id = placed.id GROUP BY i.product_id
)"""
BY_ORDER = """
packs AS (
    SELECT i.order_id, sum(i.quantity) AS quantity
    FROM placed JOIN order_items i ON i.order_id = placed.id WHERE is_now GROUP BY i.order_id
),
volume AS (
    SELECT {key} AS key, count(*) FILTER (WHERE is_now) AS orders,
        sum(packs.quantity) AS quantity,
        sum(subtotal) FILTER (WHERE is_now) AS net,
        sum(tax_amount) FILTER (WHERE is_now) AS vat,
        sum(total) FILTER (WHERE is_now) AS total,
        sum(total) FILTER (WHERE NOT is_now) AS previous
    FROM placed LEFT JOIN packs ON packs.order_id = placed.id GROUP BY {key}
)"""
BY_MONTH = """
months AS (
    SELECT key AS month, orders, quantity, net, vat, total, lag(total) OVER (ORDER BY key) AS previous
    FROM volume
)"""
FIGURES = """orders, coalesce(quantity, 0) AS quantity, coalesce(net, 0) AS net,
    coalesce(vat, 0) AS vat, coalesce(total, 0) AS total,
    100 * coalesce(total, 0) / nullif(sum(total) OVER (), 0) AS share,
    coalesce(previous, 0) AS previous,
    100 * (coalesce(total, 0) - previous) / nullif(previous, 0) AS change"""


def columns(filters: Filters) -> tuple[Column, ...]:
    return (*GROUPS[filters.group_by], *VOLUME)


def statement(filters: Filters) -> str:
    is_by_month = filters.group_by == "month"
    placed = PLACED.format(
        since="%(start_at)s" if is_by_month else "%(before_at)s",
        filtered=filters.where(
            {
                "retailer_id": "o.retailer_id = %(retailer_id)s",
                "vendor_id": "o.vendor_id = %(vendor_id)s",
                "district": "o.retailer_id IN (SELECT id FROM retailers WHERE district = %(district)s)",
            }
        ),
    )
    if is_by_month:
        volume = f"{BY_ORDER.format(key='month')}, {BY_MONTH}"
        return f"WITH {placed}, {volume} SELECT month, {FIGURES} FROM months ORDER BY month"
    names, joined = NAMED[filters.group_by]
    by_order = BY_ORDER.format(key=f"{filters.group_by}_id")
    volume = BY_LINE if filters.group_by == "product" else by_order
    return (
        f"WITH {placed}, {volume} SELECT {names}, {FIGURES} FROM volume {joined}"
        " ORDER BY volume.total DESC NULLS LAST, volume.previous DESC, volume.key"
    )
