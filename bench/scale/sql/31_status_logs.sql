-- Every step an order took; NULL is the system.
INSERT INTO order_status_logs (order_id, sequence, from_status, to_status, actor_id, reason, created_at)
SELECT o.n, s.step, s.was, s.became, CASE s.step WHEN 1 THEN 10 + w.vendors + o.retailer WHEN 2 THEN NULL ELSE 10 + o.vendor END,
    '', s.at
FROM plan_order o
CROSS JOIN plan_world w
CROSS JOIN LATERAL (VALUES
    (1, NULL, 'PLACED', o.placed_at), (2, 'PLACED', 'PENDING', o.routed_at), (3, 'PENDING', 'ACCEPTED', o.accepted_at),
    (4, 'ACCEPTED', 'PACKING', o.packed_at), (5, 'PACKING', 'DISPATCHED', o.dispatched_at),
    (6, 'DISPATCHED', 'OUT_FOR_DELIVERY', o.out_at), (7, 'OUT_FOR_DELIVERY', 'DELIVERED', o.delivered_at),
    (8, 'DELIVERED', 'COMPLETED', o.completed_at)) AS s (step, was, became, at)
WHERE s.step <= pg_temp.steps(o.status, o.n);

INSERT INTO order_status_logs (order_id, sequence, from_status, to_status, actor_id, reason, created_at)
SELECT o.n, steps + 1, CASE steps WHEN 2 THEN 'PENDING' ELSE 'ACCEPTED' END, 'CANCELLED', 10 + w.vendors + o.retailer,
    'Ordered twice by mistake', o.cancelled_at
FROM plan_order o CROSS JOIN plan_world w
CROSS JOIN LATERAL (SELECT pg_temp.steps(o.status, o.n) AS steps) s
WHERE o.status = 'CANCELLED';
