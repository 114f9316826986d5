-- One to eight goods of the vendor's shelf, drawn by popularity (drawn twice is taken once), in the
-- number of packs that makes a plausible amount.
CREATE TEMP TABLE plan_line ON COMMIT DROP AS
SELECT t.order_id, o.id AS offer_id, o.product_id, p.name, p.sku, p.tax_rate, t.quantity,
    o.vendor_price AS unit_price, t.quantity * o.vendor_price AS line_total,
    round(t.quantity * o.vendor_price * p.tax_rate / 100, 2) AS tax_amount
FROM (
    SELECT DISTINCT ON (o.id, offer_id) o.id AS order_id, offer_id, o.order_value, o.draw * 16 + i AS draw
    FROM plan_order o
    JOIN plan_shelf s ON s.vendor_id = o.vendor_id
    CROSS JOIN LATERAL generate_series(1, 1 + floor(8 * pg_temp.chance('lines', o.draw) ^ 1.6)::int) i
    CROSS JOIN LATERAL (SELECT s.offer_ids[width_bucket(pg_temp.chance('good', o.draw * 16 + i), s.bounds)] AS offer_id) g
    ORDER BY o.id, offer_id, i
) d
JOIN vendor_products o ON o.id = d.offer_id
JOIN products p ON p.id = o.product_id
CROSS JOIN LATERAL (SELECT d.order_id, least(greatest(
    round((d.order_value * (0.1 + 0.4 * pg_temp.chance('amount', d.draw)) / o.vendor_price::float))::int,
    p.min_quantity), p.max_quantity) AS quantity) t;
ANALYZE plan_line;

CREATE TEMP TABLE plan_amount ON COMMIT DROP AS
SELECT order_id, sum(line_total)::numeric(14,2) AS subtotal, sum(tax_amount)::numeric(14,2) AS tax_amount,
    sum(line_total + tax_amount)::numeric(14,2) AS total
FROM plan_line GROUP BY order_id;
ANALYZE plan_amount;
