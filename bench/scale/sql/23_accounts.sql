-- Accounts as their ledger leaves them, with what undelivered orders on credit reserve.
INSERT INTO credit_accounts (id, retailer_id, vendor_id, balance, reserved, payment_terms_days, last_sequence,
    last_hash, created_at)
SELECT a.id, a.retailer, a.vendor, coalesce(l.balance, 0), coalesce(h.total, 0), a.terms, coalesce(l.sequence, 0),
    coalesce(l.hash, ''), w.opened_at
FROM plan_world w
CROSS JOIN plan_account a
LEFT JOIN (
    SELECT DISTINCT ON (account_id) account_id, sequence, running_balance AS balance, hash FROM credit_ledgers
    ORDER BY account_id, sequence DESC
) l ON l.account_id = a.id
LEFT JOIN (
    SELECT o.account, sum(m.total) AS total FROM plan_order o JOIN plan_amount m ON m.n = o.n
    WHERE NOT o.is_cash AND o.status IN ('PLACED', 'PENDING', 'ACCEPTED', 'PACKING', 'DISPATCHED', 'OUT_FOR_DELIVERY')
    GROUP BY o.account
) h ON h.account = a.id
ORDER BY a.id;
