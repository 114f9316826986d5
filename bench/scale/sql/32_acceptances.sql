-- One order in ten was refused, or not answered in time, by another vendor first.
INSERT INTO vendor_order_acceptances (order_id, vendor_id, status, deadline, score, candidates, reason, answered_at,
    answered_by_id, created_at)
SELECT o.n, a.vendor, a.status, a.asked_at + a.allowed, round((50 + 50 * pg_temp.chance('score', o.n))::numeric, 2), '[]',
    a.reason, a.answered_at, CASE WHEN a.status IN ('ACCEPTED', 'REJECTED') THEN 10 + a.vendor END, a.asked_at
FROM plan_order o
CROSS JOIN plan_world w
CROSS JOIN LATERAL (
    SELECT 1 AS turn, 1 + o.vendor % w.vendors AS vendor,
        CASE o.n % 2 WHEN 0 THEN 'REJECTED' ELSE 'EXPIRED' END AS status, o.routed_at AS asked_at, interval '1 minute' AS allowed,
        CASE o.n % 2 WHEN 0 THEN 'Not enough of it left' ELSE '' END AS reason, o.routed_at + interval '1 minute' AS answered_at
    WHERE o.n % 10 = 0 AND w.vendors > 1
    UNION ALL
    SELECT 2, o.vendor, CASE WHEN o.status = 'PENDING' THEN 'PENDING' WHEN pg_temp.steps(o.status, o.n) = 2 THEN 'WITHDRAWN'
            ELSE 'ACCEPTED' END, o.routed_at + interval '1 minute', interval '8 hours', '',
        CASE WHEN o.status = 'PENDING' THEN NULL WHEN pg_temp.steps(o.status, o.n) = 2 THEN o.cancelled_at ELSE o.accepted_at END
) a
WHERE o.status <> 'PLACED'
ORDER BY o.n, a.turn;
