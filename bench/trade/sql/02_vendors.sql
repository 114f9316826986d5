INSERT INTO vendors (user_id, business_name, business_name_ne, pan_number, address, municipality, district,
    province, is_approved, approved_at, created_at)
SELECT u.id, v.business_name, v.business_name_ne,
    (600000000 + floor(10000000 * pg_temp.chance('vendor pan', v.n)))::bigint::text, '', v.municipality,
    v.district, v.province, true, u.created_at + interval '2 days', u.created_at
FROM import_vendor v JOIN users u ON u.phone = '+97798001' || lpad(v.n::text, 5, '0')
ORDER BY v.n;

-- The demo's own wholesalers by their line in the file: chances hang on that, not on ids.
CREATE TEMP TABLE plan_vendor ON COMMIT DROP AS
SELECT i.n, v.id AS vendor_id, v.user_id, v.municipality, v.district, v.province, v.approved_at,
    regexp_split_to_array(lower(i.specialities), '\s*[|;]\s*') AS specialities
FROM import_vendor i
JOIN users u ON u.phone = '+97798001' || lpad(i.n::text, 5, '0')
JOIN vendors v ON v.user_id = u.id;
ANALYZE plan_vendor;
