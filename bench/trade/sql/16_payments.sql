-- With the orders that became cash taken out, the schedule is final.
CREATE TEMP TABLE plan_settlement ON COMMIT DROP AS SELECT * FROM plan_schedule;
ANALYZE plan_settlement;

-- Who pays what for which order and when: cash on delivery, and an account's dues that are settled at
-- the same moment in one payment.
CREATE TEMP TABLE plan_piece ON COMMIT DROP AS
SELECT p.*, o.retailer_id, o.vendor_id, o.draw
FROM (
    SELECT order_id, paid_from AS at, sum(amount) AS amount, false AS on_delivery
    FROM (
        SELECT order_id, paid_from, first_part AS amount FROM plan_settlement
        UNION ALL
        SELECT order_id, paid_until, total - first_part FROM plan_settlement WHERE first_part < total
    ) part CROSS JOIN plan_world w WHERE paid_from <= w.loaded_at GROUP BY order_id, paid_from
    UNION ALL
    SELECT o.id, o.delivered_at, m.total, true
    FROM plan_cash c JOIN plan_order o ON o.id = c.order_id JOIN plan_amount m ON m.order_id = o.id
    WHERE o.is_invoiced
) p JOIN plan_order o ON o.id = p.order_id;
ANALYZE plan_piece;

-- Payments that were taken back: a whole order paid by a cheque that bounced, or booked by mistake, while
-- all earlier dues were settled and nothing else was paid.
CREATE TEMP TABLE plan_attempt ON COMMIT DROP AS
SELECT s.order_id, s.draw, s.account_id, s.total AS amount, at, pg_temp.at_work(pg_temp.work_hours(at)
    + 13 * (1 + pg_temp.chance('taken back', s.draw))) AS reversed_at, pg_temp.chance('bounced', s.draw) < 0.7 AS bounced
FROM plan_settlement s
CROSS JOIN plan_world w
CROSS JOIN LATERAL (SELECT greatest(delivered_at, coalesce(earlier_at, delivered_at)) AS free_from,
    least(paid_from, w.loaded_at) AS free_until) f
CROSS JOIN LATERAL (SELECT pg_temp.at_work(pg_temp.work_hours(free_from)
    + 13 * (0.3 + pg_temp.chance('attempted', s.draw))) AS at) a
WHERE free_from <= w.loaded_at AND free_until - free_from > interval '5 days'
    AND pg_temp.chance('attempt', s.draw) < 0.03;

CREATE TEMP TABLE plan_payment ON COMMIT DROP AS
WITH received AS (
    SELECT a.id AS account_id, p.retailer_id, p.vendor_id, p.at, p.on_delivery, sum(p.amount) AS allocated,
        min(p.order_id) AS order_id, min(p.draw) AS draw, NULL::timestamptz AS reversed_at, false AS bounced
    FROM plan_piece p JOIN plan_account a USING (retailer_id, vendor_id)
    GROUP BY a.id, p.retailer_id, p.vendor_id, p.at, p.on_delivery, CASE WHEN p.on_delivery THEN p.order_id END
    UNION ALL
    SELECT t.account_id, a.retailer_id, a.vendor_id, t.at, false, t.amount, t.order_id, t.draw, t.reversed_at, t.bounced
    FROM plan_attempt t JOIN plan_account a ON a.id = t.account_id
), closing AS (
    -- the last payment of an account that owes nothing afterwards: here a round sum leaves an advance
    SELECT a.id AS account_id, p.at
    FROM plan_account a
    JOIN (SELECT account_id, max(at) AS at FROM received GROUP BY account_id) p ON p.account_id = a.id
    JOIN (SELECT retailer_id, vendor_id, max(delivered_at) AS at FROM plan_order WHERE is_invoiced
        GROUP BY retailer_id, vendor_id) d USING (retailer_id, vendor_id)
    WHERE p.at >= d.at AND a.id NOT IN (
        SELECT s.account_id FROM plan_settlement s CROSS JOIN plan_world w WHERE s.paid_until > w.loaded_at)
)
SELECT nextval(pg_get_serial_sequence('payments', 'id')) AS id,
    pg_temp.numbered('PAY', 'payment_number_seq', r.at) AS payment_number, r.*
FROM (
    SELECT r.*, a.shop, r.allocated + CASE WHEN c.account_id IS NOT NULL AND NOT r.on_delivery AND r.reversed_at IS NULL
            AND pg_temp.chance('round sum', a.pair) < 0.25
            THEN ceil(r.allocated / 1000) * 1000 - r.allocated ELSE 0 END AS amount,
        CASE WHEN r.bounced THEN 'CHEQUE'
            WHEN r.on_delivery THEN (ARRAY['CASH', 'MOBILE_MONEY'])[1 + (by_any > 0.75)::int]
            WHEN by_any < 0.6 THEN (ARRAY['CASH', 'BANK_TRANSFER', 'MOBILE_MONEY', 'CHEQUE'])
                [1 + floor(4 * pg_temp.chance('usual method', a.shop))::int]
            ELSE (ARRAY['CASH', 'BANK_TRANSFER', 'MOBILE_MONEY', 'CHEQUE'])
                [1 + floor(4 * pg_temp.chance('method', r.draw))::int] END AS method
    FROM received r
    JOIN plan_account a ON a.id = r.account_id
    LEFT JOIN closing c ON c.account_id = r.account_id AND c.at = r.at
    CROSS JOIN LATERAL (SELECT pg_temp.chance('any method', r.draw) AS by_any) d
    ORDER BY r.at, r.order_id
) r;
ANALYZE plan_payment;
