-- A shop pays an account's oldest due first: no part is paid before all of the earlier orders are. That
-- is a running maximum over what it intends.
CREATE OR REPLACE TEMP VIEW plan_schedule AS
SELECT i.*, greatest(first_at, coalesce(earlier_at, first_at)) AS paid_from,
    greatest(last_at, coalesce(earlier_at, last_at)) AS paid_until
FROM (
    SELECT *, max(last_at) OVER (PARTITION BY account_id ORDER BY due_date, delivered_at, order_id
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS earlier_at
    FROM plan_intent
) i;

-- Credit is refused while a due of the shop is more than 30 days late, and when what it owes and has
-- promised would exceed its limit: such orders are paid in cash. Taking one out of the account only makes
-- the others' payments earlier and the exposure smaller, so one pass is enough.
CREATE TEMP TABLE plan_cash ON COMMIT DROP AS
WITH settlement AS MATERIALIZED (SELECT * FROM plan_schedule), late AS (
    SELECT retailer_id, range_agg(tstzrange(late_at, paid_until)) AS holds
    FROM settlement
    CROSS JOIN LATERAL (SELECT (due_date + 31)::timestamp AT TIME ZONE 'Asia/Kathmandu' AS late_at) l
    WHERE paid_until > late_at GROUP BY retailer_id
), movement AS (
    SELECT o.retailer_id, o.placed_at AS at, m.total AS amount, o.id AS order_id
    FROM plan_order o JOIN plan_amount m ON m.order_id = o.id WHERE o.wants_credit
    UNION ALL
    SELECT o.retailer_id, o.cancelled_at, -m.total, NULL
    FROM plan_order o JOIN plan_amount m ON m.order_id = o.id WHERE o.wants_credit AND o.status = 'CANCELLED'
    UNION ALL
    SELECT retailer_id, paid_from, -first_part, NULL FROM settlement
    UNION ALL
    SELECT retailer_id, paid_until, first_part - total, NULL FROM settlement WHERE first_part < total
), exposed AS (
    SELECT order_id, sum(amount) OVER (PARTITION BY retailer_id ORDER BY at, order_id) AS exposure FROM movement
)
SELECT o.id AS order_id
FROM plan_order o
LEFT JOIN exposed e ON e.order_id = o.id
LEFT JOIN late l ON l.retailer_id = o.retailer_id
WHERE NOT o.wants_credit OR e.exposure > o.credit_limit OR l.holds @> o.placed_at;
ANALYZE plan_cash;

DELETE FROM plan_intent i USING plan_cash c WHERE c.order_id = i.order_id;
