"""Money received, and what it was used for."""

from monitoring.invariants.rule import Invariant

INVARIANTS = (
    Invariant(
        "order_paid_is_live_allocations",
        "What an order shows as paid is the sum of its live allocations, and at most its total.",
        "order",
        "orders",
        """
        SELECT o.id, concat('paid ', o.paid_amount, ' of ', o.total, ', allocated ',
            coalesce(a.amount, 0))
        FROM orders o
        LEFT JOIN (
            SELECT order_id, sum(amount) AS amount FROM payment_allocations
            WHERE reversed_at IS NULL GROUP BY order_id
        ) a ON a.order_id = o.id
        WHERE o.paid_amount <> coalesce(a.amount, 0) OR o.paid_amount > o.total
        """,
        freezes=True,
    ),
    Invariant(
        "payment_allocations_within_amount",
        "Live allocations of a payment are what it shows, at most its amount, and of processed ones only.",
        "payment",
        "payments",
        """
        SELECT p.id, concat(p.payment_status, ' ', p.amount, ', shows ', p.allocated_amount,
            ', allocated ', coalesce(a.amount, 0))
        FROM payments p
        LEFT JOIN (
            SELECT payment_id, sum(amount) AS amount FROM payment_allocations
            WHERE reversed_at IS NULL GROUP BY payment_id
        ) a ON a.payment_id = p.id
        WHERE p.allocated_amount <> coalesce(a.amount, 0) OR coalesce(a.amount, 0) > p.amount
            OR (a.amount > 0 AND p.payment_status <> %(processed)s)
        """,
        freezes=True,
    ),
    Invariant(
        "allocation_tenant_is_both",
        "A payment pays only orders of its own retailer and vendor.",
        "payment",
        "payment_allocations",
        """
        SELECT p.id, concat(p.payment_number, ' of ', p.retailer_id, ' × ', p.vendor_id, ' pays ',
            o.order_number, ' of ', o.retailer_id, ' × ', o.vendor_id)
        FROM payment_allocations a
        JOIN payments p ON p.id = a.payment_id
        JOIN orders o ON o.id = a.order_id
        WHERE (p.retailer_id, p.vendor_id) <> (o.retailer_id, o.vendor_id)
        """,
        freezes=True,
    ),
    Invariant(
        "payment_tenant_is_accounts",
        "A payment's retailer and vendor are its account's.",
        "payment",
        "payments",
        """
        SELECT p.id, concat(p.payment_number, ' is of ', p.retailer_id, ' × ', p.vendor_id)
        FROM payments p JOIN credit_accounts a ON a.id = p.account_id
        WHERE (p.retailer_id, p.vendor_id) <> (a.retailer_id, a.vendor_id)
        """,
        freezes=True,
    ),
    Invariant(
        "reminder_tenant_is_orders",
        "A reminder goes to the shop whose order it is about.",
        "order",
        "payment_reminders",
        """
        SELECT o.id, concat('level ', m.level, ' to retailer ', m.retailer_id)
        FROM payment_reminders m JOIN orders o ON o.id = m.order_id
        WHERE m.retailer_id <> o.retailer_id
        """,
    ),
)
