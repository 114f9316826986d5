-- Delivered orders with what was paid for them. The newest of an account are still owing, the oldest of those
-- sometimes in part; some accounts pay promptly and some hardly at all. Cash is paid on delivery.
CREATE TEMP TABLE plan_debt ON COMMIT DROP AS
WITH delivered AS (
    SELECT o.n, o.account, o.retailer, o.vendor, o.is_cash, o.placed_at, o.delivered_at, m.total,
        pg_temp.day(o.delivered_at) + CASE WHEN o.is_cash THEN 0 ELSE a.terms END AS due_date,
        row_number() OVER (PARTITION BY o.account, o.is_cash ORDER BY o.delivered_at, o.n) AS nth,
        count(*) OVER (PARTITION BY o.account, o.is_cash) AS debts
    FROM plan_order o JOIN plan_amount m ON m.n = o.n JOIN plan_account a ON a.id = o.account
    WHERE o.status IN ('DELIVERED', 'COMPLETED')
), ranked AS (
    SELECT d.*, w.loaded_at, debts - nth + 1 - floor(debts * least(1, w.owing
            * ((1 - w.owing) * 3 * pg_temp.chance('pays', d.account) ^ 2 + w.owing)) + pg_temp.chance('owes', d.account)) AS settled
    FROM delivered d CROSS JOIN plan_world w
)
SELECT n, account, retailer, vendor, is_cash, placed_at, delivered_at, total, due_date, loaded_at,
    CASE WHEN is_cash OR settled > 0 THEN total
        WHEN settled = 0 AND total > 10 AND pg_temp.chance('in part', n) < 0.3 THEN round(total * 0.4, 2)
        ELSE 0 END AS paid,
    CASE WHEN is_cash THEN -n ELSE (nth - 1) / (1 + floor(3 * pg_temp.chance('orders a payment', account))::bigint) END AS payment_group
FROM ranked;
ANALYZE plan_debt;

-- A payment settles up to three orders of its account. One in a hundred leaves an advance.
CREATE TEMP TABLE plan_payment ON COMMIT DROP AS
SELECT row_number() OVER (ORDER BY at, account, payment_group) AS id, p.*, allocated + advance AS amount,
    'PROCESSED' AS state, NULL::timestamptz AS reversed_at
FROM (
    SELECT account, retailer, vendor, payment_group, is_cash, sum(paid) AS allocated,
        max(delivered_at) + CASE WHEN is_cash THEN interval '5 minutes'
            ELSE least(interval '30 days' * pg_temp.chance('pays after', min(n)), (max(loaded_at) - max(delivered_at)) * 0.9) END AS at,
        CASE WHEN NOT is_cash AND pg_temp.chance('advance', min(n)) < 0.01 THEN 100 ELSE 0 END AS advance
    FROM plan_debt WHERE paid > 0 GROUP BY account, retailer, vendor, payment_group, is_cash
) p;

-- Beside them cheques that bounced, transfers that failed and cheques not cleared yet: nothing is allocated.
INSERT INTO plan_payment (id, account, retailer, vendor, is_cash, allocated, at, amount, state, reversed_at)
SELECT w.payments + row_number() OVER (ORDER BY id), account, retailer, vendor, false, 0, at, amount,
    CASE WHEN drawn < 0.005 THEN 'REVERSED' WHEN drawn < 0.009 THEN 'FAILED' ELSE 'PENDING' END,
    CASE WHEN drawn < 0.005 THEN at + (loaded_at - at) * 0.1 END
FROM (SELECT count(*) AS payments FROM plan_payment) w
CROSS JOIN (SELECT p.*, pg_temp.chance('beside', p.id) AS drawn FROM plan_payment p WHERE NOT is_cash) p
CROSS JOIN plan_world
WHERE drawn < 0.01;
ANALYZE plan_payment;
