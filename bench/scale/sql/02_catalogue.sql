-- The demo's goods under as many brands and makes as it takes, the most asked for first.
CREATE TEMP TABLE plan_product ON COMMIT DROP AS
SELECT g.n, 'P' || lpad(g.n::text, 7, '0') AS sku,
    concat_ws(' ', maker, i.name, nullif(make, 0)) AS name, i.name_ne, i.aliases, maker AS brand, i.category, i.sub_category,
    i.unit, i.pack_size, i.tax_rate, greatest(1, round(i.price * (0.6 + 0.8 * pg_temp.chance('make', g.n))::numeric)) AS price
FROM plan_world w
CROSS JOIN (SELECT count(*)::integer AS size FROM import_product) c
CROSS JOIN plan_words
CROSS JOIN LATERAL generate_series(1, w.products) AS g (n)
JOIN import_product i ON i.n = 1 + (g.n - 1) % size
CROSS JOIN LATERAL (SELECT family[1 + ((g.n - 1) / size) % shops] AS maker, (g.n - 1) / size / shops AS make) b;
ANALYZE plan_product;

INSERT INTO products (id, sku, name, name_ne, aliases, brand, category, sub_category, unit, pack_size, tax_rate,
    min_quantity, max_quantity, is_active, created_at, updated_at, deleted_at)
SELECT p.n, p.sku, p.name, p.name_ne, p.aliases, p.brand, p.category, p.sub_category, p.unit, p.pack_size, p.tax_rate,
    1, 1000, pg_temp.chance('active', p.n) < 0.95, w.opened_at, w.opened_at,
    CASE WHEN pg_temp.chance('withdrawn', p.n) < 0.02 THEN w.loaded_at - interval '1 day' END
FROM plan_product p CROSS JOIN plan_world w ORDER BY p.n;

-- Five vendors offer a product, so that a shelf is an even sample of the goods and the skew of what is ordered
-- is the real one. `place` is the good's place on its vendor's shelf, the most asked for first.
CREATE TEMP TABLE plan_offer ON COMMIT DROP AS
SELECT row_number() OVER (ORDER BY vendor, product) AS id, vendor, product,
    row_number() OVER (PARTITION BY vendor ORDER BY product) AS place,
    greatest(1, round(price * (0.92 + 0.16 * pg_temp.chance('price', product * 8 + i))::numeric * 4) / 4)::numeric(12,2) AS price
FROM (
    SELECT p.n::bigint AS product, p.price, i,
        1 + (floor(w.vendors * pg_temp.chance('first vendor', p.n))::integer + i * greatest(1, w.vendors / 5)) % w.vendors AS vendor
    FROM plan_world w CROSS JOIN plan_product p
    CROSS JOIN LATERAL generate_series(0, least(5, w.vendors) - 1) i
) o;
ANALYZE plan_offer;

CREATE TEMP TABLE plan_shelf ON COMMIT DROP AS
SELECT vendor, row_number() OVER (ORDER BY vendor) AS seller, max(place) AS places FROM plan_offer GROUP BY vendor;
ANALYZE plan_shelf;
