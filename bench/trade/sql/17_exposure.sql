-- What each shop owed and had promised, in all and to each vendor, after every movement. A delivery turns
-- promise into debt and moves nothing; cash on delivery is paid as it is owed.
CREATE TEMP TABLE plan_exposure ON COMMIT DROP AS
WITH movement AS (
    SELECT o.retailer_id, o.vendor_id, o.placed_at AS at, m.total AS amount, o.id AS order_id
    FROM plan_order o JOIN plan_amount m ON m.order_id = o.id
    WHERE NOT EXISTS (SELECT FROM plan_cash c WHERE c.order_id = o.id)
    UNION ALL
    SELECT o.retailer_id, o.vendor_id, o.cancelled_at, -m.total, NULL
    FROM plan_order o JOIN plan_amount m ON m.order_id = o.id
    WHERE o.status = 'CANCELLED' AND NOT EXISTS (SELECT FROM plan_cash c WHERE c.order_id = o.id)
    UNION ALL
    SELECT retailer_id, vendor_id, at, -amount, NULL FROM plan_payment WHERE NOT on_delivery
    UNION ALL
    SELECT retailer_id, vendor_id, reversed_at, amount, NULL FROM plan_payment WHERE reversed_at IS NOT NULL
)
SELECT order_id, retailer_id, vendor_id,
    sum(amount) OVER (PARTITION BY retailer_id ORDER BY at, order_id) AS platform_exposure,
    sum(amount) OVER (PARTITION BY retailer_id, vendor_id ORDER BY at, order_id) AS account_exposure
FROM movement;
ANALYZE plan_exposure;
