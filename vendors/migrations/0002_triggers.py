"""Audit entries for edits of vendors, products and offers; an offer's row stays small and HOT."""

from django.db import migrations

# UPDATE OF names the columns a person edits: taking stock for an order does not fire the audit.
AUDIT = """
CREATE TRIGGER audit AFTER INSERT OR DELETE OR UPDATE OF user_id, business_name, business_name_ne,
    pan_number, address, municipality, district, province, is_approved, is_blocked, blocked_reason, deleted_at
    ON vendors FOR EACH ROW EXECUTE FUNCTION khaacho_audit('vendor', '{statistics_at}');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON products
    FOR EACH ROW EXECUTE FUNCTION khaacho_audit('product', '{updated_at}');
CREATE TRIGGER audit AFTER INSERT OR DELETE OR UPDATE OF vendor_id, product_id, vendor_price, is_available, deleted_at
    ON vendor_products FOR EACH ROW EXECUTE FUNCTION khaacho_audit('offer', '{updated_at,reserved}');
"""
AUDIT_REVERSE = """
DROP TRIGGER audit ON vendors; DROP TRIGGER audit ON products; DROP TRIGGER audit ON vendor_products;
"""

STORAGE = "ALTER TABLE vendor_products SET (fillfactor = 70)"
STORAGE_REVERSE = "ALTER TABLE vendor_products RESET (fillfactor)"


class Migration(migrations.Migration):
    dependencies = [("vendors", "0001_initial"), ("khaacho", "0002_triggers")]
    operations = [
        migrations.RunSQL(AUDIT, AUDIT_REVERSE),
        migrations.RunSQL(STORAGE, STORAGE_REVERSE),
    ]
