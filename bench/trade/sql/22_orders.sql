INSERT INTO orders (id, order_number, retailer_id, vendor_id, vendor_named, status, payment_status, payment_terms,
    subtotal, tax_amount, total, agreed_total, paid_amount, account_exposure, account_limit, platform_exposure,
    platform_limit, ledger_entry_id, invoice_number, due_date, source, source_key, placed_by_id, cancel_reason,
    created_at, accepted_at, packed_at, dispatched_at, out_for_delivery_at, delivered_at, completed_at, cancelled_at)
SELECT o.id, o.order_number, o.retailer_id, o.vendor_id, pg_temp.chance('named', o.draw) < 0.75, o.status,
    CASE WHEN coalesce(paid.amount, 0) = m.total THEN 'PAID'
        WHEN e.due_date < pg_temp.kathmandu_day(w.loaded_at) THEN 'OVERDUE'
        WHEN paid.amount > 0 THEN 'PARTIAL' ELSE 'PENDING' END,
    CASE WHEN c.order_id IS NULL THEN 'CREDIT' ELSE 'CASH' END,
    m.subtotal, m.tax_amount, m.total, m.total, coalesce(paid.amount, 0),
    x.account_exposure, CASE WHEN c.order_id IS NULL THEN a.credit_limit END,
    x.platform_exposure, CASE WHEN c.order_id IS NULL THEN o.credit_limit END,
    e.id, i.invoice_number, e.due_date, source,
    CASE WHEN source = 'WHATSAPP' THEN 'wamid.' || md5('order' || o.id) END,
    CASE WHEN source = 'ADMIN' THEN w.operator_id ELSE o.user_id END,
    CASE WHEN o.status = 'CANCELLED' THEN reason ELSE '' END,
    o.placed_at, nullif(least(o.accepted_at, told), told), nullif(least(o.packed_at, told), told),
    nullif(least(o.dispatched_at, told), told), nullif(least(o.out_for_delivery_at, told), told),
    nullif(least(o.delivered_at, told), told), nullif(least(o.completed_at, told), told),
    CASE WHEN o.status = 'CANCELLED' THEN o.cancelled_at END
FROM plan_order o
CROSS JOIN plan_world w
JOIN plan_amount m ON m.order_id = o.id
JOIN credit_accounts a ON a.retailer_id = o.retailer_id AND a.vendor_id = o.vendor_id
LEFT JOIN plan_cash c ON c.order_id = o.id
LEFT JOIN plan_exposure x ON x.order_id = o.id
LEFT JOIN plan_entry e ON e.order_id = o.id
LEFT JOIN plan_invoice i ON i.order_id = o.id
LEFT JOIN (SELECT order_id, sum(amount) AS amount FROM plan_piece GROUP BY order_id) paid ON paid.order_id = o.id
CROSS JOIN LATERAL (SELECT o.told_at + interval '1 microsecond' AS told,
    (ARRAY['API', 'WHATSAPP', 'ADMIN'])[width_bucket(pg_temp.chance('source', o.draw), ARRAY[0, 0.6, 0.95])] AS source,
    CASE WHEN o.cancels < 0.020 THEN (ARRAY['Ordered twice by mistake', 'Found it nearer', 'Will order next week'])
            [1 + floor(3 * pg_temp.chance('reason', o.draw))::int]
        WHEN o.cancels < 0.045 THEN (ARRAY['Shop is closed this week', 'Ordered the wrong size'])
            [1 + floor(2 * pg_temp.chance('reason', o.draw))::int]
        WHEN o.cancels < 0.057 THEN (ARRAY['Damaged in the store', 'The lot expired', 'No lorry this week'])
            [1 + floor(3 * pg_temp.chance('reason', o.draw))::int]
        ELSE 'Road blocked by a landslide' END AS reason) f
ORDER BY o.id;
