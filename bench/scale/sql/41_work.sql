-- A routing job for every second order and for each that is still PLACED; of the others a few wait, run or are dead.
INSERT INTO jobs (queue, kind, args, reference, dedupe_key, state, attempts, fence, run_after, published_at, lease_until,
    last_error, created_at, started_at, finished_at)
SELECT 'order_routing', 'orders.route', jsonb_build_object('order_id', o.n), 'order:' || o.n, 'route:' || o.n, s.state,
    CASE s.state WHEN 'queued' THEN 0 WHEN 'dead' THEN 3 ELSE 1 END, CASE s.state WHEN 'queued' THEN 0 ELSE 1 END,
    o.placed_at, o.placed_at, CASE s.state WHEN 'running' THEN w.loaded_at + (o.n % 20 - 10) * interval '1 minute' END,
    CASE s.state WHEN 'dead' THEN 'vendors: nobody sells it' ELSE '' END, o.placed_at,
    CASE WHEN s.state <> 'queued' THEN o.placed_at + interval '1 second' END,
    CASE WHEN s.state IN ('done', 'dead') THEN o.placed_at + interval '2 seconds' END
FROM plan_world w
CROSS JOIN plan_order o
CROSS JOIN LATERAL (SELECT CASE WHEN o.status = 'PLACED' THEN 'queued' WHEN w.orders - o.n > w.orders * 0.003 THEN
    CASE WHEN scale.chance('dead', o.n) < 0.001 THEN 'dead' ELSE 'done' END
    WHEN o.n % 20 < 2 THEN 'running' ELSE 'done' END AS state) s
WHERE o.n % 2 = 0 OR o.status = 'PLACED'
ORDER BY o.n;

INSERT INTO idempotency_keys (user_id, key, fingerprint, status, response, created_at)
SELECT 10 + w.vendors + o.retailer, md5('key' || o.n), md5('body' || o.n), 201, '{"id": ' || o.n || '}', o.placed_at
FROM plan_world w CROSS JOIN plan_order o WHERE o.n % 3 = 0 ORDER BY o.n;

INSERT INTO audit_logs (user_id, action, entity_type, entity_id, old_values, new_values, reason, created_at)
SELECT CASE WHEN o.n % 3 > 0 THEN 1 + o.n % 10 END, e.entity || '.updated', e.entity, e.id, '{}', '{"note": "called"}', '', o.placed_at
FROM plan_order o
CROSS JOIN LATERAL (SELECT (ARRAY['order', 'retailer', 'vendor', 'payment'])[1 + o.n / 2 % 4] AS entity) k
CROSS JOIN LATERAL (SELECT k.entity, CASE k.entity WHEN 'retailer' THEN o.retailer WHEN 'vendor' THEN o.vendor
    ELSE o.n END AS id) e
WHERE o.n % 2 = 0 ORDER BY o.n;

INSERT INTO credit_scores (retailer_id, score, version, inputs, components, is_provisional, reason, created_at)
SELECT r, s.score, 'v1', s.inputs, s.components, s.is_provisional, '', w.loaded_at - (4 - i) * interval '1 day'
FROM plan_world w CROSS JOIN LATERAL generate_series(1, 4) i CROSS JOIN LATERAL generate_series(1, w.retailers) r
JOIN scale.plan_score s ON s.n = floor(101 * scale.chance('score', r))::integer;

INSERT INTO order_refusals (retailer_id, vendor_id, code, message, requested, available, shortfall, details, request, state,
    placed_by_id, decision_reason, created_at)
SELECT o.retailer, o.vendor, 'credit_limit_exceeded', 'The credit limit is reached.', 5000, 1000, 4000, '{}', '{}', s.state,
    10 + w.vendors + o.retailer, CASE s.state WHEN 'OPEN' THEN '' ELSE 'No' END, o.placed_at
FROM plan_world w CROSS JOIN plan_order o
CROSS JOIN LATERAL (SELECT CASE WHEN w.orders - o.n < 100 + w.orders * 0.003 THEN 'OPEN' ELSE 'DECLINED' END AS state) s
WHERE o.n % 50 = 0 ORDER BY o.n;

INSERT INTO alerts (code, severity, entity_type, entity_id, message, details, occurrences, created_at, last_seen_at, resolved_at)
SELECT 'order.unroutable', 'warning', 'order', o.n, 'Nobody can take this order.', '{}', 1, o.placed_at, o.placed_at,
    CASE WHEN w.orders - o.n > 100 THEN o.placed_at + interval '1 hour' END
FROM plan_world w CROSS JOIN plan_order o WHERE o.n % 50 = 0 ORDER BY o.n;
