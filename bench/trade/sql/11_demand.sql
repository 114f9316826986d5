-- When an order is placed, by whom, from whom: growing from three to five quarters of the mean, quiet on
-- Saturdays, mornings busier; and some orders of the last hour and a half, so that every state is there
-- whenever the trade is loaded: of four of these the vendor has done so many steps already (`done`:
-- accepted, packed, dispatched, out for delivery), the others wait for an answer.
CREATE TEMP TABLE plan_demand ON COMMIT DROP AS
WITH day AS (
    SELECT d.day::date AS day, pg_temp.kathmandu_day(w.loaded_at) AS today,
        w.orders_per_day * (1.25 - 0.5 * (pg_temp.kathmandu_day(w.loaded_at) - d.day::date)::float / w.days)
        * CASE WHEN extract(isodow FROM d.day) = 6 THEN 0.3 ELSE 1.117 END AS mean
    FROM plan_world w
    CROSS JOIN generate_series(w.opened_at, w.loaded_at, interval '1 day') AS t (at)
    CROSS JOIN LATERAL (SELECT pg_temp.kathmandu_day(t.at) AS day) d
), drawn AS (
    SELECT draw, pg_temp.at_work(13 * ((day - date '2020-01-01') + pg_temp.chance('hour', draw) ^ 1.4))
        + pg_temp.chance('second', draw) * interval '1 second' AS placed_at, false AS is_fresh, 0 AS done
    FROM day
    CROSS JOIN LATERAL generate_series(1, round(mean * (0.85 + 0.3 * pg_temp.chance('day', day - date '2020-01-01')))::int) i
    CROSS JOIN LATERAL (SELECT (day - date '2020-01-01')::bigint * 10000000 + i AS draw) k
    UNION ALL
    SELECT -i, w.loaded_at - (CASE WHEN i <= 3 THEN 8 * i WHEN i <= 7 THEN 1800 + i
            ELSE 90 + 5300 * pg_temp.chance('fresh', i) END) * interval '1 second', true,
        CASE WHEN i BETWEEN 4 AND 7 THEN i - 3 ELSE 0 END
    FROM plan_world w CROSS JOIN LATERAL generate_series(1, greatest(10, w.orders_per_day / 5)) i
), trading AS (
    SELECT array_agg(retailer_id ORDER BY busy) AS retailer_ids, array_agg(bound ORDER BY busy) AS bounds
    FROM (
        SELECT retailer_id, busy, (sum(demand) OVER (ORDER BY busy) - demand) / sum(demand) OVER () AS bound
        FROM (SELECT *, row_number() OVER (ORDER BY demand DESC, n) AS busy FROM plan_shop WHERE NOT is_new) s
    ) bounded
)
SELECT d.draw, d.placed_at, d.is_fresh, d.done, s.n AS shop, s.retailer_id, s.user_id, s.payer, s.order_value, s.credit_limit,
    v.vendor_id, s.n::bigint * 100000 + v.n AS pair, h.vendor_ids[cardinality(h.vendor_ids)] AS spare_vendor_id
FROM drawn d
CROSS JOIN plan_world w
CROSS JOIN trading t
CROSS JOIN LATERAL (SELECT t.retailer_ids[width_bucket(pg_temp.chance('shop', d.draw), t.bounds)] AS retailer_id) drawn_shop
JOIN plan_shop s ON s.retailer_id = drawn_shop.retailer_id
JOIN plan_habit h ON h.retailer_id = s.retailer_id
JOIN plan_vendor v ON v.vendor_id = h.vendor_ids[least(cardinality(h.vendor_ids),
    width_bucket(pg_temp.chance('vendor', d.draw), ARRAY[0, 0.45, 0.7, 0.85, 0.95]))]
WHERE (d.is_fresh OR d.placed_at BETWEEN w.opened_at AND w.loaded_at - interval '2 hours')
    AND NOT (s.is_blocked AND d.placed_at > w.loaded_at - interval '12 days');
ANALYZE plan_demand;
