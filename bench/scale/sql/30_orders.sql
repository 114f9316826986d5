-- What a shop owed when it ordered is drawn, not summed: a share of its limit that leaves room for the order.
CREATE TEMP TABLE plan_limit ON COMMIT DROP AS
SELECT o.retailer, ceil(greatest(50000, 4 * max(m.total), 1.2 * max(a.debt)) / 10000) * 10000 AS amount
FROM plan_order o
JOIN plan_amount m ON m.n = o.n
JOIN (SELECT retailer_id, sum(greatest(balance, 0) + reserved) AS debt FROM credit_accounts GROUP BY retailer_id) a
    ON a.retailer_id = o.retailer
GROUP BY o.retailer;
ANALYZE plan_limit;

CREATE TEMP TABLE plan_invoice ON COMMIT DROP AS
SELECT d.n, f.id AS fiscal_year_id, f.name, d.vendor,
    row_number() OVER (PARTITION BY d.vendor, f.id ORDER BY d.delivered_at, d.n) AS number
FROM plan_debt d
JOIN (SELECT id, name, starts_on, lead(starts_on, 1, 'infinity') OVER (ORDER BY starts_on) AS ends_on FROM fiscal_years) f
    ON pg_temp.day(d.delivered_at) >= f.starts_on AND pg_temp.day(d.delivered_at) < f.ends_on;
ANALYZE plan_invoice;
INSERT INTO invoice_counters (vendor_id, fiscal_year_id, last_number)
SELECT vendor, fiscal_year_id, max(number) FROM plan_invoice GROUP BY vendor, fiscal_year_id;

INSERT INTO orders (id, order_number, retailer_id, vendor_id, vendor_named, status, payment_status, payment_terms,
    subtotal, tax_amount, total, agreed_total, paid_amount, platform_exposure, platform_limit, ledger_entry_id,
    invoice_number, due_date, source, source_key, placed_by_id, cancel_reason, created_at, accepted_at, packed_at,
    dispatched_at, out_for_delivery_at, delivered_at, completed_at, cancelled_at)
SELECT o.n, pg_temp.number('ORD', o.n, o.placed_at), o.retailer, o.vendor, pg_temp.chance('named', o.n) < 0.7, o.status,
    CASE WHEN d.paid = m.total THEN 'PAID' WHEN d.due_date < pg_temp.day(w.loaded_at) THEN 'OVERDUE'
        WHEN d.paid > 0 THEN 'PARTIAL' ELSE 'PENDING' END,
    CASE WHEN o.is_cash THEN 'CASH' ELSE 'CREDIT' END, m.subtotal, m.tax, m.total, m.total, coalesce(d.paid, 0),
    CASE WHEN NOT o.is_cash THEN m.total + round((l.amount - m.total) * (0.9 * pg_temp.chance('exposure', o.n))::numeric, 2) END,
    CASE WHEN NOT o.is_cash THEN l.amount END, e.id, v.code || '/' || i.name || '/' || i.number, d.due_date,
    CASE WHEN is_whatsapp THEN 'WHATSAPP' ELSE 'API' END, CASE WHEN is_whatsapp THEN 'wamid.' || md5('order' || o.n) END,
    10 + w.vendors + o.retailer, CASE WHEN o.status = 'CANCELLED' THEN 'Ordered twice by mistake' ELSE '' END,
    o.placed_at, CASE WHEN steps >= 3 THEN o.accepted_at END, CASE WHEN steps >= 4 THEN o.packed_at END,
    CASE WHEN steps >= 5 THEN o.dispatched_at END, CASE WHEN steps >= 6 THEN o.out_at END,
    CASE WHEN steps >= 7 THEN o.delivered_at END, CASE WHEN steps >= 8 THEN o.completed_at END,
    CASE WHEN o.status = 'CANCELLED' THEN o.cancelled_at END
FROM plan_order o
CROSS JOIN plan_world w
JOIN plan_amount m ON m.n = o.n
JOIN plan_limit l ON l.retailer = o.retailer
JOIN plan_vendor v ON v.n = o.vendor
LEFT JOIN plan_debt d ON d.n = o.n
LEFT JOIN plan_entry e ON e.step = 1 AND e.document = o.n
LEFT JOIN plan_invoice i ON i.n = o.n
CROSS JOIN LATERAL (SELECT pg_temp.steps(o.status, o.n) AS steps, pg_temp.chance('source', o.n) < 0.4 AS is_whatsapp) s
ORDER BY o.n;
ANALYZE orders;
