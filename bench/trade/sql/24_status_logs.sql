-- Every step that was taken before the story ended; NULL is the system.
INSERT INTO order_status_logs (order_id, sequence, from_status, to_status, actor_id, reason, created_at)
SELECT order_id, row_number() OVER steps, lag(to_status) OVER steps, to_status, actor_id, reason, at
FROM (
    SELECT o.id AS order_id, s.*
    FROM plan_order o
    JOIN vendors v ON v.id = o.vendor_id
    JOIN orders made ON made.id = o.id
    CROSS JOIN LATERAL (VALUES
        (1, 'PLACED', o.placed_at, made.placed_by_id, ''),
        (2, 'PENDING', o.routed_at, NULL, ''),
        (3, 'ACCEPTED', o.accepted_at, v.user_id, ''),
        (4, 'PACKING', o.packed_at, v.user_id, ''),
        (5, 'DISPATCHED', o.dispatched_at, v.user_id, ''),
        (6, 'OUT_FOR_DELIVERY', o.out_for_delivery_at, v.user_id, ''),
        (7, 'DELIVERED', o.delivered_at, v.user_id, ''),
        (8, 'COMPLETED', o.completed_at, CASE WHEN pg_temp.chance('completer', o.draw) < 0.5 THEN o.user_id END, ''),
        (9, 'CANCELLED', made.cancelled_at, CASE WHEN o.cancels < 0.045 THEN o.user_id ELSE v.user_id END,
            made.cancel_reason)
    ) AS s (step, to_status, at, actor_id, reason)
    WHERE s.at <= o.told_at
) taken WINDOW steps AS (PARTITION BY order_id ORDER BY step);
