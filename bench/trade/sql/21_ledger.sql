-- Entries in the order of time, a delivery's debit before the cash paid for it. The ledger's own trigger
-- numbers, balances and hashes them.
CREATE TEMP TABLE plan_entry ON COMMIT DROP AS
WITH fact AS (
    SELECT a.id AS account_id, o.delivered_at AS at, 1 AS step, 'ORDER_DEBIT' AS kind, m.total AS amount,
        'order:' || o.id || ':debit' AS key, o.order_number AS reference,
        pg_temp.kathmandu_day(o.delivered_at) + CASE WHEN c.order_id IS NULL THEN a.terms ELSE 0 END AS due_date,
        v.user_id AS actor_id, o.id AS order_id, NULL::bigint AS payment_id, NULL::bigint AS reversed_payment_id
    FROM plan_order o
    JOIN plan_account a USING (retailer_id, vendor_id)
    JOIN plan_amount m ON m.order_id = o.id
    JOIN vendors v ON v.id = o.vendor_id
    LEFT JOIN plan_cash c ON c.order_id = o.id
    WHERE o.is_invoiced
    UNION ALL
    SELECT p.account_id, p.at, 2, 'PAYMENT_CREDIT', -p.amount, 'payment:' || p.id || ':credit', p.payment_number,
        NULL, CASE WHEN p.on_delivery THEN v.user_id ELSE w.operator_id END, NULL, p.id, NULL
    FROM plan_payment p JOIN vendors v ON v.id = p.vendor_id CROSS JOIN plan_world w
    UNION ALL
    SELECT p.account_id, p.reversed_at, 3, 'REVERSAL', p.amount, NULL, p.payment_number, NULL, w.operator_id,
        NULL, NULL, p.id
    FROM plan_payment p CROSS JOIN plan_world w WHERE p.reversed_at IS NOT NULL
)
SELECT nextval(pg_get_serial_sequence('credit_ledgers', 'id')) AS id, f.*
FROM (SELECT * FROM fact ORDER BY at, step, account_id) f;
ANALYZE plan_entry;

INSERT INTO credit_ledgers (id, entry_number, account_id, transaction_type, amount, key, reference, due_date,
    reverses_id, note, actor_id, created_at)
SELECT e.id, pg_temp.numbered('LED', 'ledger_number_seq', e.at), e.account_id, e.kind, e.amount,
    coalesce(e.key, 'entry:' || r.id || ':reversal'), e.reference, e.due_date, r.id,
    CASE WHEN p.bounced THEN 'bounced cheque: returned unpaid' WHEN p.id IS NOT NULL THEN 'reversed: booked to the wrong shop' ELSE '' END,
    e.actor_id, e.at
FROM plan_entry e
LEFT JOIN plan_payment p ON p.id = e.reversed_payment_id
LEFT JOIN plan_entry r ON r.payment_id = p.id
ORDER BY e.id;
