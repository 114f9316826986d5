INSERT INTO products (sku, name, name_ne, aliases, brand, category, sub_category, unit, pack_size, tax_rate,
    min_quantity, max_quantity, is_active)
SELECT sku, name, name_ne, aliases, brand, category, sub_category, unit, pack_size, tax_rate, min_quantity,
    max_quantity, true
FROM import_product ORDER BY n
ON CONFLICT (sku) DO NOTHING;
