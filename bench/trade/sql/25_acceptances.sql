-- Some orders without a named vendor were refused by another one first.
INSERT INTO vendor_order_acceptances (order_id, vendor_id, status, deadline, score, candidates, reason,
    answered_at, answered_by_id, created_at)
SELECT o.id, o.spare_vendor_id, 'REJECTED', o.routed_at + interval '2 hours', 62.5, '[]', 'Not enough of it left',
    o.routed_at + (o.accepted_at - o.routed_at) / 2, v.user_id, o.routed_at
FROM plan_order o JOIN orders made ON made.id = o.id JOIN vendors v ON v.id = o.spare_vendor_id
WHERE NOT made.vendor_named AND made.accepted_at IS NOT NULL AND o.spare_vendor_id <> o.vendor_id
    AND pg_temp.chance('refused first', o.draw) < 0.3;

INSERT INTO vendor_order_acceptances (order_id, vendor_id, status, deadline, score, candidates, reason,
    answered_at, answered_by_id, created_at)
SELECT o.id, o.vendor_id,
    CASE WHEN o.accepted_at <= o.told_at THEN 'ACCEPTED' WHEN o.status = 'CANCELLED' THEN 'WITHDRAWN' ELSE 'PENDING' END,
    asked_at + interval '2 hours', round((55 + 40 * pg_temp.chance('score', o.draw))::numeric, 2), '[]',
    CASE WHEN o.accepted_at > o.told_at AND o.status = 'CANCELLED' THEN 'the order was cancelled' ELSE '' END,
    CASE WHEN o.accepted_at <= o.told_at THEN o.accepted_at WHEN o.status = 'CANCELLED' THEN o.cancelled_at END,
    CASE WHEN o.accepted_at <= o.told_at THEN v.user_id END, asked_at
FROM plan_order o
JOIN vendors v ON v.id = o.vendor_id
LEFT JOIN vendor_order_acceptances refused ON refused.order_id = o.id
CROSS JOIN LATERAL (SELECT coalesce(refused.answered_at, o.routed_at) AS asked_at) a
WHERE o.routed_at <= o.told_at
ORDER BY o.id;
