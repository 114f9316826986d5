-- A wholesaler sells half of the goods of its specialities, around the usual price (8 % more or less), in steps
-- that people use: 5 rupees from 500, half a rupee from 50, else a quarter. Popular goods are on most shelves.
INSERT INTO vendor_products (vendor_id, product_id, vendor_price, stock, is_available, created_at, updated_at)
SELECT v.vendor_id, p.id, greatest(step, round(i.price * (0.92 + 0.16 * pg_temp.chance('price', pair)::numeric) / step) * step),
    floor(601 * pg_temp.chance('stock', pair)), pg_temp.chance('available', pair) < 0.97, v.approved_at, v.approved_at
FROM plan_vendor v
JOIN import_product i ON lower(i.category) = ANY (v.specialities)
JOIN products p ON p.sku = i.sku
CROSS JOIN LATERAL (SELECT v.n::bigint * 1000000 + i.n AS pair,
    CASE WHEN i.price >= 500 THEN 5 WHEN i.price >= 50 THEN 0.5 ELSE 0.25 END AS step) price
WHERE pg_temp.chance('on shelf', pair) < 0.3 + 0.45 * pg_temp.chance('popular', i.n)
ORDER BY v.vendor_id, p.id;
