INSERT INTO order_items (order_id, offer_id, product_id, product_name, sku, quantity, unit_price, tax_rate,
    line_total, tax_amount)
SELECT order_id, offer_id, product_id, name, sku, quantity, unit_price, tax_rate, line_total, tax_amount
FROM plan_line ORDER BY order_id, offer_id;
