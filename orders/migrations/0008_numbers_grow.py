"""Numbers for people grow longer when they must; lpad cut them, and the next one was taken already."""

from django.db import migrations

FORWARD = """
ALTER TABLE orders ALTER COLUMN order_number SET DEFAULT
    ('ORD-' || to_char(now() AT TIME ZONE 'Asia/Kathmandu', 'YYYY') || '-' || to_char(nextval('order_number_seq'), 'FM999999999990000000'));
"""
REVERSE = """
ALTER TABLE orders ALTER COLUMN order_number SET DEFAULT
    ('ORD-' || to_char(now() AT TIME ZONE 'Asia/Kathmandu', 'YYYY') || '-' || lpad(nextval('order_number_seq')::text, 7, '0'));
"""


class Migration(migrations.Migration):
    dependencies = [("orders", "0007_owing_index_covers_amounts")]
    operations = [migrations.RunSQL(FORWARD, REVERSE)]
