-- Offers with the packs that undispatched orders hold.
INSERT INTO vendor_products (id, vendor_id, product_id, vendor_price, stock, reserved, is_available, created_at,
    updated_at, deleted_at)
SELECT o.id, o.vendor, o.product, o.price, coalesce(h.quantity, 0) + floor(600 * pg_temp.chance('stock', o.id))::integer,
    coalesce(h.quantity, 0), pg_temp.chance('on sale', o.id) < 0.92, w.opened_at, w.opened_at,
    CASE WHEN pg_temp.chance('delisted', o.id) < 0.03 THEN w.loaded_at - interval '1 day' END
FROM plan_world w
CROSS JOIN plan_offer o
LEFT JOIN (
    SELECT i.offer_id, sum(i.quantity)::integer AS quantity FROM plan_order p JOIN order_items i ON i.order_id = p.n
    WHERE p.status IN ('PLACED', 'PENDING', 'ACCEPTED', 'PACKING') GROUP BY i.offer_id
) h ON h.offer_id = o.id
ORDER BY o.id;
