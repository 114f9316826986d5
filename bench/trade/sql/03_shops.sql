-- How a shop pays, how big it is and how often it orders. One draw ranks the payers: the two worst are
-- blocked, the three best are new and not approved yet. Few shops make most of the trade.
CREATE TEMP TABLE plan_shop ON COMMIT DROP AS
WITH ranked AS (
    SELECT i.*, u.id AS user_id, u.created_at AS joined_at,
        row_number() OVER (ORDER BY pg_temp.chance('payer', i.n)) AS payer_rank,
        count(*) OVER () AS shops,
        row_number() OVER (ORDER BY (CASE i.size WHEN 'large' THEN 8 WHEN 'medium' THEN 3 ELSE 1 END)
            * (0.2 + pg_temp.chance('busy', i.n)) DESC, i.n) AS busy_rank
    FROM import_retailer i JOIN users u ON u.phone = '+97798002' || lpad(i.n::text, 5, '0')
)
SELECT n, user_id, NULL::bigint AS retailer_id, joined_at, shop_name, shop_name_ne, municipality, district,
    province, size, payer_rank <= 2 AS is_blocked, payer_rank > shops - 3 AS is_new,
    CASE WHEN payer_rank <= shops * 0.08 THEN 'bad' WHEN payer_rank <= shops * 0.22 THEN 'slow'
        WHEN payer_rank <= shops * 0.50 THEN 'fair' ELSE 'good' END AS payer,
    (CASE size
        WHEN 'large' THEN 400000 + 50000 * floor(13 * pg_temp.chance('limit', n))
        WHEN 'medium' THEN 100000 + 10000 * floor(21 * pg_temp.chance('limit', n))
        ELSE 25000 + 5000 * floor(11 * pg_temp.chance('limit', n)) END)::numeric(14,2) AS credit_limit,
    (CASE size WHEN 'large' THEN 24000 WHEN 'medium' THEN 11000 ELSE 5000 END) AS order_value,
    (busy_rank + 4)::double precision ^ -0.9 AS demand
FROM ranked;

INSERT INTO retailers (user_id, shop_name, shop_name_ne, pan_number, address, municipality, district, province,
    is_approved, approved_at, is_blocked, blocked_reason, credit_limit, created_at)
SELECT user_id, shop_name, shop_name_ne,
    CASE WHEN size = 'small' THEN ''
        ELSE (300000000 + floor(10000000 * pg_temp.chance('shop pan', n)))::bigint::text END,
    '', municipality, district, province, NOT is_new, CASE WHEN NOT is_new THEN joined_at + interval '1 day' END,
    is_blocked, CASE WHEN is_blocked THEN 'Does not answer calls; invoices unpaid for weeks' ELSE '' END,
    CASE WHEN is_new THEN 0 ELSE credit_limit END, joined_at
FROM plan_shop ORDER BY n;

UPDATE plan_shop s SET retailer_id = r.id FROM retailers r WHERE r.user_id = s.user_id;
ANALYZE plan_shop;
