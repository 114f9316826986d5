-- An order just placed waits to be routed.
INSERT INTO jobs (queue, kind, args, reference, dedupe_key, created_at, run_after)
SELECT 'order_routing', 'orders.route', jsonb_build_object('order_id', id), 'order:' || id, 'route:' || id,
    placed_at, placed_at
FROM plan_order WHERE status = 'PLACED' ORDER BY id;
