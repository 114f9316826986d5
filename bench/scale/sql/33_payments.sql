INSERT INTO payments (id, payment_number, account_id, retailer_id, vendor_id, amount, allocated_amount, method,
    payment_status, transaction_id, ledger_entry_id, received_by_id, reversal_reason, bounced, created_at, reversed_at)
SELECT p.id, scale.number('PAY', p.id, p.at), p.account, p.retailer, p.vendor, p.amount, p.allocated, method, p.state,
    CASE WHEN method IN ('BANK_TRANSFER', 'MOBILE_MONEY') THEN upper(md5('payment' || p.id)) END, e.id, 2 + p.id % 8,
    CASE p.state WHEN 'REVERSED' THEN 'Cheque returned unpaid' ELSE '' END, p.state = 'REVERSED', p.at, p.reversed_at
FROM plan_payment p
LEFT JOIN plan_entry e ON e.step = 2 AND e.document = p.id
CROSS JOIN LATERAL (SELECT CASE WHEN p.is_cash THEN 'CASH' WHEN p.state IN ('REVERSED', 'PENDING') THEN 'CHEQUE'
    ELSE (ARRAY['BANK_TRANSFER', 'MOBILE_MONEY', 'CHEQUE', 'CASH'])[1 + p.id % 4] END AS method) m
ORDER BY p.id;

INSERT INTO payment_allocations (payment_id, order_id, amount, created_at)
SELECT p.id, d.n, d.paid, p.at
FROM plan_debt d JOIN plan_payment p ON (p.account, p.payment_group, p.is_cash) = (d.account, d.payment_group, d.is_cash)
WHERE d.paid > 0 ORDER BY p.id, d.n;

INSERT INTO payment_reminders (order_id, retailer_id, level, state, reason, created_at, sent_at)
SELECT n, retailer, level, 'SKIPPED', 'a higher level was due', at, NULL
FROM plan_debt CROSS JOIN LATERAL (VALUES (-3), (0), (7)) AS l (level)
CROSS JOIN LATERAL (SELECT (due_date + level)::timestamp AT TIME ZONE 'Asia/Kathmandu' AS at) t
WHERE paid < total AND at < loaded_at AND at > delivered_at ORDER BY at;
