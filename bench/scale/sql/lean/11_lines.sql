-- A lean trade has no lines: an order's amount is drawn, 100 to 4,000 rupees a line, all of it taxed.
CREATE UNLOGGED TABLE scale.plan_amount AS
SELECT n, subtotal, tax, subtotal + tax AS total
FROM (
    SELECT n, round((lines * (100 + 3900 * scale.chance('amount', n) ^ 2))::numeric, 2)::numeric(14,2) AS subtotal FROM plan_order
    OFFSET 0
) a
CROSS JOIN LATERAL (SELECT round(a.subtotal * 13 / 100, 2)::numeric(14,2) AS tax) t;
ANALYZE plan_amount;
