-- A pair's terms: 30 days mostly; vendors give bad payers 15.
CREATE TEMP TABLE plan_account ON COMMIT DROP AS
SELECT nextval(pg_get_serial_sequence('credit_accounts', 'id')) AS id, p.*,
    CASE WHEN payer = 'bad' OR drawn < 0.2 THEN 15 WHEN drawn < 0.8 THEN 30 ELSE 45 END AS terms
FROM (
    SELECT retailer_id, vendor_id, shop, pair, payer, min(placed_at) AS opened_at,
        pg_temp.chance('days', pair) AS drawn
    FROM plan_order GROUP BY retailer_id, vendor_id, shop, pair, payer ORDER BY min(placed_at)
) p;
ANALYZE plan_account;

-- When a shop means to pay a delivered order: some days around the due date, by its kind; one in five
-- in two parts. Bad payers stop paying at some time in the past.
CREATE TEMP TABLE plan_intent ON COMMIT DROP AS
WITH due AS (
    SELECT o.id AS order_id, o.draw, o.shop, o.pair, a.id AS account_id, o.retailer_id, o.delivered_at, o.payer, m.total, w.loaded_at,
        pg_temp.kathmandu_day(o.delivered_at) + CASE WHEN o.wants_credit THEN a.terms ELSE 0 END AS due_date
    FROM plan_order o
    JOIN plan_account a USING (retailer_id, vendor_id)
    JOIN plan_amount m ON m.order_id = o.id
    CROSS JOIN plan_world w
    WHERE o.is_invoiced AND o.wants_credit
), meant AS (
    SELECT d.*,
        CASE WHEN payer = 'bad' AND delivered_at > loaded_at
            - (28 + 32 * pg_temp.chance('stops', shop)) * interval '1 day' THEN 'infinity'
        ELSE greatest(delivered_at + interval '1 hour', ((due_date + days)::timestamp + interval '10 hours'
            + 7 * pg_temp.chance('pays at', pair * 100000 + (due_date + days - date '2020-01-01')) * interval '1 hour')
            AT TIME ZONE 'Asia/Kathmandu') END AS first_at,
        round(total * (0.4 + 0.2 * pg_temp.chance('part', draw))::numeric, -1) AS part
    FROM due d
    CROSS JOIN LATERAL (SELECT floor(CASE payer
        WHEN 'good' THEN 8 * u - 7 WHEN 'fair' THEN 14 * u - 3 WHEN 'slow' THEN 4 + 30 * u ^ 1.5 ELSE 10 + 25 * u
        END)::int AS days FROM (SELECT pg_temp.chance('lag', draw) AS u) drawn) lag
)
SELECT order_id, account_id, retailer_id, draw, delivered_at, due_date, total, first_at,
    CASE WHEN in_parts THEN first_at + (5 + floor(8 * pg_temp.chance('rest', draw))) * interval '1 day'
        ELSE first_at END AS last_at,
    CASE WHEN in_parts THEN part ELSE total END AS first_part
FROM meant
CROSS JOIN LATERAL (SELECT pg_temp.chance('in parts', draw) < 0.2 AND part > 0 AND part < total AS in_parts) p;
ANALYZE plan_intent;
