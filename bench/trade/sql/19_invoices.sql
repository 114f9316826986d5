-- Invoices are numbered per vendor and fiscal year in the order of delivery, without a gap.
CREATE TEMP TABLE plan_invoice ON COMMIT DROP AS
SELECT o.id AS order_id, o.vendor_id, f.id AS fiscal_year_id, number,
    v.code || '/' || f.name || '/' || lpad(number::text, greatest(5, length(number::text)), '0') AS invoice_number
FROM (
    SELECT o.*, f.id AS fiscal_year_id,
        row_number() OVER (PARTITION BY o.vendor_id, f.id ORDER BY o.delivered_at, o.id) AS number
    FROM plan_order o
    JOIN (SELECT id, starts_on, lead(starts_on, 1, 'infinity') OVER (ORDER BY starts_on) AS ends_on
        FROM fiscal_years) f
        ON pg_temp.kathmandu_day(o.delivered_at) >= f.starts_on AND pg_temp.kathmandu_day(o.delivered_at) < f.ends_on
    WHERE o.is_invoiced
) o
JOIN fiscal_years f ON f.id = o.fiscal_year_id
JOIN vendors v ON v.id = o.vendor_id;
ANALYZE plan_invoice;

INSERT INTO invoice_counters (vendor_id, fiscal_year_id, last_number)
SELECT vendor_id, fiscal_year_id, max(number) FROM plan_invoice GROUP BY vendor_id, fiscal_year_id;
