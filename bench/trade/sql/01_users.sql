-- Two of the staff, and the owners of wholesalers and shops; each kind shares one password, so that it is
-- hashed once.
INSERT INTO users (phone, name, email, role, language, password, is_superuser, is_active, created_at)
SELECT '+97798001' || lpad(v.n::text, 5, '0'), v.owner_name, '', 'VENDOR', 'ne', w.vendor_password, false,
    true, w.opened_at - (60 + 600 * pg_temp.chance('vendor joined', v.n)) * interval '1 day'
FROM import_vendor v CROSS JOIN plan_world w
UNION ALL
SELECT '+97798002' || lpad(r.n::text, 5, '0'), r.owner_name, '', 'RETAILER', 'ne', w.retailer_password,
    false, true, w.opened_at - (10 + 500 * pg_temp.chance('retailer joined', r.n)) * interval '1 day'
FROM import_retailer r CROSS JOIN plan_world w;

INSERT INTO users (phone, name, email, role, language, password, is_superuser, is_active, created_at)
SELECT phone, name, '', role, 'en', password, role = 'ADMIN', true, w.opened_at - interval '700 days'
FROM plan_world w CROSS JOIN LATERAL (VALUES
    ('+9779800000001', 'Demo Administrator', 'ADMIN', w.admin_password),
    ('+9779800000002', 'Demo Operator', 'OPERATOR', w.operator_password)
) AS staff (phone, name, role, password);
UPDATE plan_world SET operator_id = (SELECT id FROM users WHERE phone = '+9779800000002');
