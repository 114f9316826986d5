"""Who may do what: every route and method, by everybody, against tenant A's records. Reviewed.

Columns: nobody, retailer A, retailer B, vendor A, vendor B, operator, admin. Requests carry an empty
body, and an Idempotency-Key, so that a right of writing shows as 400 (the body is malformed) or as
what the record's state says (409), and never changes A's records before all have knocked; what is
another's is 404, what is another role's 403.
"""

from typing import NamedTuple


class Row(NamedTuple):
    nobody: int
    retailer_a: int
    retailer_b: int
    vendor_a: int
    vendor_b: int
    operator: int
    admin: int


EVERYBODY = Row(401, 200, 200, 200, 200, 200, 200)
PUBLIC = Row(200, 200, 200, 200, 200, 200, 200)
PUBLIC_WRITE = Row(400, 400, 400, 400, 400, 400, 400)
STAFF = Row(401, 403, 403, 403, 403, 200, 200)
PARTIES = Row(401, 200, 404, 200, 404, 200, 200)
VENDORS = Row(401, 403, 403, 200, 200, 403, 403)
VENDORS_WRITE = Row(401, 403, 403, 400, 400, 403, 403)
FULFILMENT = Row(401, 403, 403, 409, 404, 409, 409)

# The order of the world is DELIVERED and its payment PROCESSED.
ACCESS: dict[tuple[str, str], Row] = {
    ("GET", "products/"): EVERYBODY,
    ("GET", "products/<int:product_id>/"): EVERYBODY,
    ("GET", "products/<int:product_id>/offers/"): EVERYBODY,
    ("GET", "vendors/"): EVERYBODY,
    ("GET", "vendors/<int:vendor_id>/"): EVERYBODY,
    ("GET", "vendors/<int:vendor_id>/products/"): EVERYBODY,
    ("GET", "vendor/products/"): VENDORS,
    ("POST", "vendor/products/"): VENDORS_WRITE,
    ("PATCH", "vendor/products/<int:offer_id>/"): Row(401, 403, 403, 200, 404, 403, 403),
    ("DELETE", "vendor/products/<int:offer_id>/"): Row(401, 403, 403, 204, 404, 403, 403),
    ("POST", "vendor/products/bulk/"): VENDORS_WRITE,
    ("GET", "vendor/receivables/"): VENDORS,
    ("GET", "orders/"): EVERYBODY,
    ("POST", "orders/"): Row(401, 400, 400, 403, 403, 400, 400),
    ("POST", "orders/quote/"): Row(401, 400, 400, 403, 403, 400, 400),
    ("GET", "orders/<int:order_id>/"): PARTIES,
    ("GET", "orders/<int:order_id>/history/"): PARTIES,
    ("GET", "orders/<int:order_id>/invoice/"): PARTIES,
    ("POST", "orders/<int:order_id>/accept/"): FULFILMENT,
    ("POST", "orders/<int:order_id>/reject/"): Row(401, 403, 403, 400, 400, 400, 400),
    ("POST", "orders/<int:order_id>/pack/"): FULFILMENT,
    ("POST", "orders/<int:order_id>/dispatch/"): FULFILMENT,
    ("POST", "orders/<int:order_id>/out_for_delivery/"): FULFILMENT,
    ("POST", "orders/<int:order_id>/deliver/"): FULFILMENT,
    ("POST", "orders/<int:order_id>/complete/"): Row(401, 200, 404, 403, 403, 200, 200),
    ("POST", "orders/<int:order_id>/cancel/"): Row(401, 400, 400, 400, 400, 400, 400),
    ("GET", "credit/"): Row(401, 200, 200, 403, 403, 403, 403),
    ("GET", "credit/ledger/"): EVERYBODY,
    ("GET", "credit/statement/"): Row(401, 200, 404, 200, 404, 200, 200),
    ("GET", "credit/score/"): Row(401, 200, 404, 403, 403, 200, 200),
    ("GET", "credit/score/history/"): Row(401, 200, 200, 403, 403, 200, 200),
    ("GET", "payments/"): EVERYBODY,
    ("POST", "payments/"): Row(401, 403, 403, 400, 400, 400, 400),
    ("GET", "payments/<int:payment_id>/"): PARTIES,
    ("POST", "payments/<int:payment_id>/reverse/"): Row(401, 403, 403, 403, 403, 400, 400),
    ("GET", "dashboard/"): EVERYBODY,
    ("GET", "reports/"): STAFF,
    ("POST", "reports/"): Row(401, 403, 403, 403, 403, 400, 400),
    ("GET", "reports/<int:report_id>/"): STAFF,
    ("POST", "reports/<int:report_id>/cancel/"): STAFF,
    ("GET", "reports/<int:report_id>/download/"): Row(401, 403, 403, 403, 403, 409, 409),
    ("POST", "auth/register/"): PUBLIC_WRITE,
    ("POST", "auth/token/"): PUBLIC_WRITE,
    ("POST", "auth/refresh/"): PUBLIC_WRITE,
    ("POST", "auth/logout/"): PUBLIC_WRITE,
    ("GET", "auth/me/"): EVERYBODY,
    ("GET", "schema/"): PUBLIC,
    ("GET", "docs/"): PUBLIC,
    ("GET", "health"): PUBLIC,
    ("GET", "health/details"): STAFF,
    ("GET", "queues/stats"): STAFF,
    ("GET", "monitoring/pool"): STAFF,
    ("GET", "monitoring/slow-queries"): STAFF,
    ("GET", "monitoring/index-usage"): STAFF,
    ("GET", "monitoring/table-bloat"): STAFF,
    ("GET", "monitoring/missing-indexes"): STAFF,
    # by machines, which sign or know a secret, or need neither
    ("GET", "whatsapp/webhook"): Row(403, 403, 403, 403, 403, 403, 403),
    ("POST", "whatsapp/webhook"): Row(401, 401, 401, 401, 401, 401, 401),
    ("GET", "whatsapp/webhook/"): Row(403, 403, 403, 403, 403, 403, 403),
    ("POST", "whatsapp/webhook/"): Row(401, 401, 401, 401, 401, 401, 401),
    ("GET", "/livez"): PUBLIC,
    ("POST", "/livez"): PUBLIC,
    ("GET", "/readyz"): PUBLIC,
    ("POST", "/readyz"): PUBLIC,
    # for nobody until settings let somebody in
    ("GET", "/metrics"): Row(404, 404, 404, 404, 404, 404, 404),
    ("POST", "/metrics"): Row(404, 404, 404, 404, 404, 404, 404),
}

# With a body that passes validation, where without one nobody gets as far as the record.
WITH_BODY: dict[tuple[str, str], tuple[dict[str, object], Row]] = {
    ("POST", "orders/<int:order_id>/reject/"): ({"reason": "x"}, FULFILMENT),
    ("POST", "orders/<int:order_id>/cancel/"): (
        {"reason": "x"},
        Row(401, 409, 404, 409, 404, 409, 409),
    ),
    ("POST", "payments/<int:payment_id>/reverse/"): (
        {"reason": "x"},
        Row(401, 403, 403, 403, 403, 200, 200),
    ),
    ("PATCH", "vendor/products/<int:offer_id>/"): (
        {"stock_delta": 5},
        Row(401, 403, 403, 200, 404, 403, 403),
    ),
}
