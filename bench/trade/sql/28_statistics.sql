-- What a vendor's orders say of it, by the same formula as the job that does this after every order:
-- 40 % acceptance, 40 % delivery, 20 % non-cancellation.
UPDATE vendors v SET orders_offered = s.offered, orders_accepted = least(s.accepted, s.offered),
    orders_delivered = s.delivered, orders_cancelled = s.cancelled, fulfilment_hours = s.hours,
    statistics_at = s.loaded_at,
    rating = CASE WHEN s.offered > 0 AND s.accepted > 0 THEN round(5 * (0.4 * least(s.accepted::numeric / s.offered, 1)
        + 0.4 * s.delivered / s.accepted + 0.2 * (1 - s.cancelled::numeric / s.accepted)), 2) ELSE 0 END
FROM (
    SELECT w.loaded_at, o.vendor_id, coalesce(q.offered, 0) AS offered, count(o.accepted_at) AS accepted,
        count(o.delivered_at) AS delivered,
        count(*) FILTER (WHERE o.accepted_at IS NOT NULL AND o.cancelled_at IS NOT NULL) AS cancelled,
        round((avg(extract(epoch FROM o.delivered_at - o.accepted_at)) / 3600)::numeric, 2) AS hours
    FROM plan_world w
    CROSS JOIN orders o
    LEFT JOIN (SELECT vendor_id, count(*) AS offered FROM vendor_order_acceptances
        WHERE status IN ('ACCEPTED', 'REJECTED', 'EXPIRED') GROUP BY vendor_id) q ON q.vendor_id = o.vendor_id
    GROUP BY w.loaded_at, o.vendor_id, q.offered
) s WHERE v.id = s.vendor_id;
