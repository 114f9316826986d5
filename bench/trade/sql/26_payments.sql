INSERT INTO payments (id, payment_number, account_id, retailer_id, vendor_id, amount, allocated_amount, method,
    payment_status, reference, transaction_id, ledger_entry_id, received_by_id, reversal_reason, bounced, created_at,
    reversed_at)
SELECT p.id, p.payment_number, p.account_id, p.retailer_id, p.vendor_id, p.amount,
    CASE WHEN p.reversed_at IS NULL THEN p.allocated ELSE 0 END, p.method,
    CASE WHEN p.reversed_at IS NULL THEN 'PROCESSED' ELSE 'REVERSED' END,
    CASE WHEN p.method = 'CHEQUE' THEN 'Cheque ' || lpad((p.id * 7919 % 1000000)::text, 6, '0') ELSE '' END,
    CASE WHEN p.method IN ('BANK_TRANSFER', 'MOBILE_MONEY') THEN upper(left(md5('payment' || p.id), 16)) END,
    e.id, e.actor_id,
    CASE WHEN p.bounced THEN 'Cheque returned unpaid' WHEN p.reversed_at IS NOT NULL THEN 'Booked to the wrong shop' ELSE '' END,
    p.bounced, p.at, p.reversed_at
FROM plan_payment p JOIN plan_entry e ON e.payment_id = p.id
ORDER BY p.id;

INSERT INTO payment_allocations (payment_id, order_id, amount, created_at, reversed_at)
SELECT p.id, i.order_id, i.amount, p.at, NULL
FROM plan_piece i
JOIN plan_payment p ON (p.retailer_id, p.vendor_id, p.at, p.on_delivery) = (i.retailer_id, i.vendor_id, i.at, i.on_delivery)
    AND p.reversed_at IS NULL AND (NOT p.on_delivery OR p.order_id = i.order_id)
UNION ALL
SELECT id, order_id, allocated, at, reversed_at FROM plan_payment WHERE reversed_at IS NOT NULL
ORDER BY 1, 2;

-- Mobile transfers that failed before they went through, and cheques that the bank has not cleared yet.
INSERT INTO payments (payment_number, account_id, retailer_id, vendor_id, amount, method, payment_status,
    received_by_id, created_at)
SELECT pg_temp.numbered('PAY', 'payment_number_seq', at), account_id, retailer_id, vendor_id, amount, method, state,
    w.operator_id, at
FROM (
    SELECT account_id, retailer_id, vendor_id, amount, method, 'FAILED' AS state, at - interval '4 minutes' AS at
    FROM plan_payment WHERE method = 'MOBILE_MONEY' AND NOT on_delivery AND pg_temp.chance('failed', draw) < 0.05
    UNION ALL
    (SELECT a.id, a.retailer_id, a.vendor_id, a.balance, 'CHEQUE', 'PENDING',
        w.loaded_at - pg_temp.chance('uncleared', p.pair) * interval '20 hours'
    FROM credit_accounts a JOIN plan_account p ON p.id = a.id CROSS JOIN plan_world w
    WHERE a.balance > 0 AND p.payer IN ('fair', 'slow') ORDER BY pg_temp.chance('uncleared', p.pair) LIMIT 6)
) p CROSS JOIN plan_world w ORDER BY at;
