"""Orders: what was agreed, what is reserved for it, and how it got where it is."""

from monitoring.invariants.rule import Invariant

INVARIANTS = (
    Invariant(
        "offer_reserved_is_undispatched",
        "An offer's reserved packs are those of undispatched orders, and never more than its stock.",
        "offer",
        "vendor_products",
        """
        SELECT v.id, concat('reserved ', v.reserved, ' of ', v.stock, ', orders ',
            coalesce(i.quantity, 0))
        FROM vendor_products v
        LEFT JOIN (
            SELECT i.offer_id, sum(i.quantity) AS quantity
            FROM orders o JOIN order_items i ON i.order_id = o.id
            WHERE o.status = ANY(%(undispatched)s) GROUP BY i.offer_id
        ) i ON i.offer_id = v.id
        WHERE v.reserved <> coalesce(i.quantity, 0) OR v.reserved NOT BETWEEN 0 AND v.stock
        """,
    ),
    Invariant(
        "order_total_is_sum_of_lines",
        "An order's amounts are the sums of its lines.",
        "order",
        "orders",
        """
        SELECT o.id, concat(o.subtotal, ' + ', o.tax_amount, ' = ', o.total, ', lines ', i.net, ' + ',
            i.tax)
        FROM orders o
        LEFT JOIN (
            SELECT order_id, sum(line_total) AS net, sum(tax_amount) AS tax
            FROM order_items GROUP BY order_id
        ) i ON i.order_id = o.id
        WHERE (o.subtotal, o.tax_amount, o.total) IS DISTINCT FROM (i.net, i.tax, i.net + i.tax)
        """,
        freezes=True,
    ),
    Invariant(
        "line_tax_is_rounded",
        "A line is quantity × price, and its tax is rounded half up by itself.",
        "order",
        "order_items",
        """
        SELECT order_id, concat(sku, ': ', quantity, ' × ', unit_price, ' = ', line_total, ', tax ',
            tax_amount)
        FROM order_items
        WHERE line_total <> quantity * unit_price
            OR tax_amount <> round(line_total * tax_rate / 100, 2)
        """,
        freezes=True,
    ),
    Invariant(
        "status_log_contiguous",
        "An order's status log is numbered 1, 2, 3 … and each step starts where the last ended.",
        "order",
        "order_status_logs",
        """
        SELECT order_id, concat('step ', sequence, ' from ', from_status, ' after ', ended)
        FROM (
            SELECT order_id, sequence, from_status,
                row_number() OVER steps AS expected, lag(to_status) OVER steps AS ended
            FROM order_status_logs WINDOW steps AS (PARTITION BY order_id ORDER BY sequence)
        ) l
        WHERE sequence <> expected OR from_status IS DISTINCT FROM ended
        """,
    ),
    Invariant(
        "status_log_edges",
        "An order starts PLACED and takes allowed steps only.",
        "order",
        "order_status_logs",
        """
        SELECT order_id, concat('step ', sequence, ': ', from_status, ' → ', to_status)
        FROM order_status_logs
        WHERE concat(from_status, '>', to_status) <> ALL(%(edges)s)
        """,
    ),
    Invariant(
        "status_log_ends_at_status",
        "An order's status is where its log ends.",
        "order",
        "orders",
        """
        SELECT o.id, concat('status ', o.status, ', log ends at ', l.to_status)
        FROM orders o
        LEFT JOIN (
            SELECT DISTINCT ON (order_id) order_id, to_status
            FROM order_status_logs ORDER BY order_id, sequence DESC
        ) l ON l.order_id = o.id
        WHERE l.to_status IS DISTINCT FROM o.status
        """,
    ),
    Invariant(
        "order_tenant_is_offers",
        "An order's lines are offers of its vendor, for the product that the line names.",
        "order",
        "order_items",
        """
        SELECT i.order_id, concat(i.sku, ': offer ', v.id, ' of vendor ', v.vendor_id)
        FROM order_items i
        JOIN orders o ON o.id = i.order_id
        JOIN vendor_products v ON v.id = i.offer_id
        WHERE (v.vendor_id, v.product_id) <> (o.vendor_id, i.product_id)
        """,
    ),
    Invariant(
        "invoice_numbers_gap_free",
        "A vendor's invoices of a fiscal year are numbered 1, 2, 3 … up to its counter.",
        "vendor",
        "orders WHERE invoice_number IS NOT NULL",
        """
        WITH invoice AS (
            SELECT o.vendor_id, f.id AS fiscal_year_id,
                split_part(o.invoice_number, '/', -1)::bigint AS number
            FROM orders o
            JOIN vendors v ON v.id = o.vendor_id
            LEFT JOIN fiscal_years f ON starts_with(o.invoice_number, v.code || '/' || f.name || '/')
            WHERE o.invoice_number IS NOT NULL
        ), issued AS (
            SELECT vendor_id, fiscal_year_id, count(*) AS n, min(number) AS low, max(number) AS high
            FROM invoice GROUP BY vendor_id, fiscal_year_id
        )
        SELECT vendor_id, concat(coalesce(n, 0), ' invoices numbered ', low, ' to ', high,
            ', the counter says ', last_number)
        FROM issued FULL JOIN invoice_counters USING (vendor_id, fiscal_year_id)
        WHERE (coalesce(n, 0), coalesce(low, 1), coalesce(high, 0))
            IS DISTINCT FROM (coalesce(last_number, -1), 1, last_number)
        """,
    ),
    Invariant(
        "pending_has_open_acceptance",
        "A PENDING order waits for its vendor's answer, and no other order does.",
        "order",
        "orders WHERE status = %(pending)s",
        """
        SELECT coalesce(o.id, q.order_id), concat('order ', coalesce(o.status, 'not PENDING'),
            ' at vendor ', o.vendor_id, ', open acceptance of vendor ', q.vendor_id)
        FROM (SELECT * FROM orders WHERE status = %(pending)s) o
        FULL JOIN (SELECT * FROM vendor_order_acceptances WHERE status = %(unanswered)s) q
            ON q.order_id = o.id
        WHERE o.vendor_id IS DISTINCT FROM q.vendor_id
        """,
    ),
    Invariant(
        "under_way_was_accepted",
        "An order under way or delivered was accepted by its vendor.",
        "order",
        "orders WHERE status = ANY(%(accepted)s)",
        """
        SELECT o.id, concat(o.status, ' without an acceptance of vendor ', o.vendor_id)
        FROM orders o
        LEFT JOIN vendor_order_acceptances q
            ON q.order_id = o.id AND q.vendor_id = o.vendor_id AND q.status = %(agreed)s
        WHERE o.status = ANY(%(accepted)s) AND q.id IS NULL
        """,
    ),
)
