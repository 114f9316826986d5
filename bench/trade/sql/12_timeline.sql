-- What happens to each order and when, as if it had all the time in the world; what lies after
-- `loaded_at` has not happened yet. Fresh orders wait for what comes after the steps that are done.
CREATE TEMP TABLE plan_order ON COMMIT DROP AS
WITH answered AS (
    SELECT d.*, d.placed_at + (25 + 60 * pg_temp.chance('routed', d.draw)) * interval '1 second' AS routed_at
    FROM plan_demand d
), accepted AS (
    SELECT a.*, CASE WHEN done >= 1 THEN w.loaded_at - interval '20 minutes' WHEN is_fresh THEN 'infinity'
        ELSE routed_at + (3 + 105 * pg_temp.chance('accepted', draw) ^ 2.5) * interval '1 minute' END AS accepted_at
    FROM answered a CROSS JOIN plan_world w
), worked AS (
    SELECT a.*, packing, packing + 1 + 7 * pg_temp.chance('dispatched', draw) AS dispatched
    FROM accepted a
    CROSS JOIN LATERAL (SELECT CASE WHEN is_fresh THEN NULL
        ELSE pg_temp.work_hours(accepted_at) + 0.5 + 4.5 * pg_temp.chance('packing', draw) END AS packing) p
), driven AS (
    SELECT w.*, dispatched + 0.2 + 3.8 * pg_temp.chance('out', draw) AS out,
        dispatched + 4.1 + 8 * pg_temp.chance('delivered', draw) ^ 1.5 AS delivered
    FROM worked w
), timed AS (
    SELECT d.*, CASE WHEN done >= 2 THEN w.loaded_at - interval '15 minutes'
            ELSE coalesce(pg_temp.at_work(packing), 'infinity') END AS packed_at,
        CASE WHEN done >= 3 THEN w.loaded_at - interval '10 minutes'
            ELSE coalesce(pg_temp.at_work(dispatched), 'infinity') END AS dispatched_at,
        CASE WHEN done >= 4 THEN w.loaded_at - interval '5 minutes'
            ELSE coalesce(pg_temp.at_work(out), 'infinity') END AS out_for_delivery_at,
        coalesce(pg_temp.at_work(delivered), 'infinity') AS delivered_at,
        coalesce(pg_temp.at_work(delivered + 1 + 37 * pg_temp.chance('completed', draw) ^ 1.5), 'infinity') AS completed_at,
        CASE WHEN is_fresh THEN 1 ELSE pg_temp.chance('cancelled', draw) END AS cancels
    FROM driven d CROSS JOIN plan_world w
), ended AS (
    -- 6 of 100 are cancelled: before an answer, after it, while packing or on the road
    SELECT t.*, CASE
        WHEN cancels < 0.020 THEN routed_at + (accepted_at - routed_at) * half
        WHEN cancels < 0.045 THEN accepted_at + (packed_at - accepted_at) * half
        WHEN cancels < 0.057 THEN packed_at + (dispatched_at - packed_at) * half
        WHEN cancels < 0.060 THEN dispatched_at + (out_for_delivery_at - dispatched_at) * half
        ELSE 'infinity' END AS cancelled_at
    FROM timed t CROSS JOIN LATERAL (SELECT 0.1 + 0.8 * pg_temp.chance('half', draw) AS half) h
), known AS (
    SELECT e.*, w.loaded_at,
        CASE WHEN cancelled_at <= loaded_at THEN 'CANCELLED'
            WHEN routed_at > loaded_at THEN 'PLACED'
            WHEN accepted_at > loaded_at THEN 'PENDING'
            WHEN packed_at > loaded_at THEN 'ACCEPTED'
            WHEN dispatched_at > loaded_at THEN 'PACKING'
            WHEN out_for_delivery_at > loaded_at THEN 'DISPATCHED'
            WHEN delivered_at > loaded_at THEN 'OUT_FOR_DELIVERY'
            WHEN completed_at > loaded_at THEN 'DELIVERED'
            ELSE 'COMPLETED' END AS status
    FROM ended e CROSS JOIN plan_world w ORDER BY placed_at, draw
)
SELECT nextval(pg_get_serial_sequence('orders', 'id')) AS id,
    pg_temp.numbered('ORD', 'order_number_seq', placed_at) AS order_number,
    draw, shop, pair, retailer_id, user_id, vendor_id, spare_vendor_id, payer, order_value, credit_limit, is_fresh, status, cancels,
    placed_at, routed_at, accepted_at, packed_at, dispatched_at, out_for_delivery_at, delivered_at, completed_at,
    cancelled_at,
    -- what ended the story: nothing after it happened
    least(loaded_at, cancelled_at) AS told_at,
    status IN ('DELIVERED', 'COMPLETED') AS is_invoiced,
    pg_temp.chance('terms', draw) < 0.8 AS wants_credit
FROM known;
ANALYZE plan_order;
