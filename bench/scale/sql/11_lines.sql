-- Line i of k takes the i-th k-th of the goods' popularity, so that no good comes twice and each comes as often as it
-- is asked for.
INSERT INTO order_items (order_id, offer_id, product_id, product_name, sku, quantity, unit_price, tax_rate,
    line_total, tax_amount)
SELECT d.n, o.id, o.product, p.name, p.sku, q.quantity, o.price, p.tax_rate, q.quantity * o.price,
    round(q.quantity * o.price * p.tax_rate / 100, 2)
FROM (
    SELECT n, vendor, places - lines AS room, i, (i - 1 + pg_temp.chance('good', n * 16 + i)) / lines AS good,
        pg_temp.chance('quantity', n * 16 + i) AS quantity
    FROM plan_order CROSS JOIN LATERAL generate_series(1, lines) i
    OFFSET 0
) d
JOIN plan_offer o ON o.vendor = d.vendor AND o.place = i + floor(d.room * pg_temp.product_rank(d.good))::bigint
JOIN plan_product p ON p.n = o.product
CROSS JOIN LATERAL (SELECT pg_temp.line_quantity(d.quantity)::integer AS quantity) q;
ANALYZE order_items;

CREATE TEMP TABLE plan_amount ON COMMIT DROP AS
SELECT order_id AS n, sum(line_total)::numeric(14,2) AS subtotal, sum(tax_amount)::numeric(14,2) AS tax,
    sum(line_total + tax_amount)::numeric(14,2) AS total
FROM order_items GROUP BY order_id;
ANALYZE plan_amount;
