-- A shop buys from five wholesalers, the near ones first; the first two get most of its orders.
CREATE TEMP TABLE plan_habit ON COMMIT DROP AS
SELECT retailer_id, array_agg(vendor_id ORDER BY position) AS vendor_ids
FROM (
    SELECT s.retailer_id, v.vendor_id,
        row_number() OVER (PARTITION BY s.retailer_id ORDER BY nearness DESC, v.n) AS position
    FROM plan_shop s
    CROSS JOIN plan_vendor v
    CROSS JOIN LATERAL (SELECT (v.municipality = s.municipality)::int * 0.5 + (v.district = s.district)::int * 0.5
        + (v.province = s.province)::int * 0.3 + 0.6 * pg_temp.chance('big vendor', v.n)
        + pg_temp.chance('habit', s.n::bigint * 100000 + v.n) AS nearness) n
    WHERE EXISTS (SELECT FROM vendor_products o WHERE o.vendor_id = v.vendor_id)
) near WHERE position <= 5 GROUP BY retailer_id;
ANALYZE plan_habit;

-- A wholesaler's shelf, the goods most asked for first. `bounds` are cumulated shares: width_bucket()
-- of a chance in them is the place of the good drawn.
CREATE TEMP TABLE plan_shelf ON COMMIT DROP AS
SELECT vendor_id, array_agg(offer_id ORDER BY place) AS offer_ids, array_agg(bound ORDER BY place) AS bounds
FROM (
    SELECT vendor_id, offer_id, place,
        (sum(weight) OVER shelf - weight) / sum(weight) OVER (PARTITION BY vendor_id) AS bound
    FROM (
        SELECT o.vendor_id, o.id AS offer_id, place, (place + 2)::double precision ^ -0.9 AS weight
        FROM (
            SELECT o.id, o.vendor_id, row_number() OVER (PARTITION BY o.vendor_id
                ORDER BY pg_temp.chance('popular', i.n) DESC, i.n) AS place
            FROM vendor_products o
            JOIN plan_vendor v ON v.vendor_id = o.vendor_id
            JOIN products p ON p.id = o.product_id
            JOIN import_product i ON i.sku = p.sku
        ) o
    ) weighted WINDOW shelf AS (PARTITION BY vendor_id ORDER BY place)
) bounded GROUP BY vendor_id;
ANALYZE plan_shelf;
