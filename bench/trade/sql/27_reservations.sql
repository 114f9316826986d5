-- What open orders hold: packs on offers, credit on accounts and shops.
UPDATE vendor_products o SET reserved = h.quantity, stock = greatest(o.stock, h.quantity + o.stock % 40)
FROM (SELECT l.offer_id, sum(l.quantity) AS quantity FROM plan_line l JOIN plan_order p ON p.id = l.order_id
    WHERE p.status IN ('PLACED', 'PENDING', 'ACCEPTED', 'PACKING') GROUP BY l.offer_id) h
WHERE o.id = h.offer_id;

UPDATE credit_accounts a SET reserved = h.total
FROM (SELECT o.retailer_id, o.vendor_id, sum(m.total) AS total FROM plan_order o JOIN plan_amount m ON m.order_id = o.id
    WHERE o.status IN ('PLACED', 'PENDING', 'ACCEPTED', 'PACKING', 'DISPATCHED', 'OUT_FOR_DELIVERY')
        AND NOT EXISTS (SELECT FROM plan_cash c WHERE c.order_id = o.id)
    GROUP BY o.retailer_id, o.vendor_id) h
WHERE a.retailer_id = h.retailer_id AND a.vendor_id = h.vendor_id;

UPDATE retailers r SET reserved_credit = a.reserved
FROM (SELECT retailer_id, sum(reserved) AS reserved FROM credit_accounts GROUP BY retailer_id) a
WHERE r.id = a.retailer_id AND a.reserved > 0;
