-- Every entry of every account in the order of time. The hot account is the first shop's with its first vendor;
-- its adjustments come and go in turn, spread over the whole time.
CREATE TEMP TABLE plan_entry ON COMMIT DROP AS
SELECT row_number() OVER (ORDER BY at, step, account, document) AS id, f.account, f.at, f.step, f.kind,
    f.amount::numeric(14,2) AS amount, f.document, f.due_date, f.actor, f.numbered_at
FROM (
    SELECT d.account, d.delivered_at AS at, 1 AS step, 'ORDER_DEBIT' AS kind, d.total AS amount, d.n AS document,
        d.due_date, 10 + d.vendor AS actor, d.placed_at AS numbered_at
    FROM plan_debt d
    UNION ALL
    SELECT account, at, 2, 'PAYMENT_CREDIT', -amount, id, NULL, 2 + id % 8, NULL FROM plan_payment
    WHERE state IN ('PROCESSED', 'REVERSED')
    UNION ALL
    SELECT account, reversed_at, 3, 'REVERSAL', amount, id, NULL, 2 + id % 8, at FROM plan_payment
    WHERE state = 'REVERSED'
    UNION ALL
    SELECT account, delivered_at + interval '1 hour', 4, kind, CASE kind WHEN 'ADJUSTMENT_CREDIT' THEN -25.00 ELSE 25.00 END, n,
        NULL, 2 + n % 8, NULL
    FROM plan_debt CROSS JOIN LATERAL (SELECT (ARRAY['ADJUSTMENT_DEBIT', 'ADJUSTMENT_CREDIT', 'INTEREST_DEBIT',
        'REFUND_CREDIT'])[1 + n % 4] AS name) k
    CROSS JOIN LATERAL (SELECT CASE WHEN k.name = 'REFUND_CREDIT' THEN 'ADJUSTMENT_CREDIT' ELSE k.name END AS kind) t
    WHERE pg_temp.chance('adjusted', n) < 0.005
    UNION ALL
    SELECT 1, w.opened_at + (w.loaded_at - w.opened_at) * (i::float8 / (w.hot_entries + 1)), 5,
        CASE i % 2 WHEN 1 THEN 'ADJUSTMENT_DEBIT' ELSE 'ADJUSTMENT_CREDIT' END, CASE i % 2 WHEN 1 THEN 10.00 ELSE -10.00 END,
        w.orders + i, NULL, 2, NULL
    FROM plan_world w CROSS JOIN LATERAL generate_series(1, w.hot_entries) i
) f;
ANALYZE plan_entry;
