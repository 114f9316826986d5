-- A shop buys from up to five vendors; the first gets nearly half of its orders, and some vendors are big.
CREATE TEMP TABLE plan_slot ON COMMIT DROP AS
SELECT r.n AS retailer, slot, h.vendor
FROM plan_world w
CROSS JOIN (SELECT count(*) AS sellers FROM plan_shelf) s
CROSS JOIN LATERAL generate_series(1, w.retailers) r (n)
CROSS JOIN LATERAL generate_series(1, 5) slot
JOIN plan_shelf h ON h.seller = 1 + floor(s.sellers * pg_temp.chance('vendor', r.n * 8 + slot) ^ 1.5)::integer;

CREATE TEMP TABLE plan_account ON COMMIT DROP AS
SELECT row_number() OVER (ORDER BY retailer, min(slot)) AS id, retailer, vendor,
    (ARRAY[15, 30, 30, 30, 45])[1 + floor(5 * pg_temp.chance('terms', retailer::bigint * 1000000 + vendor))::integer] AS terms
FROM plan_slot GROUP BY retailer, vendor;
ANALYZE plan_account;
ALTER TABLE plan_slot ADD account bigint;
UPDATE plan_slot s SET account = a.id FROM plan_account a WHERE (a.retailer, a.vendor) = (s.retailer, s.vendor);
ANALYZE plan_slot;

-- Orders 1 to N in the order of time. The newest hundredth was placed within three days and is under way,
-- the newest of all still unanswered; three in a hundred are delivered but not completed; 4 % are cancelled.
CREATE TEMP TABLE plan_order ON COMMIT DROP AS
WITH drawn AS (
    SELECT n, w.orders - n AS back, w.*, pg_temp.chance('shop', n) AS shop, pg_temp.chance('basket', n) AS basket,
        width_bucket(pg_temp.chance('slot', n), ARRAY[0, 0.45, 0.7, 0.85, 0.95]) AS slot,
        n > 1 + w.orders * 0.0012 AND pg_temp.chance('cancelled', n) < 0.04 AS may_cancel
    FROM plan_world w CROSS JOIN LATERAL generate_series(1, w.orders) n
    OFFSET 0
), placed AS (
    SELECT d.*, 1 + least(d.retailers - 1, floor(d.retailers * pg_temp.household_rank(d.shop)))::integer AS retailer,
        pg_temp.basket_lines(d.basket)::integer AS wanted,
        CASE WHEN back < under_way THEN loaded_at - interval '2 minutes'
                - (back + pg_temp.chance('moment', n)) / under_way * interval '3 days'
            ELSE loaded_at - interval '3 days'
                - (back - under_way + pg_temp.chance('moment', n)) / greatest(1, orders - under_way) * (loaded_at - interval '3 days' - opened_at)
        END AS placed_at
    FROM drawn d
)
SELECT p.n, p.retailer, s.account, s.vendor, least(p.wanted, h.places)::integer AS lines, h.places, p.placed_at,
    CASE WHEN back < 1 + orders * 0.0003 THEN 'PLACED' WHEN back < 2 + orders * 0.0012 THEN 'PENDING'
        WHEN may_cancel THEN 'CANCELLED' WHEN back < 3 + orders * 0.003 THEN 'ACCEPTED'
        WHEN back < 4 + orders * 0.005 THEN 'PACKING' WHEN back < 5 + orders * 0.007 THEN 'DISPATCHED'
        WHEN back < under_way THEN 'OUT_FOR_DELIVERY' WHEN back < 7 + orders * 0.03 THEN 'DELIVERED'
        ELSE 'COMPLETED' END AS status,
    pg_temp.chance('cash', p.n) < 0.2 AS is_cash,
    placed_at + (1 + pg_temp.chance('routed', p.n)) * interval '30 seconds' AS routed_at,
    placed_at + (3 + 100 * pg_temp.chance('accepted', p.n)) * interval '1 minute' AS accepted_at,
    placed_at + (2 + 5 * pg_temp.chance('packed', p.n)) * interval '1 hour' AS packed_at,
    placed_at + (8 + 5 * pg_temp.chance('dispatched', p.n)) * interval '1 hour' AS dispatched_at,
    placed_at + (14 + 3 * pg_temp.chance('out', p.n)) * interval '1 hour' AS out_at,
    placed_at + (18 + 7 * pg_temp.chance('delivered', p.n)) * interval '1 hour' AS delivered_at,
    placed_at + (26 + 40 * pg_temp.chance('completed', p.n)) * interval '1 hour' AS completed_at,
    placed_at + (110 + 8 * pg_temp.chance('withdrawn', p.n)) * interval '1 minute' AS cancelled_at
FROM placed p
JOIN plan_slot s ON s.retailer = p.retailer AND s.slot = p.slot
JOIN plan_shelf h ON h.vendor = s.vendor
ORDER BY p.n;
ANALYZE plan_order;
