-- Wholesalers with what their orders say of them, shops with what they owe.
INSERT INTO vendors (id, user_id, code, business_name, business_name_ne, pan_number, address, municipality, district, province, is_approved,
    approved_at, rating, orders_offered, orders_accepted, orders_delivered, orders_cancelled, fulfilment_hours,
    statistics_at, created_at, deleted_at)
SELECT v.n, v.user_id, v.code,
    split_part(u.name, ' ', 2) || ' ' || i.municipality_word || ' ' || trade_back[1 + v.n % trades],
    '', (600000000 + v.n)::text, '', i.municipality, i.district, i.province, approved, CASE WHEN approved THEN w.opened_at END,
    CASE WHEN s.offered > 0 THEN least(5, round((5 * (0.4 * s.accepted / s.offered + 0.4 * s.delivered / greatest(s.accepted, 1)
        + 0.2 * pg_temp.chance('rating', v.n)))::numeric, 2)) ELSE 0 END,
    coalesce(s.offered, 0), coalesce(s.accepted, 0), coalesce(s.delivered, 0), 0, s.hours, w.loaded_at, w.opened_at,
    CASE WHEN pg_temp.chance('closed', v.n) < 0.01 THEN w.loaded_at - interval '1 day' END
FROM plan_world w
CROSS JOIN plan_words
CROSS JOIN plan_vendor v
JOIN users u ON u.id = v.user_id
JOIN (SELECT *, split_part(municipality, ' ', 1) AS municipality_word FROM import_vendor) i ON i.n = 1 + v.n % trades
CROSS JOIN LATERAL (SELECT pg_temp.chance('approved', v.n) < 0.95 AS approved) a
LEFT JOIN (
    SELECT vendor, count(*)::float8 AS offered, count(*) FILTER (WHERE steps >= 3)::float8 AS accepted,
        count(*) FILTER (WHERE steps >= 7)::float8 AS delivered,
        round((avg(extract(epoch FROM delivered_at - accepted_at)) FILTER (WHERE steps >= 7) / 3600)::numeric, 2) AS hours
    FROM plan_order CROSS JOIN LATERAL (SELECT pg_temp.steps(status, n) AS steps) s GROUP BY vendor
) s ON s.vendor = v.n
ORDER BY v.n;

INSERT INTO retailers (id, user_id, code, shop_name, shop_name_ne, pan_number, address, municipality, district, province, is_approved, approved_at,
    credit_limit, outstanding_debt, reserved_credit, credit_score, created_at, deleted_at)
SELECT r, 10 + w.vendors + r, 'RTL-' || lpad(r::text, 6, '0'),
    shop_front[1 + floor(shops * pg_temp.chance('shop front', r))::integer] || ' '
        || shop_back[1 + floor(shops * pg_temp.chance('shop back', r))::integer],
    '', '', '', i.municipality, i.district, i.province, approved, CASE WHEN approved THEN w.opened_at END, coalesce(l.amount, 50000),
    coalesce(a.balance, 0), coalesce(a.reserved, 0), pg_temp.score(r), w.opened_at,
    CASE WHEN l.retailer IS NULL AND pg_temp.chance('shut', r) < 0.1 THEN w.loaded_at - interval '1 day' END
FROM plan_world w
CROSS JOIN plan_words
CROSS JOIN LATERAL generate_series(1, w.retailers) r
JOIN import_retailer i ON i.n = 1 + r % shops
LEFT JOIN plan_limit l ON l.retailer = r
LEFT JOIN (SELECT retailer_id, sum(balance) AS balance, sum(reserved) AS reserved FROM credit_accounts GROUP BY retailer_id) a
    ON a.retailer_id = r
CROSS JOIN LATERAL (SELECT l.retailer IS NOT NULL OR pg_temp.chance('shop approved', r) < 0.5 AS approved) s
ORDER BY r;
