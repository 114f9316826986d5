-- Staff are users 1 to 10, then the owners of wholesalers, then those of shops. Nobody has a password: whoever
-- measures issues a token, whoever tests logs in by force. Names and places are the demo's, shuffled.
CREATE TEMP TABLE plan_words ON COMMIT DROP AS
SELECT array_agg(split_part(owner_name, ' ', 1) ORDER BY n) AS given,
    array_agg(substring(owner_name FROM '\S+$') ORDER BY n) AS family,
    array_agg(array_to_string((string_to_array(shop_name, ' '))[1:2], ' ') ORDER BY n) AS shop_front,
    array_agg(substring(shop_name FROM '\S+ \S+$') ORDER BY n) AS shop_back,
    (SELECT array_agg(substring(business_name FROM '\S+$') ORDER BY n) FROM import_vendor) AS trade_back,
    count(*)::integer AS shops, (SELECT count(*) FROM import_vendor)::integer AS trades
FROM import_retailer;

INSERT INTO users (id, phone, name, email, role, language, password, is_superuser, is_active, created_at)
SELECT n, '+97797' || lpad(n::text, 8, '0'),
    given[1 + floor(shops * pg_temp.chance('given', n))::integer] || ' '
        || family[1 + floor(shops * pg_temp.chance('family', n))::integer],
    '', CASE WHEN n = 1 THEN 'ADMIN' WHEN n <= 10 THEN 'OPERATOR' WHEN n <= 10 + w.vendors THEN 'VENDOR'
        ELSE 'RETAILER' END, 'ne', '!', n = 1, true, w.opened_at - pg_temp.chance('joined', n) * interval '300 days'
FROM plan_world w CROSS JOIN plan_words CROSS JOIN LATERAL generate_series(1, 10 + w.vendors + w.retailers) n;

-- Vendors and shops are written when what they owe, hold and did is known (50_parties.sql).
CREATE TEMP TABLE plan_vendor ON COMMIT DROP AS
SELECT n, 10 + n AS user_id, 'VND-' || lpad(n::text, 6, '0') AS code
FROM plan_world w CROSS JOIN LATERAL generate_series(1, w.vendors) n;
ANALYZE plan_vendor;
